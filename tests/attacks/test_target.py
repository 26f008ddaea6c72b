"""Targets of attacks."""

from __future__ import annotations

import numpy as np
import pytest

import certiseg as cs
from certiseg.attacks.target import without


def test_the_nearest_other_label_takes_its_place() -> None:
    labels = np.array([[0, 5, 5, 5, 5], [0, 5, 5, 5, 3]])
    assert without(labels, 5).tolist() == [[0, 0, 0, 3, 3], [0, 0, 0, 3, 3]]
    assert labels[0, 1] == 5


def test_in_a_cloud_the_nearest_point_counts_not_the_next_in_the_file() -> None:
    points = np.array([[0.0, 5, 1, 9, 4], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    assert without([0, 3, 5, 7, 5], 5, points).tolist() == [0, 3, 0, 7, 3]


@pytest.mark.parametrize(("label", "words"), [(4, "nowhere"), (5, "everywhere")])
def test_what_cannot_vanish(label: int, words: str) -> None:
    with pytest.raises(cs.InputError, match=words):
        without(np.full((2, 2), 5), label)
