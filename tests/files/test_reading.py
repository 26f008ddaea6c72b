"""Files from outside: pipes, devices and sizes beyond the limits, for every kind of input."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import certiseg as cs
from certiseg.datasets import image_file, nifti
from certiseg.datasets.cloud_file import read_cloud
from certiseg.datasets.described import described
from certiseg.datasets.folder import folder_card
from certiseg.datasets.images import read_image
from certiseg.datasets.label_file import read_labels
from certiseg.datasets.volume_file import is_volume_file, read_volume
from certiseg.errors import InputError
from certiseg.files.reading import in_words, open_bounded, read_bounded
from certiseg.hierarchies.files import load_hierarchy
from certiseg.models.adapters.exported import load_exported
from certiseg.models.adapters.onnx import load_onnx
from certiseg.models.checkpoint import read_checkpoint
from certiseg.models.serialization import load_folder
from certiseg.runfolder.manifest import read_manifest

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "picture": ("x.png", read_image),
    "labels": ("x.png", read_labels),
    "volume": ("x.nii.gz", read_volume),
    "volume as npy": ("x.npy", read_volume),
    "cloud": ("x.txt", read_cloud),
    "cloud as npy": ("x.npy", read_cloud),
    "certificate": ("x.cert.npz", cs.Certificate.load),
    "ONNX": ("x.onnx", load_onnx),
    "torch.export": ("x.pt2", load_exported),
    "checkpoint": ("x.pth", read_checkpoint),
    "safetensors": ("x.safetensors", read_checkpoint),
    "card": ("card.json", lambda path: load_folder(path.parent)),
    "hierarchy": ("x.yaml", load_hierarchy),
    "hierarchy as JSON": ("x.json", load_hierarchy),
    "data sheet": ("x.yaml", lambda path: described(path, "val")),
    "run": ("run.json", lambda path: read_manifest(path.parent)),
    "classes": ("x.txt", lambda path: folder_card("data", str(path))),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("device", [None, "/dev/zero"])
@pytest.mark.parametrize("kind", READERS)
def test_pipes_and_devices_are_refused(kind: str, device: str | None, tmp_path: Path) -> None:
    """A pipe that nobody writes to is not waited for; /dev/zero would never end."""
    name, read = READERS[kind]
    path = tmp_path / name
    if device is None:
        os.mkfifo(path)
    else:
        path.symlink_to(device)
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    if kind != "classes":
        assert "a pipe or device, no regular file" in str(caught.value)
    assert not is_volume_file(tmp_path / "x.npy")


def test_the_size_is_bounded_and_the_limit_itself_passes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(1024))
    assert read_bounded(path, 1024) == bytes(1024)
    with pytest.raises(OSError, match=r"more than 1023 bytes \(docs/limits.md\)"):
        read_bounded(path, 1023)
    with pytest.raises(OSError, match="a folder"):
        open_bounded(tmp_path, 1)
    assert [in_words(n) for n in (5, 256 * 1024, 8 * 1024**3)] == ["5 bytes", "256 KiB", "8 GiB"]


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    earlier = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda *_: earlier)
    with pytest.raises(OSError, match="a pipe or device"):
        read_bounded(path, 10)


def test_a_gzip_file_is_bounded_by_what_it_unpacks_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousandth on disk; several parts one after another count together."""
    pytest.importorskip("nibabel")
    monkeypatch.setattr(nifti, "VOLUME", 2 * 1024**2)
    path = tmp_path / "x.nii.gz"
    path.write_bytes(gzip.compress(bytes(2**20)) * 3)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="a file that unpacks to more than 2 MiB"):
        read_volume(path)


def test_a_header_is_believed_as_far_as_there_are_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nibabel = pytest.importorskip("nibabel")
    content = bytearray(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_bytes())
    whole = gzip.compress(content)
    content[42:48] = b"\xff\x7f" * 3  # 32 767 voxels a side
    path = tmp_path / "x.nii"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bytes for a volume of \(32767, 32767, 32767\)"):
        read_volume(path)
    monkeypatch.setattr(nifti, "MOST_VOXELS", 63)
    np.save(tmp_path / "x.npy", np.zeros((4, 4, 4), np.float32))
    (tmp_path / "whole.nii.gz").write_bytes(whole)
    for name in ("x.npy", "whole.nii.gz"):
        with pytest.raises(InputError, match="more than 63 values"):
            read_volume(tmp_path / name)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_has_at_most_as_many_pixels_as_its_error_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row less than the limit of Pillow passes its check, one more does not: a file of 90
    kilobytes that unpacks to 89 million pixels."""
    path = tmp_path / "x.png"
    Image.new("L", (9_460, 9_460)).save(path, compress_level=1)
    with pytest.raises(InputError, match=f"at most {image_file.MOST_PIXELS} pixels, got more"):
        read_labels(path)
    monkeypatch.setattr(image_file, "MOST_PIXELS", 16)
    Image.new("L", (4, 4)).save(path)
    assert read_labels(path).shape == (4, 4)
    Image.new("L", (4, 5)).save(path)
    with pytest.raises(InputError, match="at most 16 pixels"):
        read_labels(path)
