"""All tasks in this process, one after another."""

from __future__ import annotations

from collections.abc import Iterable

from certiseg.runs.executors.job import Job
from certiseg.runs.executors.task import Parts, Progress, Task
from certiseg.runs.executors.worker import Worker


class SerialExecutor:
    """An executor of one, with the models that the caller has."""

    size = 1

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Parts:
        worker = Worker(job)
        for task in tasks:
            yield task, worker.do(task, advance)
