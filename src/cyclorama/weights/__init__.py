"""The weights that this project trained, a card for each, and how to open any weight file."""
