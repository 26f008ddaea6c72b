"""All tasks in this process, one after another."""

from __future__ import annotations

from collections.abc import Iterable

from certiseg.runs.work.desk import Desk
from certiseg.runs.work.job import Job
from certiseg.runs.work.task import Parts, Progress, Task


class Here:
    """A crew of one, with the models that the caller has."""

    size = 1

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Parts:
        desk = Desk(job)
        for task in tasks:
            yield task, desk.do(task, advance)
