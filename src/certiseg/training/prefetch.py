"""Batches made on a thread while the caller works on the last ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

T = TypeVar("T")
_DEPTH = 2
_END: Any = object()


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """The items in their order, two of them made or in the making while the caller has one.

    An error of theirs is raised where its item would have come. A caller that stops early stops
    the thread.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        ready = deque(thread.submit(next, source, _END) for _ in range(_DEPTH))
        try:
            while (item := ready.popleft().result()) is not _END:
                ready.append(thread.submit(next, source, _END))
                yield cast(T, item)
        finally:
            for future in ready:
                future.cancel()
