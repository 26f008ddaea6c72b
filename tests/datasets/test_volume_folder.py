"""Pairs of volumes and label volumes: the same voxels, the same space, ids of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.card import Card
from certiseg.datasets.volume_file import Window
from certiseg.datasets.volume_folder import VolumeFolder
from certiseg.errors import InputError

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

CARD = Card("ct", ("none", "liver"), ((0, 0, 0), (200, 0, 0)), 1, "ours", "CC0", inputs="volumes")
SCAN = np.random.default_rng(0).integers(-200, 300, (4, 5, 6)).astype(np.int16)
TRUTH = (SCAN > 50).astype(np.uint8)
AFFINE = np.diag([1.0, 1, 3, 1])
WINDOW = Window(-200, 300)


def nifti(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def pair(folder: Path, labels: np.ndarray = TRUTH, affine: np.ndarray = AFFINE) -> VolumeFolder:
    nifti(folder / "images" / "a.nii.gz", SCAN)
    nifti(folder / "labels" / "a.nii", labels, affine)
    return VolumeFolder(folder / "images", folder / "labels", CARD, WINDOW, [7])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_labels_of_any_type_are_ids(dtype: type, tmp_path: Path) -> None:
    labels = TRUTH.astype(dtype)
    labels[0, 0, :2] = 255, 7
    found = pair(tmp_path, labels)
    assert len(found) == 1
    assert found.chosen == {"window": [-200, 300]}
    sample = found[0]
    assert sample.name == "a"
    np.testing.assert_allclose(sample.x[0], (SCAN + 200) / 500, atol=1e-6)
    expected = TRUTH.copy()
    expected[0, 0, :2] = 255
    assert np.array_equal(sample.labels, expected)
    assert sample.labels.dtype == np.uint8


def test_npy_pairs_too(tmp_path: Path) -> None:
    for name, values in (("images", SCAN), ("labels", TRUTH)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", values)
    found = VolumeFolder(tmp_path / "images", tmp_path / "labels", CARD, WINDOW)
    assert np.array_equal(found[0].labels, TRUTH)


@pytest.mark.parametrize(
    ("labels", "affine", "word"),
    [
        (TRUTH[:, :, :5], AFFINE, "labels of 4 x 5 x 6 voxels as in a.nii.gz, got 4 x 5 x 5"),
        (np.stack([TRUTH, TRUTH], -1), AFFINE, "got 2 x 4 x 5 x 6"),
        (TRUTH, np.diag([-1.0, 1, 3, 1]), "another affine"),
        (TRUTH * 2, AFFINE, r"labels 0..1 and 255, got 2; .*--ignore"),
        (TRUTH - 0.5, AFFINE, "got -0.5, 0.5"),
        (np.where(TRUTH == 1, np.nan, 0), AFFINE, "got nan"),
    ],
)
def test_labels_that_do_not_fit_are_one_line(
    labels: np.ndarray, affine: np.ndarray, word: str, tmp_path: Path
) -> None:
    found = pair(tmp_path, labels, affine)
    with pytest.raises(InputError, match=word) as caught:
        found[0]
    assert "\n" not in str(caught.value)


def test_the_same_affine_up_to_rounding_is_the_same_space(tmp_path: Path) -> None:
    assert pair(tmp_path, affine=AFFINE + 1e-5)[0].labels.shape == SCAN.shape


def test_folders_that_do_not_pair(tmp_path: Path) -> None:
    pair(tmp_path)
    nifti(tmp_path / "images" / "b.nii.gz", SCAN)
    with pytest.raises(InputError, match=r"the labels of b.nii.gz under the same stem"):
        VolumeFolder(tmp_path / "images", tmp_path / "labels", CARD)
