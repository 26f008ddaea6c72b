"""Checks shared by the laws."""

from __future__ import annotations

import math
from typing import SupportsFloat

from certiseg.errors import InputError

SMALLEST_SIGMA = 1e-5


def checked_sigma(sigma: SupportsFloat | str, largest: float, *, usual: str, remedy: str) -> float:
    """sigma as a Python float; InputError outside [1e-5, largest]."""
    value = math.nan if isinstance(sigma, (str, bool)) else float(sigma)
    if not value > 0:
        raise InputError(f"expected sigma > 0, got {sigma!r}; {usual}")
    if not SMALLEST_SIGMA <= value <= largest:
        raise InputError(
            f"expected sigma > 0 in [{SMALLEST_SIGMA:g}, {largest:g}], got {sigma}; {remedy}"
        )
    return value
