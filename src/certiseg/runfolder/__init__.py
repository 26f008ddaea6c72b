"""The format of a run: written as it goes, read back, checked and pooled."""
