"""Counts go through JSON and come back; anything else is refused in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.records import counts_from_record, counts_record

TRUTH, LABELS = np.array([0, 1, 2, 255]), np.array([0, -1, 1, -1])
RADIUS = np.array([0.3, 0.0, 0.1, 0.0])
TREE = Hierarchy("flat", ("a", "b", "c"), (), (-1, -1, -1))
COUNTS = (
    Confusion.count(TRUTH, LABELS, 3, allowed=2),
    RadiusCurve.count(TRUTH, LABELS, 3, radius=RADIUS, grid=[0.0, 0.2]),
    InformationGain.count(TRUTH, LABELS, TREE),
)


@pytest.mark.parametrize("counts", COUNTS, ids=lambda counts: type(counts).__name__)
def test_there_and_back(counts):
    record = json.loads(json.dumps(counts_record(counts)))
    again = counts_from_record(type(counts), record)
    assert counts_record(again) == counts_record(counts)
    assert counts_record(again + counts) == counts_record(counts + counts)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("counts", [[1, 2], [3]]),
        ("counts", [[1.5, 0, 0, 0]] * 3),
        ("counts", [[-1, 0, 0, 0]] * 3),
        ("counts", "many"),
        ("counts", []),
        ("unlabelled", None),
        ("unlabelled", 1e400),
        ("extra", 1),
    ],
)
def test_damaged_counts(field, value):
    record = {**counts_record(COUNTS[0]), field: value}
    with pytest.raises(InputError, match="expected"):
        counts_from_record(Confusion, record)
