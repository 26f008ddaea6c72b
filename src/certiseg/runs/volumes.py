"""Volumes as inputs of certify: reading, images of the results, NIfTI outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.nifti import nifti_bytes
from certiseg.datasets.volume_file import VolumeFile, Window, read_volume, window_facts
from certiseg.errors import InputError
from certiseg.models.loaded import Kind, LoadedModel
from certiseg.report.panel import legend
from certiseg.report.volume import volume_heat, volume_overlay
from certiseg.rounding import percent_up
from certiseg.runs.class_style import ClassStyle, class_style
from certiseg.runs.inputs import Read

_LEGEND_WIDTH = 480
_OFTEN = 0.05


@dataclass(frozen=True)
class Volumes:
    """Files of volumes. window: intensities mapped to 0 and 1."""

    loaded: LoadedModel
    window: Window | None = None
    category: str | None = None
    kind: Kind = "volumes"

    def read(self, path: Path) -> Read:
        found = read_volume(path, self.window)
        channels = self.loaded.channels
        if channels is not None and len(found.x) != channels:
            raise InputError(
                f"{path}: expected {channels} channels for {self.loaded.name}, got "
                f"{len(found.x)}; choose another model or other volumes"
            )
        notes = {}
        if found.clipped > _OFTEN:
            notes["window"] = (
                f"{percent_up(found.clipped)} of its values lie outside the window and are clipped"
            )
        if found.notes:
            notes["header"] = "; ".join(found.notes)
        return Read(found.x, window_facts(found, self.window), notes, found)

    def class_style(self, num_classes: int) -> ClassStyle:
        """Names and colours of the classes: the model's, else generated."""
        return class_style(self.loaded, num_classes)

    def pictures(
        self, x: NDArray[np.float32], certificate: Certificate, style: ClassStyle
    ) -> dict[str, Image.Image]:
        """Three slices with the labels overlaid, the legend, and the slices of a radius map."""
        shown = {
            "overlay.png": volume_overlay(x, certificate.labels, style.palette),
            "legend.png": legend(style.classes, style.palette, width=_LEGEND_WIDTH),
        }
        radius = certificate.radius
        if isinstance(radius, np.ndarray):
            name = certificate.noise.radius_name
            shown["radius.png"] = volume_heat(radius, float(radius.max()), name)
        return shown

    def arrays(self, given: Read, certificate: Certificate) -> dict[str, bytes]:
        """For NIfTI inputs: labels and radius map as NIfTI in the same space, overlapping maps
        along the last axis."""
        found = given.origin
        if not isinstance(found, VolumeFile) or found.header is None:
            return {}
        labels = _in_file(certificate.labels.astype(np.int16), certificate)
        files = {"labels.nii.gz": nifti_bytes(labels, found.header)}
        if isinstance(certificate.radius, np.ndarray):
            radius = _in_file(rounded_down(certificate.radius), certificate)
            files["radius.nii.gz"] = nifti_bytes(radius, found.header)
        return files


def _in_file(values: NDArray[Any], certificate: Certificate) -> NDArray[Any]:
    return values if certificate.maps is None else np.moveaxis(values, 0, -1)


def rounded_down(radius: NDArray[np.float64]) -> NDArray[np.float32]:
    """Radii in float32, rounded down."""
    single = radius.astype(np.float32)
    return np.where(single > radius, np.nextafter(single, np.float32(0)), single)
