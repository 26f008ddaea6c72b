"""Numbers as text: no figure is shown better than it is.

What is better when larger (certified shares, accuracy, IoU, radii, confidence) is rounded down, of
any model; what is worse when larger (abstention, errors, probabilities that are needed) is rounded
up; parameters are shown whole. Only what is no figure of quality (seconds, draws, bytes) is rounded
to nearest. No other module turns such a number into text, nor does the page's script:
``tests/test_rounding.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

# math.degrees rounds twice; four such errors are taken off.
_MARGIN = 2.0**-50
_FINEST = 12


def down(value: float | Fraction | None, decimals: int = 4) -> str:
    """A number with so many decimals, at most its exact value; "-" for None and NaN."""
    return _shown(value, decimals, math.floor)


def up(value: float | Fraction | None, decimals: int = 4) -> str:
    """A number with so many decimals, at least its exact value; "-" for None and NaN."""
    return _shown(value, decimals, math.ceil)


def nearest(value: float | None, decimals: int) -> str:
    """Rounded to nearest, for seconds, draws and bytes, about which nothing is claimed."""
    return _shown(value, decimals, round)


def share(value: float) -> Fraction:
    """The ratio that a float stands for: its shortest decimal.

    Of m / N with N x 10^d < 2^53 it lies on the same side of every number of d decimals as m / N,
    and is m / N where that has d decimals: both roundings move it by at most 2^-53, two different
    numbers lie 1 / (N x 10^d) apart. So 60 of 100 pixels are 0.6000, although the float is smaller.
    """
    return Fraction(repr(float(value)))


def share_down(value: float | None, decimals: int = 4) -> str:
    """A share or an IoU that is better when larger: 1.0000 is all, not nearly all."""
    return down(_share(value), decimals)


def share_up(value: float | None, decimals: int = 4) -> str:
    """A share that is worse when larger, such as abstention: 0.0000 is none, not nearly none."""
    return up(_share(value), decimals)


def percent_down(value: float | Fraction | None, decimals: int = 1) -> str:
    """``share_down`` in per cent. value: a share, of counts best as Fraction(part, whole)."""
    exact = _share(value)
    return "-" if exact is None else f"{down(100 * exact, decimals)}%"


def percent_up(value: float | Fraction | None, decimals: int = 1) -> str:
    """``share_up`` in per cent."""
    exact = _share(value)
    return "-" if exact is None else f"{up(100 * exact, decimals)}%"


def trimmed(text: str) -> str:
    """Without zeros at the end: 99.9000% as 99.9%."""
    number, sign = text.removesuffix("%"), "%" if text.endswith("%") else ""
    return (number.rstrip("0").rstrip(".") if "." in number else number) + sign


def confidence(alpha: float) -> str:
    """1 - alpha in per cent, exactly, or cut after 12 decimals: never 100%."""
    return trimmed(percent_down(1 - share(alpha), _FINEST))


def exact(value: float | None) -> str:
    """A parameter: the shortest text that reads back as this number; "-" for None."""
    if value is None:
        return "-"
    short = f"{value:g}"
    return short if float(short) == value else str(value)


def against(value: float, low: float, high: float) -> str:
    """A number in few digits, which are as many as show on which side of [low, high] it lies."""
    short = f"{value:g}"
    return short if (low <= float(short) <= high) == (low <= value <= high) else repr(value)


def percent_exact(value: float) -> str:
    """A parameter that is a share, in per cent; what is finer than 12 decimals is rounded up."""
    return trimmed(percent_up(value, _FINEST))


def significant(value: float, digits: int, way: Callable[[float, int], str]) -> str:
    """A number with so many significant digits at least, rounded by one of the functions above."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return trimmed(way(value, max(0, digits - 1 - size)))


def scientific_up(value: float) -> str:
    """A number >= 0 with two significant digits, at least its exact value: 4.6e-15."""
    return f"{Context(prec=2, rounding=ROUND_CEILING).create_decimal(value):e}"


def degrees_down(angle: float) -> float:
    """An angle in radians as degrees, at most the exact value."""
    return math.degrees(angle) * (1.0 - _MARGIN)


def _shown(value: float | Fraction | None, decimals: int, whole: Callable[[Fraction], int]) -> str:
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return str(value)
    # The exact value of the float: times a power of ten in floating point could cross a step.
    return f"{Decimal(whole(Fraction(value) * 10**decimals)).scaleb(-decimals):f}"


def _share(value: float | Fraction | None) -> Fraction | None:
    if value is None or isinstance(value, Fraction):
        return value
    return None if math.isnan(value) else share(value)
