"""Cyclorama makes video and reads it: a small, exact, whole stack that runs on two CPU cores."""
