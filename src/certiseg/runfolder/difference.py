"""The first place where a record of plain values says something else than what follows."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from certiseg.errors import ClaimError

_SHORT = reprlib.Repr()
_SHORT.maxstring = 60

Fact = tuple[str, Any, Any]
"""What is stated: its name, the value, and the one that follows."""


def check(facts: Iterable[Fact], before: str = "", after: str = "") -> None:
    """Raise ClaimError, one line, at the first fact that is stated as another than follows."""
    for name, stated, follows in facts:
        if said := difference(stated, follows, name):
            raise ClaimError(f"{before}{said}{after}")


def difference(stated: Any, follows: Any, name: str = "") -> str | None:
    """Where the two say otherwise, "NAME stated as A, B follows"; None where they say the same.

    Sums of floats may differ in their last bits between machines: 1e-12 of the value is no
    difference. A number and a truth value are never the same.
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
