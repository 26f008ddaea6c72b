"""Tables by count are computed once: exact sums certify thousands of images of one n."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from certiseg.stats import pvalues


def _kept(table: Callable[..., Any]) -> Callable[..., Any]:
    @cache
    def kept(*arguments: Any, **options: Any) -> Any:
        found = table(*arguments, **options)
        if isinstance(found, np.ndarray):
            found.flags.writeable = False
        return found

    return kept


NAMES = ("dominant_tail", "wrong_label_tail", "pooled_pvalues", "min_trials")
KEPT = {name: _kept(getattr(pvalues, name)) for name in NAMES}


@pytest.fixture(autouse=True)
def _tables_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = [module for name, module in sys.modules.items() if name.startswith("certiseg.certif")]
    for name, kept in KEPT.items():
        for module in rooms:
            if getattr(module, name, None) is getattr(pvalues, name):
                monkeypatch.setattr(module, name, kept)
