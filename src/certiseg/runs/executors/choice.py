"""Who does the work of a run, from what the user asked for."""

from __future__ import annotations

from certiseg.errors import InputError
from certiseg.runs.executors.process_pool import ProcessExecutor
from certiseg.runs.executors.ranks import Ranks
from certiseg.runs.executors.ray_pool import RayExecutor
from certiseg.runs.executors.serial import SerialExecutor
from certiseg.runs.executors.task import Executor


def executor_for(
    workers: int | None, threads: int | None, ray: str | None, ranks: Ranks | None
) -> Executor:
    """A Ray cluster's actors, processes, or this process. Raises InputError for what does not go
    together."""
    given = {"--workers": workers, "--threads": threads, "--ray": ray}
    asked = [name for name, value in given.items() if value is not None]
    if ranks is not None and asked:
        raise InputError(
            f"expected no {asked[0]} under torchrun, got it (WORLD_SIZE is {ranks.size}); its "
            "processes share the run already"
        )
    if asked == ["--threads"]:
        raise InputError("expected --workers or --ray with --threads, got neither; add one")
    if ray is not None:
        return RayExecutor(ray, workers, threads)
    return SerialExecutor() if workers is None else ProcessExecutor(workers, threads)
