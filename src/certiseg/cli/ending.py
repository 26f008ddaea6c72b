"""Exit codes: 0 success, 1 verification failed, 2 bad input, 128 + n when signal n ended it."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import typer

from certiseg.cli.signals import Ended
from certiseg.errors import ClaimError, InputError

FAILED_CLAIM, BAD_INPUT, INTERRUPTED = 1, 2, 128 + signal.SIGINT
TRACEBACK = "CERTISEG_TRACEBACK"
"""Environment variable: set, an unforeseen error comes with its traceback."""
_WHOLE = "files already written are whole"

# typer publishes the subclass alone, and where its base lives depends on typer's version.
_UsageError: type[Exception] = next(
    base
    for base in typer.BadParameter.__mro__
    if base.__name__ == "UsageError" and issubclass(base, Exception)
)


@dataclass(frozen=True)
class Ending:
    """Exit code and message. unforeseen: an error of no kind that is expected here."""

    code: int
    line: str
    unforeseen: bool = False

    @property
    def interrupted(self) -> bool:
        """Somebody asked the process to end; nothing was wrong."""
        return self.code > 128


def ending_of(error: BaseException) -> Ending | None:
    """Exit code and message of an exception; None for one that ends Python itself."""
    if isinstance(error, InputError):
        return Ending(BAD_INPUT, str(error))
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
        reason = error.strerror or type(error).__name__
        line = f"expected to read and write files, got {reason}{where}; mend that and call again, "
        return Ending(BAD_INPUT, line + _WHOLE)
    if isinstance(error, Exception):
        message = f"{type(error).__name__}: {error}"
        return Ending(BAD_INPUT, f"unexpected {message} ({TRACEBACK}=1 shows where)", True)
    return None
