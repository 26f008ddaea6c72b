"""One bar for runs that are no runs over images: studies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from certiseg.runs.progress import new_bar

T = TypeVar("T")


def steps(work: Iterable[T], total: int, name: str, *, show: bool) -> Iterator[T]:
    """Pass the items on as they come, counted by a bar on standard error, if that is a terminal."""
    with new_bar(show) as progress:
        task = progress.add_task(name, total=total)
        for item in work:
            yield item
            progress.advance(task)
