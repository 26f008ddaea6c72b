"""Exceptions and warnings of the package, and errors of other libraries as one-line messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Invalid input. The message is one line: expected, got, remedy (exit code 2)."""


class ClaimError(Exception):
    """A stored certificate does not follow from its own counts (exit code 1)."""


class Hint(UserWarning):
    """Warning about something allowed but probably not intended. One line; commands print it as a
    note."""


@contextmanager
def refusing(
    *kinds: type[BaseException], expected: str, remedy: str, got: str = ""
) -> Iterator[None]:
    """Convert errors of other libraries into a one-line InputError.

    kinds: exception types to convert. got: text after "got"; default: the error's own message.
    """
    try:
        yield
    except InputError:
        raise
    except kinds as error:
        reason = got or getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{expected}, got {reason[:120]}; {remedy}") from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
