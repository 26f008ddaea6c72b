"""The CamVid reader on its layout, and on the real frames where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.camvid import CARD, camvid
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError


def test_void_becomes_ignore(tmp_path: Path) -> None:
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (12, 2)).save(tmp_path / "val" / "f.png")
    ids = np.tile(np.arange(12, dtype=np.uint8), (2, 1))
    Image.fromarray(ids).save(tmp_path / "valannot" / "f.png")
    assert camvid(tmp_path, "val")[0].labels[0].tolist() == [*range(11), IGNORE]


def test_other_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train/ and trainannot/"):
        camvid(tmp_path, "train")


def test_real_frames(data_root: Path) -> None:
    train, val = camvid(data_root / "camvid", "train"), camvid(data_root / "camvid", "val")
    assert (len(train), len(val)) == (367, 101)
    sample = val[0]
    assert sample.x.shape == (3, 360, 480)
    assert set(np.unique(sample.labels)) <= {*range(CARD.num_classes), IGNORE}
    # Sky (0) is above road (3) and brighter in every frame of a driving scene.
    rows = {c: np.argwhere(sample.labels == c)[:, 0].mean() for c in (0, 3)}
    assert rows[0] < rows[3]
