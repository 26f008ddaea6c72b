"""Execution of a run's tasks: in this process, in worker processes, on a Ray cluster, or by
ranks."""
