"""Samples divided into tasks, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from certiseg.runs.executors.job import Job
from certiseg.runs.executors.task import BaselinePredictions, FinishedSample, PartialVotes, Task
from certiseg.runs.executors.worker import finish
from certiseg.votes import VoteCounts

LARGE = 2**20
"""Components from which the draws of every sample are divided: a worker that is lost then costs
little, and none waits long for the last one."""
_FEWEST = 10
"""Draws that are worth a task: each begins with a pass of its own that measures memory."""


def tasks(
    numbers: Sequence[int],
    make: Callable[[int], Task],
    job: Job,
    workers: int,
    large: int = LARGE,
) -> Iterator[Task]:
    """The samples of these numbers in order, each a task, or several that share its draws.

    make: the task of a whole sample, read when it is asked for. Draws are shared out where samples
    are large or would leave workers without any: the last ones, if they do not go round. Only
    where votes are all that the certificate needs.
    """
    divisible = job.settings.certifier.fixed_draws and not job.percentile and workers > 1
    whole = len(numbers) - len(numbers) % workers
    for place, number in enumerate(numbers):
        task = make(number)
        if divisible and (place >= whole or task.sample.labels.size >= large):
            yield from shared(task, job.settings.num_samples, workers)
        else:
            yield task


def shared(task: Task, draws: int, parts: int) -> Iterator[Task]:
    """The sample's draws in so many ranges of about the same size, fewer where draws are few."""
    parts = max(1, min(parts, draws // _FEWEST))
    cuts = [draws * part // parts for part in range(parts + 1)]
    for start, stop in pairwise(cuts):
        yield Task(task.number, task.sample, task.view, task.certificate, (start, stop))


@dataclass
class _Pieces:
    votes: VoteCounts | None = None
    chosen: VoteCounts | None = None
    baseline: BaselinePredictions | None = None
    seconds: float = 0.0


@dataclass
class Assembly:
    """Adds up what tasks give until a sample is whole. Holds the votes of samples in the making."""

    job: Job
    _open: dict[int, _Pieces] = field(default_factory=dict)

    def add(self, task: Task, part: FinishedSample | PartialVotes) -> FinishedSample | None:
        """The sample, once this was the last of its parts."""
        if isinstance(part, FinishedSample):
            return part
        held = self._open.setdefault(task.number, _Pieces())
        held.votes = part.votes if held.votes is None else held.votes + part.votes
        held.chosen = held.chosen or part.chosen
        held.baseline = held.baseline or part.baseline
        held.seconds += part.seconds
        if held.votes.trials < self.job.settings.num_samples:
            return None
        del self._open[task.number]
        assert held.baseline is not None
        settings = self.job.settings
        certificate = settings.certifier.certify(
            held.votes, noise=settings.noise, selection_votes=held.chosen
        )
        return finish(self.job, task, held.baseline, certificate, held.seconds)
