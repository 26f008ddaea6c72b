"""``View``: the arrays that show a sample without model and data set, in views/NAME.npz."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.archive import read_arrays
from certiseg.datasets.card import IGNORE, Sample
from certiseg.errors import InputError, first_line
from certiseg.files.reading import ARRAYS, read_bounded
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.runfolder.manifest import Manifest
from certiseg.runfolder.metrics import at_size

LABELS = {BASE_CLEAN: "base_clean", BASE_NOISE: "base_noise", NON_ROBUST: "non_robust"}
"""Names of label arrays in a view, by the comparison's row."""


@dataclass(frozen=True)
class View:
    """Arrays of one sample.

    x, noisy: image uint8 (C, H, W), volume uint8 (C, D, H, W) or cloud float32 (C, N). truth:
    uint8 (H, W), (D, H, W) or (N,). labels: predictions of the shape of the truth, by
    "base_clean", "base_noise" and perhaps "non_robust".
    digest: SHA-256 of the file.
    """

    x: NDArray[Any]
    truth: NDArray[np.uint8]
    noisy: NDArray[Any]
    labels: dict[str, NDArray[np.integer]]
    digest: str

    @property
    def size(self) -> tuple[int, ...]:
        return self.truth.shape

    def full(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values at the size of the truth, upsampled if they are of grid cells (theory T14)."""
        return at_size(values, self.truth.shape)


def shown(x: NDArray[Any]) -> NDArray[Any]:
    """An input for display: an image or volume clipped to uint8; a cloud unchanged."""
    if x.ndim < 3:
        return x.astype(np.float32)
    pixels: NDArray[np.uint8] = np.rint(np.clip(x, 0.0, 1.0) * 255).astype(np.uint8)
    return pixels


def view_content(sample: Sample, noisy: NDArray[Any], labels: Mapping[str, NDArray[Any]]) -> bytes:
    """Serialize a view.

    noisy: the input of one draw. labels: predictions by the comparison's row, on the models' grids.
    """
    narrow = {
        LABELS[name]: values.astype(np.uint8 if values.max() < 255 else np.int32)
        for name, values in labels.items()
    }
    arrays = {"x": shown(sample.x), "truth": sample.labels, "noisy": shown(noisy), **narrow}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def array_digest(array: NDArray[Any]) -> str:
    """SHA-256 of dtype, shape and values."""
    sha = hashlib.sha256(f"{array.dtype} {array.shape}\0".encode())
    sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def read_view(path: Path, manifest: Manifest) -> View:
    """Read and check a view. Raises InputError if it is missing, damaged or not of such a run."""
    try:
        content = read_bounded(path, ARRAYS)
        return _checked(read_arrays(content), manifest, hashlib.sha256(content).hexdigest())
    except FileNotFoundError:
        raise InputError(f"{path}: expected the view of a kept sample, got no file") from None
    # A damaged zip or array header can raise anything.
    except Exception as error:
        raise InputError(
            f"{path}: expected a whole view of a sample, got another or a damaged file "
            f"({first_line(error)[:200]})"
        ) from None


def _checked(arrays: dict[str, NDArray[Any]], manifest: Manifest, digest: str) -> View:
    x, truth, noisy = arrays.pop("x"), arrays.pop("truth"), arrays.pop("noisy")
    forms: dict[str, tuple[int, type]] = {
        "images": (3, np.uint8),
        "volumes": (4, np.uint8),
        "clouds": (2, np.float32),
    }
    sides, kind = forms[manifest.kind]
    for name, array in (("x", x), ("noisy", noisy)):
        if array.ndim != sides or array.dtype != kind or array.shape != x.shape or not array.size:
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    if manifest.kind == "clouds" and x.shape[0] < 3:
        raise ValueError(f"points with {x.shape[0]} coordinates")
    if truth.dtype != np.uint8 or truth.shape != x.shape[1:]:
        raise ValueError(f"truth is {truth.dtype} of shape {truth.shape}")
    num_classes = len(manifest.classes)
    if np.any((truth >= num_classes) & (truth != IGNORE)):
        raise ValueError(f"truth beyond the {num_classes} classes")
    view = View(x, truth, noisy, {}, digest)
    strange = set(arrays) ^ {LABELS[row] for row in manifest.rows}
    if strange:
        raise ValueError(f"arrays {sorted(strange)} too many or missing")
    for name, labels in arrays.items():
        if labels.dtype.kind not in "iu" or labels.ndim != truth.ndim or not labels.size:
            raise ValueError(f"{name} is {labels.dtype} of shape {labels.shape}")
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(f"{name} beyond the {num_classes} classes")
        view.labels[name] = view.full(labels)
        if view.labels[name].shape != truth.shape:
            raise ValueError(f"{name} of shape {labels.shape}")
    return view
