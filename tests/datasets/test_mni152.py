"""The template slices: shapes, truth that agrees with the picture, splits that do not touch."""

from __future__ import annotations

import importlib.util
import itertools

import numpy as np
import pytest

from certiseg.datasets import mni152 as module
from certiseg.datasets.mni152 import CARD, SPLITS, mni152
from certiseg.errors import InputError

needs_nilearn = pytest.mark.skipif(
    importlib.util.find_spec("nilearn") is None, reason="nilearn is not installed"
)


def test_splits_are_apart() -> None:
    blocks = {name: {z for block in parts for z in block} for name, parts in SPLITS.items()}
    for one, other in itertools.combinations(blocks.values(), 2):
        assert min(abs(a - b) for a in one for b in other) >= 5


@needs_nilearn
def test_slices() -> None:
    data = mni152("demo")
    assert len(data) == len(SPLITS["demo"][0])
    sample = data[0]
    assert sample.name == "mni152-z080"
    assert sample.x.shape == (1, *sample.labels.shape)
    assert sample.x.dtype == np.float32
    assert 0 <= sample.x.min() <= sample.x.max() <= 1
    assert all(side % 8 == 0 for side in sample.labels.shape)
    # White matter is bright, grey matter darker, background darkest: picture and truth agree.
    means = [sample.x[0][sample.labels == c].mean() for c in range(CARD.num_classes)]
    assert means[0] < means[1] < means[2]
    assert set(np.unique(sample.labels)) == {0, 1, 2}


@needs_nilearn
def test_upright_and_centred() -> None:
    labels = mni152("demo")[6].labels
    inside = np.argwhere(labels > 0)
    # The symmetric template lies centred, and the head is longer than wide.
    assert abs(inside[:, 1].mean() - (labels.shape[1] - 1) / 2) < 1.5
    assert np.ptp(inside[:, 0]) > np.ptp(inside[:, 1])
    flipped = labels[:, ::-1]
    assert (flipped == labels).mean() > 0.8


def test_unknown_split() -> None:
    with pytest.raises(InputError, match="train, val, demo, got 'test'"):
        mni152("test")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"certiseg\[demo\]"):
        module._load("t1")
