"""Compare stated values with recomputed ones, and describe the first difference."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from certiseg.errors import ClaimError

_SHORT = reprlib.Repr()
_SHORT.maxstring = 60

Fact = tuple[str, Any, Any]
"""Name, stated value, and recomputed value."""


def check(facts: Iterable[Fact], before: str = "", after: str = "") -> None:
    """Raise ClaimError at the first fact whose stated value is not the recomputed one."""
    for name, stated, follows in facts:
        if line := difference(stated, follows, name):
            raise ClaimError(f"{before}{line}{after}")


def difference(stated: Any, follows: Any, name: str = "") -> str | None:
    """The first difference, as "NAME stated as A, B follows", or None.

    Floats are compared to a relative tolerance of 1e-12, since sums differ in their last bits
    between machines. Values of different types, such as 1 and True, always differ.
    """
    if isinstance(stated, Mapping) and isinstance(follows, Mapping):
        names = dict.fromkeys((*follows, *stated))
        pairs = [(f"{name}.{k}" if name else str(k), stated.get(k), follows.get(k)) for k in names]
    elif isinstance(stated, list) and isinstance(follows, list) and len(stated) == len(follows):
        both = enumerate(zip(stated, follows, strict=True))
        pairs = [(f"{name}[{n}]", *pair) for n, pair in both]
    elif _same(stated, follows):
        return None
    else:
        return f"{name} stated as {_SHORT.repr(stated)}, {_SHORT.repr(follows)} follows"
    return next(filter(None, (difference(a, b, at) for at, a, b in pairs)), None)


def _same(stated: Any, follows: Any) -> bool:
    if type(stated) is not type(follows):
        return False
    if isinstance(stated, float):
        return math.isclose(stated, follows, rel_tol=1e-12)
    return bool(stated == follows)
