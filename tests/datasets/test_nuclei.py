"""Generated nuclei: shapes, masks that fit the images, splits of their own."""

from __future__ import annotations

import numpy as np
import pytest

from certiseg.datasets.nuclei import SIDE, SIZES, nuclei
from certiseg.errors import InputError


def test_images_and_masks() -> None:
    data = nuclei("test")
    assert len(data) == SIZES["test"]
    for index in range(5):
        sample = data[index]
        assert sample.x.shape == (1, SIDE, SIDE)
        assert sample.x.dtype == np.float32
        assert 0 <= sample.x.min() <= sample.x.max() <= 1
        assert set(np.unique(sample.labels)) == {0, 1}
        inside = sample.x[0][sample.labels == 1].mean()
        assert inside > sample.x[0][sample.labels == 0].mean() + 0.05


def test_images_repeat_and_splits_differ() -> None:
    assert np.array_equal(nuclei("test")[3].x, nuclei("test")[3].x)
    assert not np.array_equal(nuclei("test")[3].x, nuclei("val")[3].x)
    with pytest.raises(IndexError):
        nuclei("val")[SIZES["val"]]
    with pytest.raises(InputError, match="train, val, test, got 'demo'"):
        nuclei("demo")
