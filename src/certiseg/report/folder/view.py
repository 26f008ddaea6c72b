"""What shows one sample without its model and its data: read from views/NAME.npz and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.archive import read_arrays
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.grid import upsample_nearest
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.reading import ARRAYS, read_bounded
from certiseg.report.folder.manifest import Manifest

_LABELS = ("base_clean", "base_noise", "non_robust")


@dataclass(frozen=True)
class View:
    """x, noisy: a picture uint8 (C, H, W), a cloud float32 (C, N). truth: uint8, (H, W) or (N,).
    labels: what the models say, of the shape of the truth, by "base_clean", "base_noise" and
    perhaps "non_robust"."""

    x: NDArray[Any]
    truth: NDArray[np.uint8]
    noisy: NDArray[Any]
    labels: dict[str, NDArray[np.integer]]

    @property
    def size(self) -> tuple[int, ...]:
        return self.truth.shape

    def full(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of components as values of the truth's: cells spread over their pixels (T14)."""
        if values.shape == self.truth.shape or self.truth.ndim != 2:
            return values
        return upsample_nearest(values, (self.truth.shape[0], self.truth.shape[1]))

    def check_certificate(self, certificate: Certificate, manifest: Manifest) -> None:
        """Raise InputError unless it is a certificate of this sample, as far as can be told."""
        shape = certificate.labels.shape
        fits = len(shape) == self.truth.ndim and all(
            1 <= part <= whole for part, whole in zip(shape, self.size, strict=True)
        )
        if self.truth.ndim == 1:
            fits = shape == self.size
        source = certificate.votes.source
        same = source is None or source.input_shape == self.x.shape
        if not (fits and same and certificate.votes.counts.ndim == len(shape) + 1):
            raise InputError(
                f"expected a certificate over {self.size} components, got one over {shape}; "
                "the files of two samples were mixed up"
            )
        if certificate.votes.num_classes != len(manifest.classes):
            raise InputError(
                f"expected votes for {len(manifest.classes)} classes, got "
                f"{certificate.votes.num_classes}; the files of two runs were mixed up"
            )
        settings, tree = manifest.settings, certificate.hierarchy
        given = {
            "noise": (manifest.noise, certificate.noise),
            "method": (manifest.method, certificate.method),
            "alpha": (settings.get("alpha"), certificate.alpha),
            "hierarchy": (settings.get("hierarchy"), None if tree is None else tree.record()),
        }
        if certificate.tau is not None:
            given["tau"] = (settings.get("tau"), certificate.tau)
        for name, (planned, found) in given.items():
            if planned != found:
                raise InputError(
                    f"expected a certificate with the run's {name}, got {found!r:.80}; the files "
                    "of two runs were mixed up"
                )


def read_view(path: Path, manifest: Manifest) -> View:
    """Raises InputError for a file that is missing, cut, or no view of such a run."""
    try:
        return _checked(read_arrays(read_bounded(path, ARRAYS)), manifest)
    except FileNotFoundError:
        raise InputError(f"{path}: expected the view of a kept sample, got no file") from None
    # A damaged zip or array header can fail in any way.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: expected a whole view of a sample, got another or a damaged file ({reason})"
        ) from None


def _checked(arrays: dict[str, NDArray[Any]], manifest: Manifest) -> View:
    x, truth, noisy = arrays.pop("x"), arrays.pop("truth"), arrays.pop("noisy")
    sides, kind = (3, np.uint8) if manifest.kind == "pictures" else (2, np.float32)
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
    view = View(x, truth, noisy, {})
    unknown, missing = set(arrays) - set(_LABELS), set(_LABELS[:2]) - set(arrays)
    if unknown or missing:
        raise ValueError(f"arrays {sorted(unknown)} too many, {sorted(missing)} missing")
    for name, labels in arrays.items():
        if labels.dtype.kind not in "iu" or labels.ndim != truth.ndim or not labels.size:
            raise ValueError(f"{name} is {labels.dtype} of shape {labels.shape}")
        if labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(f"{name} beyond the {num_classes} classes")
        view.labels[name] = view.full(labels)
        if view.labels[name].shape != truth.shape:
            raise ValueError(f"{name} of shape {labels.shape}")
    return view
