"""The command line: short commands that call a library function, and what they show."""
