"""How each bundled weight was made: one function a weight."""
