"""Files to arrays and back through `video`, `image` and `audio`; `describe` tells a person."""
