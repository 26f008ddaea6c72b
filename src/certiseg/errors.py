"""The two ways a call can end badly: the input was wrong, or a stored claim does not hold; hints
beside them; and what errors of other libraries say, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input. One line: what was expected, what came, and the remedy (exit code 2)."""


class ClaimError(Exception):
    """A stored certificate does not follow from its own counts (exit code 1)."""


class Hint(UserWarning):
    """What is allowed, but probably not meant. One line; commands print it as a note."""


@contextmanager
def refusing(
    *kinds: type[BaseException], expected: str, remedy: str, got: str = ""
) -> Iterator[None]:
    """Turn these errors of other libraries into an InputError of one line.

    got: what to say of them; by default what they say themselves.
    """
    try:
        yield
    except InputError:
        raise
    except kinds as error:
        said = got or getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{expected}, got {said[:120]}; {remedy}") from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
