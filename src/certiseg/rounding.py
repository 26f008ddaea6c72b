"""Format numbers conservatively: no figure is shown better than it is.

Figures that are better when larger (certified share, accuracy, IoU, radius, confidence) are rounded
down; those that are worse when larger (abstention, errors, required probabilities) are rounded up;
parameters are shown exactly. Only seconds, draws and bytes are rounded to nearest. All such numbers
are formatted here, none by another module or the report's script (``tests/test_rounding.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

# math.degrees rounds twice; this subtracts four rounding errors.
_MARGIN = 2.0**-50
_FINEST = 12


def down(value: float | Fraction | None, decimals: int = 4) -> str:
    """A number with that many decimals, rounded down; "-" for None and NaN."""
    return _shown(value, decimals, math.floor)


def up(value: float | Fraction | None, decimals: int = 4) -> str:
    """A number with that many decimals, rounded up; "-" for None and NaN."""
    return _shown(value, decimals, math.ceil)


def nearest(value: float | None, decimals: int) -> str:
    """A number rounded to nearest, for seconds, draws and bytes."""
    return _shown(value, decimals, round)


def share(value: float) -> Fraction:
    """The shortest decimal of a float that was computed as a ratio of counts, as a Fraction.

    Rounding it to d decimals gives the same as rounding the ratio m / N, if N x 10^d < 2^53: both
    conversions move the value by at most 2^-53, and m / N differs from any number of d decimals by
    at least 1 / (N x 10^d) or is equal to it. So 60 of 100 pixels are 0.6000, although the float
    0.6 is smaller.
    """
    return Fraction(repr(float(value)))


def share_down(value: float | None, decimals: int = 4) -> str:
    """A share or an IoU that is better when larger: 1.0000 is shown only for exactly 1."""
    return down(_share(value), decimals)


def share_up(value: float | None, decimals: int = 4) -> str:
    """A share that is worse when larger, such as abstention: 0.0000 is shown only for exactly 0."""
    return up(_share(value), decimals)


def percent_down(value: float | Fraction | None, decimals: int = 1) -> str:
    """``share_down`` in per cent. value: a share, preferably Fraction(part, whole) of counts."""
    exact = _share(value)
    return "-" if exact is None else f"{down(100 * exact, decimals)}%"


def percent_up(value: float | Fraction | None, decimals: int = 1) -> str:
    """``share_up`` in per cent."""
    exact = _share(value)
    return "-" if exact is None else f"{up(100 * exact, decimals)}%"


def trimmed(text: str) -> str:
    """Remove trailing zeros: 99.9000% becomes 99.9%."""
    number, sign = text.removesuffix("%"), "%" if text.endswith("%") else ""
    return (number.rstrip("0").rstrip(".") if "." in number else number) + sign


def confidence(alpha: float) -> str:
    """1 - alpha in per cent, exact to 12 decimals and then rounded down: never 100%."""
    return trimmed(percent_down(1 - share(alpha), _FINEST))


def exact(value: float | None) -> str:
    """A parameter as the shortest text that parses to the same number; "-" for None."""
    if value is None:
        return "-"
    short = f"{value:g}"
    return short if float(short) == value else str(value)


def against(value: float, low: float, high: float) -> str:
    """A number in few digits, which are as many as show on which side of [low, high] it lies."""
    short = f"{value:g}"
    return short if (low <= float(short) <= high) == (low <= value <= high) else repr(value)


def percent_exact(value: float) -> str:
    """A parameter that is a share, in per cent, rounded up after 12 decimals."""
    return trimmed(percent_up(value, _FINEST))


def significant(value: float, digits: int, way: Callable[[float, int], str]) -> str:
    """A number with at least that many significant digits. way: down, up or nearest."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return trimmed(way(value, max(0, digits - 1 - size)))


def scientific_up(value: float) -> str:
    """A number >= 0 with two significant digits, rounded up: 4.6e-15."""
    return f"{Context(prec=2, rounding=ROUND_CEILING).create_decimal(value):e}"


def degrees_down(angle: float) -> float:
    """Convert radians to degrees, rounded down."""
    return math.degrees(angle) * (1.0 - _MARGIN)


def _shown(value: float | Fraction | None, decimals: int, whole: Callable[[Fraction], int]) -> str:
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return str(value)
    # In exact rationals: a floating-point product could cross a step.
    return f"{Decimal(whole(Fraction(value) * 10**decimals)).scaleb(-decimals):f}"


def _share(value: float | Fraction | None) -> Fraction | None:
    if value is None or isinstance(value, Fraction):
        return value
    return None if math.isnan(value) else share(value)
