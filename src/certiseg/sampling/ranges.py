"""Ranges of draw numbers, as callers give them."""

from __future__ import annotations

import numpy as np

from certiseg.errors import InputError


def checked_draws(first_draw: int, num_samples: int) -> tuple[int, int]:
    """The half-open range of draws. Raises InputError unless both are whole and in range."""
    if isinstance(first_draw, bool) or not isinstance(first_draw, (int, np.integer)):
        raise InputError(f"expected a whole first_draw, got {first_draw!r}; draws count from 0")
    first, last = int(first_draw), int(first_draw) + checked_count(num_samples)
    if first < 0 or last > 2**63:
        raise InputError(f"expected first_draw >= 0, got {first_draw}; draws count from 0")
    return first, last


def checked_count(value: int) -> int:
    """A number of draws or of a batch, at least 1, as a Python int."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"expected a whole number of at least 1, got {value!r}; check the counts")
    return int(value)
