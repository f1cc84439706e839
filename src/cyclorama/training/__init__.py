"""A loss is a function, and there is one loop."""
