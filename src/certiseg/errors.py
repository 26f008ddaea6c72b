"""The two ways a call can end badly: the input was wrong, or a stored claim does not hold; and
what errors of other libraries say, in a line."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input. One line: what was expected, what came, and the remedy (exit code 2)."""


class ClaimError(Exception):
    """A stored certificate does not follow from its own counts (exit code 1)."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
