"""Files to arrays and back: `video`, `image` and `audio` are the doors, `describe` tells a person."""
