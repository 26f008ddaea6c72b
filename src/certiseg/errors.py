"""The two ways a call can end badly: the input was wrong, or a stored claim does not hold."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input. One line: what was expected, what came, and the remedy (exit code 2)."""


class ClaimError(Exception):
    """A stored certificate does not follow from its own counts (exit code 1)."""
