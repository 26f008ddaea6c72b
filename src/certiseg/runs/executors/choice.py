"""The choice of an executor by the options of a run."""

from __future__ import annotations

from certiseg.errors import InputError
from certiseg.runs.executors.executor import Executor, SerialExecutor


def executor_for(
    workers: int | None, threads: int | None, ray: str | None, ranks: int | None
) -> Executor:
    """Choose an executor: Ray actors, worker processes, or this process.

    ranks: number of processes that torchrun started, which share the run. Raises InputError for
    options that cannot be combined.
    """
    from certiseg.runs.executors.process_pool import ProcessExecutor
    from certiseg.runs.executors.ray_pool import RayExecutor

    given = {"--workers": workers, "--threads": threads, "--ray": ray}
    asked = [name for name, value in given.items() if value is not None]
    if ranks is not None and asked:
        raise InputError(
            f"expected no {asked[0]} under torchrun, got it (WORLD_SIZE is {ranks}); its "
            "processes share the run already"
        )
    if asked == ["--threads"]:
        raise InputError("expected --workers or --ray with --threads, got neither; add one")
    if ray is not None:
        return RayExecutor(ray, workers, threads)
    return SerialExecutor() if workers is None else ProcessExecutor(workers, threads)
