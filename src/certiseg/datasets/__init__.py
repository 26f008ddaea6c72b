"""Data sets: one file each, with a card that names source, licence, classes and palette."""
