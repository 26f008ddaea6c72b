"""NIfTI: voxels as they are stored, and outputs in the space that the header states."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certiseg.datasets.nifti import nifti_bytes, read_nifti
from certiseg.errors import InputError

nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")

QFORM = np.diag([2.0, 2, 2, 1])
TURNED = np.array([[-0.6, -0.3, 0, 10], [-0.25, 0.85, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])
LEFT = np.diag([-1.0, 1.5, 2, 1])
FIELDS = (
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)
VALUES = np.random.default_rng(0).random((4, 5, 6))


def made(
    values: np.ndarray = VALUES,
    qform: tuple[Any, int] = (QFORM, 1),
    sform: tuple[Any, int] = (QFORM, 2),
    *,
    kind: str = "Nifti1Image",
    **fields: Any,
) -> Any:
    """An image with these forms and codes; None leaves a form as a new header has it."""
    image = getattr(nibabel, kind)(values, None)
    for (affine, code), put in ((sform, image.header.set_sform), (qform, image.header.set_qform)):
        if affine is not None:
            put(affine, code)
    image.header.set_xyzt_units("mm", "sec")
    for name, value in fields.items():
        image.header[name] = value
    return image


def written(path: Path, image: Any) -> Path:
    content = image.to_bytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def labels_of(path: Path, folder: Path) -> Any:
    """The labels that a run writes for this file, as another program reads them."""
    values, _, header, _ = read_nifti(path)
    labels = np.arange(values[0].size, dtype=np.int16).reshape(values.shape[1:])
    (folder / "labels.nii.gz").write_bytes(nifti_bytes(labels, header))
    found = nibabel.load(folder / "labels.nii.gz")
    assert np.array_equal(np.asarray(found.dataobj), labels)
    return found


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    ("qform", "sform", "words"),
    [
        ((QFORM, 1), (TURNED, 2), "qform and sform"),
        ((QFORM, 1), (QFORM, 2), ""),
        ((TURNED, 0), (QFORM, 4), "by pixdim and"),
        ((QFORM, 1), (TURNED, 0), ""),
        ((LEFT, 1), (None, 0), ""),
        ((None, 0), (LEFT, 3), "by pixdim and"),
        ((None, 0), (None, 0), ""),
    ],
    ids=["differ", "agree", "sform only", "sform code 0", "qform", "pixdim differs", "neither"],
)
def test_outputs_carry_both_forms_as_they_came(
    qform: Any, sform: Any, words: str, name: str, tmp_path: Path
) -> None:
    path = written(tmp_path / name, made(qform=qform, sform=sform))
    source, found = nibabel.load(path), labels_of(path, tmp_path)
    for field in FIELDS:
        assert np.array_equal(found.header[field], source.header[field]), field
    assert found.header.get_zooms() == source.header.get_zooms()
    assert found.header["pixdim"][0] == source.header["pixdim"][0]
    assert np.array_equal(found.affine, source.affine)
    notes = read_nifti(path)[3]
    assert len(notes) == bool(words)
    assert all(words in note for note in notes)


def test_an_output_that_takes_over_the_affine_alone_is_caught(tmp_path: Path) -> None:
    """Negative control: what was done before."""
    path = written(tmp_path / "a.nii", made(sform=(TURNED, 2)))
    source = nibabel.load(path)
    other = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), source.affine)
    other.set_qform(source.affine, 1)
    assert not np.allclose(other.get_qform(), source.get_qform(), atol=0.1)
    assert other.header.get_zooms() != source.header.get_zooms()


def test_nifti_2_and_big_endian_are_read_and_written(tmp_path: Path) -> None:
    path = written(tmp_path / "two.nii.gz", made(sform=(TURNED, 2), kind="Nifti2Image"))
    assert np.allclose(read_nifti(path)[0][0], VALUES)
    found = labels_of(path, tmp_path)
    assert type(found).__name__ == "Nifti2Image"
    assert np.array_equal(found.header["srow_x"], nibabel.load(path).header["srow_x"])
    for kind in ("Nifti1Image", "Nifti2Image"):
        image = made(sform=(TURNED, 2), kind=kind)
        header = image.header.as_byteswapped(">")
        header.set_data_dtype(np.dtype(">f8"))
        path = written(tmp_path / "big.nii", getattr(nibabel, kind)(VALUES, None, header))
        assert nibabel.load(path).header.endianness == ">"
        assert np.array_equal(read_nifti(path)[0][0], VALUES)
        assert np.array_equal(labels_of(path, tmp_path).affine, nibabel.load(path).affine)


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "f4", "f8", "u1", "i8"])
def test_types_and_scaling(dtype: str, tmp_path: Path) -> None:
    stored = np.arange(120).reshape(4, 5, 6).astype(dtype)
    image = nibabel.Nifti1Image(stored, np.eye(4), dtype=np.dtype(dtype))
    path = written(tmp_path / "a.nii", image)
    assert np.array_equal(read_nifti(path)[0][0], stored.astype(float))
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([2, -1000], "<f4").tobytes()
    path.write_bytes(content)
    assert np.array_equal(read_nifti(path)[0][0], 2.0 * stored - 1000)
    # Labels are not scaled as the intensities were.
    assert np.isnan(labels_of(path, tmp_path).header["scl_slope"])


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((4, 5, 6, 1), 1), ((4, 5, 6, 2), 2), ((4, 5, 6, 1, 3), 3), ((4, 5, 1), 1), ((1, 5, 6), 1)],
)
def test_axes_after_the_third_are_channels(
    shape: tuple[int, ...], channels: int, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).random(shape)
    path = written(tmp_path / "a.nii", made(values))
    found = read_nifti(path)[0]
    assert np.array_equal(found, np.moveaxis(values.reshape(*shape[:3], channels), -1, 0))
    assert labels_of(path, tmp_path).header.get_zooms() == (2, 2, 2)


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (made(np.zeros((4, 5, 6, 2, 3))), "one volume out of the series"),
        (made(np.zeros((4, 5))), "third axis of length 1"),
        (made(np.zeros((4, 5, 6), np.complex64)), "one number a voxel, got complex64"),
        (
            made(np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])),
            "one number a voxel, got RGB",
        ),
        (nibabel.Nifti1Pair(VALUES, np.eye(4)), "header of a pair"),
    ],
)
def test_what_is_no_volume_is_one_line(image: Any, word: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    if isinstance(image, nibabel.Nifti1Image):
        written(path, image)
    else:
        image.update_header()
        path.write_bytes(image.header.binaryblock + b"\0" * 4 + VALUES.tobytes())
    with pytest.raises(InputError, match=word) as caught:
        read_nifti(path)
    assert "\n" not in str(caught.value)


def test_a_wrong_ending_says_how_to_rename(tmp_path: Path) -> None:
    content = made().to_bytes()
    for name, stored, right in (
        ("a.nii.gz", content, ".nii"),
        ("a.nii", gzip.compress(content), ".nii.gz"),
    ):
        (tmp_path / name).write_bytes(stored)
        with pytest.raises(InputError, match=f"rename it to end in {right}$"):
            read_nifti(tmp_path / name)
        (tmp_path / f"b{right}").write_bytes(stored)
        assert np.array_equal(read_nifti(tmp_path / f"b{right}")[0][0], VALUES)


def test_fields_that_do_not_follow_the_format_are_noted_and_carried_over(tmp_path: Path) -> None:
    """A negative voxel size is read as its absolute value; the output states what the input did."""
    path = written(tmp_path / "a.nii", made(sform=(None, 0)))
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(-2).tobytes()
    path.write_bytes(content)
    (note,) = read_nifti(path)[3]
    assert "pixdim[1,2,3] should be positive" in note
    values, _, header, _ = read_nifti(path)
    packed = gzip.decompress(nifti_bytes(values[0].astype(np.int16), header))
    assert packed[76:92] == bytes(content[76:92])
