"""The work of a run: what a task is, and where tasks are done."""
