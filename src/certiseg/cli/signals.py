"""Signals that ask a process to end: they end a run as Ctrl-C does."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_ENDING = ("SIGTERM", "SIGHUP")


class Ended(BaseException):
    """This process was asked to end. No Exception: nothing that retries or skips may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Ended inside, in the main thread; ignored ones (nohup) stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = {}
    # Not every system has both.
    for number in (getattr(signal, name, None) for name in _ENDING):
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            taken[number] = signal.signal(number, _end)
    try:
        yield
    finally:
        for number, before in taken.items():
            signal.signal(number, before)


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended(number)
