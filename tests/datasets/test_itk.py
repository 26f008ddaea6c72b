"""NRRD and MetaImage: the same voxels in the same order and space as the NIfTI file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certiseg.datasets import nifti
from certiseg.datasets.itk import read_itk
from certiseg.datasets.nifti import nifti_bytes, read_nifti
from certiseg.datasets.volume_file import Window, is_volume_file, read_volume
from certiseg.errors import InputError

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

TURN = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]


def image(values: np.ndarray, *, vector: bool = False) -> Any:
    made = sitk.GetImageFromArray(values, isVector=vector)
    made.SetSpacing((0.7, 0.9, 3.0))
    made.SetOrigin((10.0, -20.0, 30.0))
    made.SetDirection(TURN.ravel().tolist())
    return made


SCAN = np.random.default_rng(0).integers(-200, 300, (6, 5, 4)).astype(np.int16)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
def test_the_same_as_nifti(name: str, packed: bool, tmp_path: Path) -> None:
    sitk.WriteImage(image(SCAN), tmp_path / name, packed)
    sitk.WriteImage(image(SCAN), tmp_path / "a.nii")
    values, affine, header, notes = read_itk(tmp_path / name)
    expected, place, _, _ = read_nifti(tmp_path / "a.nii")
    assert np.array_equal(values, expected)
    np.testing.assert_allclose(affine, place, atol=1e-5)
    assert notes == ()
    assert is_volume_file(tmp_path / name)
    found = read_volume(tmp_path / name, Window(-200, 300))
    np.testing.assert_allclose(found.x[0], (SCAN.T + 200) / 500, atol=1e-6)
    (tmp_path / "labels.nii.gz").write_bytes(nifti_bytes(np.zeros((4, 5, 6), np.int16), header))
    again = nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_allclose(again.affine, place, atol=1e-5)
    np.testing.assert_allclose(again.header.get_qform(), place, atol=1e-4)


def test_several_values_a_voxel_are_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((6, 5, 4, 2)).astype(np.float32)
    sitk.WriteImage(image(values, vector=True), tmp_path / "a.nrrd")
    assert np.array_equal(read_itk(tmp_path / "a.nrrd")[0], values.T)


def test_other_files_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mha"
    sitk.WriteImage(image(SCAN), path)
    whole = path.read_bytes()
    bad = {
        b"": "SimpleITK cannot read",
        b"no volume": "SimpleITK cannot read",
        whole[:-20]: "SimpleITK cannot read",
        whole.replace(b"DimSize = 4 5 6", b"DimSize = 999 999 999"): "too few bytes",
        whole.replace(b"DimSize = 4 5 6", b"DimSize = 2000 2000 2000"): "more than",
        whole.replace(b"= LOCAL", b"= /etc/passwd"): "voxels in the same file",
        whole.replace(b"= LOCAL", b"= LIST"): "voxels in the same file",
    }
    for content, words in bad.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            read_itk(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="No such file"):
        read_itk(tmp_path / "none.nrrd")
    sitk.WriteImage(sitk.Image(4, 5, sitk.sitkUInt8), tmp_path / "flat.mha")
    with pytest.raises(InputError, match="2 axes"):
        read_itk(tmp_path / "flat.mha")
    path.write_bytes(whole)
    monkeypatch.setattr(nifti, "MOST_VOXELS", 100)
    with pytest.raises(InputError, match="more than 100 values"):
        read_itk(path)


def test_voxels_lie_in_the_file_or_beside_it(tmp_path: Path) -> None:
    sitk.WriteImage(image(SCAN), tmp_path / "a.mhd")
    text = (tmp_path / "a.mhd").read_text()
    for place in ("../a.raw", str(tmp_path / "a.raw"), "none.raw", "a%03d.raw 1 3 1"):
        (tmp_path / "a.mhd").write_text(text.replace("= a.raw", f"= {place}"))
        with pytest.raises(InputError, match="in one beside it"):
            read_itk(tmp_path / "a.mhd")
    content = (
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 5 6\nencoding: raw\ndata file: a.raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(content)
    with pytest.raises(InputError, match=r"got 'a.raw'; write it as one file"):
        read_itk(tmp_path / "a.nrrd")
