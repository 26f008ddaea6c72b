"""Who does the work of a run, from what the user asked for."""

from __future__ import annotations

from certiseg.errors import InputError
from certiseg.runs.work.here import Here
from certiseg.runs.work.on_ray import OnRay
from certiseg.runs.work.processes import Processes
from certiseg.runs.work.ranks import Ranks
from certiseg.runs.work.task import Crew


def crew_of(workers: int | None, threads: int | None, ray: str | None, ranks: Ranks | None) -> Crew:
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
        return OnRay(ray, workers, threads)
    return Here() if workers is None else Processes(workers, threads)
