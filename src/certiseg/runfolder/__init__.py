"""The folder of a run: which files it holds, read back and pooled. Writing is done in runs/."""
