"""Where the tasks of a run are done: here, in processes, on a cluster, by ranks."""
