"""Volumes are read as their files have them, scaled as the user says, and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.nifti import nifti_bytes
from certiseg.datasets.volume_file import (
    Window,
    is_volume_file,
    read_volume,
    volume_stem,
    window_of,
)
from certiseg.errors import InputError

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

AFFINE = np.array([[0.0, -2, 0, 7], [1.5, 0, 0, 4], [0, 0, 3, -1], [0, 0, 0, 1]])


def nifti(path: Path, values: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    return path


def test_nifti_is_read_with_channels_first(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((4, 5, 6), dtype=np.float32)
    found = read_volume(nifti(tmp_path / "a.nii.gz", values))
    assert np.array_equal(found.x, values[None])
    assert found.x.dtype == np.float32
    assert np.array_equal(found.affine, AFFINE)
    several = np.random.default_rng(1).random((4, 5, 6, 2), dtype=np.float32)
    assert np.array_equal(read_volume(nifti(tmp_path / "b.nii", several)).x[1], several[..., 1])


def test_npy_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 4, 5, 6))
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", values[0])
    assert np.array_equal(read_volume(tmp_path / "a.npy").x, values.astype(np.float32))
    assert read_volume(tmp_path / "b.npy").x.shape == (1, 4, 5, 6)


def test_a_window_scales_and_clips(tmp_path: Path) -> None:
    values = np.arange(-2, 6, dtype=np.int16).reshape(2, 2, 2)
    found = read_volume(nifti(tmp_path / "a.nii", values), Window(0, 4))
    assert found.x.ravel().tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert (found.window, found.clipped) == ((0.0, 4.0), 3 / 8)


def test_the_header_of_the_file_scales_its_values(tmp_path: Path) -> None:
    values = np.full((2, 2, 2), 4, np.float64)
    values[0] = 8
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(values, AFFINE)
    image.header.set_data_dtype(np.int16)
    image.header.set_slope_inter(2, 0)
    nibabel.save(image, path)
    # 4 and 8 are stored, which the header makes 8 and 16.
    assert read_volume(path, Window(0, 16)).x.min() == 0.5


def test_percentiles_are_of_the_file_itself(tmp_path: Path) -> None:
    values = np.arange(1000, dtype=np.int16).reshape(10, 10, 10)
    found = read_volume(nifti(tmp_path / "a.nii", values), Window(0, 50, percentiles=True))
    assert found.window == (0.0, 499.5)
    assert found.clipped == 0.5


def test_a_fixed_window_carries_the_radius_to_the_file(tmp_path: Path) -> None:
    """Theory T1: what moves the file by r moves the scaled volume by r / (high - low) at most. A
    window taken from each file anew does not (negative control)."""
    rng = np.random.default_rng(0)
    base = rng.normal(0, 100, (6, 6, 6))
    worst = {False: 0.0, True: 0.0}
    for trial in range(20):
        step = np.zeros(base.shape)
        if trial == 0:
            step[np.unravel_index(base.argmax(), base.shape)] = 300.0
        else:
            step += rng.normal(0, 10, base.shape)
        for percentiles in worst:
            window = Window(0, 100, percentiles=True) if percentiles else Window(-150, 250)
            scaled = []
            for name, values in (("a", base), ("b", base + step)):
                np.save(tmp_path / f"{name}.npy", values)
                scaled.append(read_volume(tmp_path / f"{name}.npy", window))
            low, high = scaled[0].window
            moved = np.linalg.norm(scaled[0].x.astype(float) - scaled[1].x)
            ratio = moved * (high - low) / np.linalg.norm(step)
            worst[percentiles] = max(worst[percentiles], ratio)
    assert worst[False] <= 1 + 1e-5
    assert worst[True] > 1.05


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (np.full((2, 2, 2), 3.0), r"in \[0, 1\], got \[3, 3\]; say"),
        (np.full((2, 2, 2), np.nan), "finite intensities"),
        (np.zeros((2, 2)), "a volume"),
        (np.zeros((2, 2, 2, 2, 3)), "a volume"),
    ],
)
@pytest.mark.parametrize("ending", ["nii.gz", "npy"])
def test_other_values_are_one_line(
    values: np.ndarray, word: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, values)
    else:
        nifti(path, values)
    with pytest.raises(InputError, match=word) as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


def test_a_volume_of_one_value_has_no_percentiles(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.full((2, 2, 2), 3.0))
    with pytest.raises(InputError, match="intensities that differ"):
        read_volume(path, Window(1, 99, percentiles=True))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.npy"])
def test_other_files_are_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match="expected a"):
        read_volume(path)
    for content in (b"", b"no volume", gzip.compress(b"no volume either")):
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected a") as caught:
            read_volume(path)
        assert "\n" not in str(caught.value)


def test_objects_in_npy_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[[{}]]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="expected an npy file of numbers"):
        read_volume(tmp_path / "a.npy")


def test_windows_are_checked() -> None:
    for low, high, percentiles in ((1, 1, False), (2, 1, False), (-1, 50, True), (0, 101, True)):
        with pytest.raises(InputError, match="expected"):
            Window(low, high, percentiles)
    assert window_of(None, None) is None
    assert window_of((0, 2), None) == Window(0, 2)
    assert window_of(None, (1, 99)) == Window(1, 99, percentiles=True)
    with pytest.raises(InputError, match="got both"):
        window_of((0, 2), (1, 99))


def test_endings_and_axes_tell_volumes(tmp_path: Path) -> None:
    np.save(tmp_path / "cloud.npy", np.zeros((40, 3)))
    np.save(tmp_path / "volume.npy", np.zeros((4, 4, 4)))
    names = {"a.nii": True, "a.NII.GZ": True, "a.png": False, "none.npy": False}
    for name, expected in {**names, "cloud.npy": False, "volume.npy": True}.items():
        assert is_volume_file(tmp_path / name) == expected
    assert volume_stem(Path("x/ct.1.nii.gz")) == "ct.1"
    assert volume_stem(Path("x/ct.npy")) == "ct"


def test_labels_lie_where_the_input_lay(tmp_path: Path) -> None:
    source = nifti(tmp_path / "a.nii.gz", np.zeros((3, 4, 5), np.float32))
    found = read_volume(source)
    labels = np.random.default_rng(0).integers(-1, 4, (3, 4, 5)).astype(np.int16)
    content = nifti_bytes(labels, found.header)
    assert content == nifti_bytes(labels, found.header)
    (tmp_path / "l.nii.gz").write_bytes(content)
    again = nibabel.load(tmp_path / "l.nii.gz")
    assert np.array_equal(np.asarray(again.dataobj), labels)
    assert np.allclose(again.affine, AFFINE)
    assert again.header.get_xyzt_units() == found.header.get_xyzt_units()


def test_a_header_that_is_read_otherwise_than_stored_is_told(tmp_path: Path) -> None:
    """nibabel reads a qfac of 0 as 1 without a word; negative control: the file as written."""
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.full((3, 4, 5), 0.5, np.float32), np.eye(4))
    content = bytearray(image.to_bytes())
    path = tmp_path / "scan.nii"
    path.write_bytes(content)
    assert read_volume(path, None).notes == ()
    content[76:80] = np.float32(0).tobytes()
    path.write_bytes(content)
    (fault,) = read_volume(path, None).notes
    assert "qfac" in fault
