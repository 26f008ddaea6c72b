"""Items made on a thread while the caller works on the last ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

T = TypeVar("T")
_DEPTH = 2
_END = object()


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The items in their order, up to two of them made before they are asked for.

    An error of theirs is raised where its item would have come. A caller that stops early stops
    the thread.
    """
    ready: queue.Queue[tuple[object, BaseException | None]] = queue.Queue(_DEPTH)
    stopped = threading.Event()

    def put(item: object, error: BaseException | None = None) -> bool:
        while not stopped.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:
            put(_END, error)
        else:
            put(_END)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield cast(T, item)
    finally:
        stopped.set()
        thread.join()
