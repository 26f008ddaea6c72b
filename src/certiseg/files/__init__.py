"""Files: written whole, read strictly, folders held by one command at a time."""
