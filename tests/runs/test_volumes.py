"""Runs of certify over volumes: what is refused beforehand, what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.images import Reading
from certiseg.datasets.volume_file import Window
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.certify import certify_images
from certiseg.runs.inputs import CloudOptions
from certiseg.runs.settings import Settings
from certiseg.runs.volumes import rounded_down

SETTINGS = Settings(sigma=0.1, num_samples=60)
WINDOW = Window(0, 200)


def by_brightness(x: torch.Tensor) -> torch.Tensor:
    return (x.mean(1) > 0.5).long()


def loaded(kind: str | None = None, channels: int | None = None, model: Any = None) -> LoadedModel:
    return LoadedModel("python:test", model or by_brightness, 2, channels=channels, kind=kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scan = np.random.default_rng(0).integers(0, 201, (5, 6, 7)).astype(np.float64)
    np.save(tmp_path / "scan.npy", scan)
    np.save(tmp_path / "two.npy", np.stack([scan, scan]))
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).random((40, 3)))
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / "street.png")
    return tmp_path


def test_a_volume_is_written_and_its_record_says_how_it_was_scaled(folder: Path) -> None:
    out = folder / "out"
    paths = [folder / "scan.npy", folder / "two.npy"]
    first, second = certify_images(paths, loaded(), SETTINGS, out, window=WINDOW)
    assert (first["size"], first["window"], first["clipped"]) == ([5, 6, 7], [0, 200], 0)
    assert first["window_percentiles"] is None
    assert second["size"] == [5, 6, 7]
    certificate = Certificate.load(out / "scan.cert.npz")
    assert certificate.votes.source is not None
    assert certificate.votes.source.input_shape == (1, 5, 6, 7)
    assert {path.suffix for path in out.glob("[!.]*")} == {".npz", ".png", ".jsonl"}


@pytest.mark.parametrize(
    ("names", "model", "options", "word"),
    [
        (["scan.npy", "street.png"], loaded(), {"window": WINDOW}, "alone, got .*street.png"),
        (["scan.npy", "cloud.npy"], loaded(), {"window": WINDOW}, "alone, got .*cloud.npy"),
        (["street.png"], loaded("volumes"), {}, "for python:test, got .*street.png"),
        (["scan.npy"], loaded("images"), {"window": WINDOW}, "got the volume .*scan.npy"),
        (["cloud.npy"], loaded(), {"window": WINDOW}, "a window with volumes or images"),
        (["scan.npy"], loaded(), {"window": WINDOW, "reading": Reading("apply")}, "--exif and"),
        (["scan.npy"], loaded(), {}, r"intensities in \[0, 1\]"),
        (["scan.npy"], loaded(channels=2), {"window": WINDOW}, "2 channels for python:test, got 1"),
        (["scan.npy"], loaded(), {"clouds": CloudOptions("mug")}, "no --category, --points"),
        (["street.png"], loaded("images", 4), {}, "1 channel .grey. or 3"),
    ],
)
def test_what_does_not_fit_is_one_line(
    names: list[str], model: LoadedModel, options: dict[str, Any], word: str, folder: Path
) -> None:
    with pytest.raises(InputError, match=word) as caught:
        certify_images([folder / n for n in names], model, SETTINGS, folder / "out", **options)
    assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()


def test_a_grid_and_a_model_of_one_channel_are_refused(folder: Path) -> None:
    out = folder / "out"
    settings = Settings(sigma=0.1, num_samples=60, grid=2)
    with pytest.raises(InputError, match="images with a grid of cells, got a volume"):
        certify_images([folder / "scan.npy"], loaded(), settings, out, window=WINDOW)
    one = LoadedModel("python:test", lambda x: x[:, :1] - 0.5)
    with pytest.raises(InputError, match="at least 2 classes or a declared"):
        certify_images([folder / "scan.npy"], one, SETTINGS, out, window=WINDOW)
    assert not out.exists()


def test_radii_in_single_precision_are_no_larger() -> None:
    radius = np.random.default_rng(0).random(1000)
    single = rounded_down(radius)
    assert single.dtype == np.float32
    assert (single <= radius).all()
    assert (radius - single <= 2**-23).all()
    assert (radius.astype(np.float32) > radius).any()  # plain rounding would not do


def test_a_header_that_is_read_otherwise_than_stored_is_noted(folder: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.full((5, 6, 7), 0.5, np.float32), np.eye(4))
    content = bytearray(image.to_bytes())
    content[76:80] = np.float32(0).tobytes()
    (folder / "scan.nii").write_bytes(content)
    notes: list[str] = []
    paths = [folder / "scan.nii"]
    list(certify_images(paths, loaded(), SETTINGS, folder / "out", note=notes.append))
    assert any("qfac" in text for text in notes)


def test_a_file_of_a_volume_declares_a_depth_of_three(folder: Path) -> None:
    np.save(folder / "flat.npy", np.random.default_rng(0).random((3, 6, 7)))
    (record,) = certify_images([folder / "flat.npy"], loaded(), SETTINGS, folder / "out")
    assert record["size"] == [3, 6, 7]


def test_labels_lie_where_the_file_does_by_both_of_its_forms(folder: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.full((5, 6, 7), 0.5, np.float32), None)
    image.header.set_sform(np.diag([1.0, 1, 3, 1]), 2)
    image.header.set_qform(np.diag([2.0, 2, 2, 1]), 1)
    (folder / "scan.nii").write_bytes(image.to_bytes())
    notes: list[str] = []
    settings = Settings(sigma=0.1, num_samples=200, radius_map=True)
    paths = [folder / "scan.nii"]
    list(certify_images(paths, loaded(), settings, folder / "out", note=notes.append))
    assert any("qform and sform place it differently" in text for text in notes)
    for name in ("labels", "radius"):
        found = nibabel.load(folder / "out" / f"scan.{name}.nii.gz").header
        assert np.allclose(found.get_qform(), np.diag([2, 2, 2, 1]))
        assert np.allclose(found.get_sform(), np.diag([1, 1, 3, 1]))
        assert (found["qform_code"], found["sform_code"]) == (1, 2)


def test_a_slice_of_dicom_is_refused(folder: Path) -> None:
    (folder / "slice.dcm").write_bytes(b"DICM")
    with pytest.raises(InputError, match=r"slice.dcm: .*name the folder that holds the series"):
        certify_images([folder / "slice.dcm"], loaded(), SETTINGS, folder / "out")


def test_labels_of_an_nrrd_file_are_nifti_in_its_space(folder: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    nibabel = pytest.importorskip("nibabel")
    made = sitk.GetImageFromArray(np.full((7, 6, 5), 0.9, np.float32))
    made.SetSpacing((1.0, 2.0, 3.0))
    made.SetOrigin((5.0, 6.0, 7.0))
    sitk.WriteImage(made, folder / "scan.nrrd")
    (record,) = certify_images([folder / "scan.nrrd"], loaded(), SETTINGS, folder / "out")
    assert record["size"] == [5, 6, 7]
    written = nibabel.load(folder / "out" / "scan.labels.nii.gz")
    expected = np.diag([-1.0, -2, 3, 1])
    expected[:3, 3] = -5, -6, 7
    assert np.allclose(written.affine, expected)
    assert (np.asarray(written.dataobj) == 1).all()
