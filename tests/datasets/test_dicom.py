"""A DICOM series in a folder: the voxels and the space of the volume it was written from."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certiseg.datasets.dicom import is_series
from certiseg.datasets.nifti import read_nifti
from certiseg.datasets.volume_file import Window, is_volume_file, read_volume, volume_stem
from certiseg.errors import InputError

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")

SCAN = np.random.default_rng(0).integers(-900, 900, (5, 7, 6)).astype(np.int16)
SPACING, ORIGIN = (0.7, 0.9, 2.5), (-12.0, 34.0, -56.0)


@pytest.fixture(autouse=True)
def _same_locale() -> Iterator[None]:
    """Writing DICOM leaves another one behind, in which files are read as ASCII."""
    found = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, found)


def _image(values: np.ndarray) -> Any:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    return image


def _write(folder: Path, series: str = "1.2.3", leave_out: int | None = None) -> Path:
    """One file a slice, in an order that their names do not tell, stored with an intercept."""
    folder.mkdir(exist_ok=True)
    for number, z in enumerate(SCAN):
        if number == leave_out:
            continue
        image = sitk.GetImageFromArray(z[None].astype(np.int16))
        image.SetSpacing(SPACING)
        place = (*ORIGIN[:2], ORIGIN[2] + number * SPACING[2])
        for tag, text in {
            "0008|0060": "CT",
            "0020|000e": series,
            "0020|000d": "1.2",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0032": "\\".join(map(str, place)),
            "0020|0013": str(number),
            "0028|1052": "-1024",
            "0028|1053": "1",
        }.items():
            image.SetMetaData(tag, text)
        image.SetOrigin(place)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{(number * 3) % 5}-{series}.dcm"))
        writer.Execute(image)
    return folder


def test_the_same_as_nifti(tmp_path: Path) -> None:
    folder = _write(tmp_path / "scan")
    sitk.WriteImage(_image(SCAN), tmp_path / "a.nii")
    expected, place, _, _ = read_nifti(tmp_path / "a.nii")
    assert is_series(folder)
    assert is_volume_file(folder)
    assert volume_stem(folder) == "scan"
    found = read_volume(folder, Window(-1000, 1000))
    np.testing.assert_allclose(found.x, (expected + 1000) / 2000, atol=1e-6)
    np.testing.assert_allclose(found.affine, place, atol=1e-4)


def test_names_without_an_ending(tmp_path: Path) -> None:
    folder = _write(tmp_path / "scan")
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(path.name.replace(".", "_")))
    assert is_series(folder)
    assert read_volume(folder, Window(-1000, 1000)).x.shape == (1, 6, 7, 5)


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "scan", leave_out=2)
    with pytest.raises(InputError, match="at one distance"):
        read_volume(folder, Window(0, 1))


def test_two_series_are_refused(tmp_path: Path) -> None:
    _write(_write(tmp_path / "scan"), series="1.2.4")
    with pytest.raises(InputError, match="got 2; put each series into a folder of its own"):
        read_volume(tmp_path / "scan", Window(0, 1))


def test_files_that_are_no_dicom_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    with pytest.raises(InputError, match="one DICOM series"):
        read_volume(tmp_path, Window(0, 1))
    cut = _write(tmp_path / "scan")
    path = next(cut.iterdir())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="5 files of which 4 can be read"):
        read_volume(cut, Window(0, 1))


def test_an_empty_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no slices")
    assert not is_series(tmp_path)
