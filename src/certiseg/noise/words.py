"""Numbers in sentences, cut off rather than rounded, so that a sentence never overstates."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_DOWN, Context, Decimal

# math.degrees rounds twice; four such errors are taken off.
_MARGIN = 2.0**-50


def cut(value: float, decimals: int = 6) -> str:
    """A number >= 0 with that many decimals, cut off."""
    step = Decimal(1).scaleb(-decimals)
    return f"{Decimal(value).quantize(step, rounding=ROUND_DOWN):f}"


def degrees_down(angle: float) -> float:
    """An angle in radians as degrees, at most the exact value."""
    return math.degrees(angle) * (1.0 - _MARGIN)


def rounded_up(value: float) -> str:
    """A number >= 0 with two significant digits, at least the exact value."""
    return f"{Context(prec=2, rounding=ROUND_CEILING).create_decimal(value):e}"
