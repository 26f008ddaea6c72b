"""Exit codes: 0 success, 1 verification failed, 2 bad input, 128 + n when signal n ended it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import typer

from certiseg.errors import ClaimError, InputError
from certiseg.own_code import SHOWN, failed_at, own_failure

FAILED_CLAIM, BAD_INPUT, INTERRUPTED = 1, 2, 128 + signal.SIGINT
TRACEBACK = "CERTISEG_TRACEBACK"
"""Environment variable: if set, unexpected errors are shown with their traceback."""
_WHOLE = "files already written are whole"
_ENDING = ("SIGTERM", "SIGHUP")

# typer publishes the subclass alone, and where its base lives depends on typer's version.
_UsageError: type[Exception] = next(
    base
    for base in typer.BadParameter.__mro__
    if base.__name__ == "UsageError" and issubclass(base, Exception)
)


class Ended(BaseException):
    """This process was asked to end. Not an Exception, so that retries and skips do not catch
    it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass(frozen=True)
class Ending:
    """Exit code and message. unforeseen: an error of a kind that is not expected here."""

    code: int
    line: str

    @property
    def interrupted(self) -> bool:
        """True if the process was asked to end."""
        return self.code > 128


def ending_of(error: BaseException) -> Ending | None:
    """Exit code and message of an exception; None for one that ends Python itself."""
    if isinstance(error, InputError):
        # Raised from an error of the user's own code.
        return Ending(BAD_INPUT, f"{error}{SHOWN if error.__cause__ else ''}")
    if isinstance(error, ClaimError):
        return Ending(FAILED_CLAIM, str(error))
    if isinstance(error, Ended):
        return Ending(128 + error.number, f"ended by {error}; {_WHOLE}")
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return Ending(INTERRUPTED, f"interrupted; {_WHOLE}")
    if isinstance(error, _UsageError):
        message = error.format_message()  # type: ignore[attr-defined]
        return Ending(BAD_INPUT, f"{message} (certiseg --help lists what there is)")
    if isinstance(error, OSError):
        where = f" at {error.filename}" if error.filename else ""
        place = failed_at(error)
        where += "" if place is None else f" ({place})"
        reason = error.strerror or type(error).__name__
        line = f"expected to read and write files, got {reason}{where}; correct it and call again, "
        return Ending(BAD_INPUT, line + _WHOLE)
    if isinstance(error, (Exception, SystemExit)) and (failure := own_failure(error)):
        return Ending(BAD_INPUT, failure)
    if isinstance(error, Exception):
        return Ending(BAD_INPUT, f"unexpected {type(error).__name__}: {error}{SHOWN}")
    return None


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Ended inside, in the main thread, unless they are ignored
    (nohup)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = {}
    # Some systems lack one of them.
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
