"""Files to arrays and back: the doors are `video`, `image` and `audio`; `describe` is for people."""
