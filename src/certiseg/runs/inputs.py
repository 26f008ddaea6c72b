"""Images and point clouds as inputs of certify: reading, and images of the results. Volumes are
in ``volumes.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import PART_COLOURS
from certiseg.datasets.cloud_file import CloudFile, read_cloud
from certiseg.datasets.cloud_table import COLUMNS
from certiseg.datasets.images import Reading
from certiseg.datasets.shapenet import shapenet_card
from certiseg.errors import InputError
from certiseg.models.loaded import Kind, LoadedModel
from certiseg.report.cloud import cloud_picture
from certiseg.report.heat import cloud_heat, heat
from certiseg.report.overlay import overlay
from certiseg.report.panel import legend
from certiseg.rounding import nearest, significant
from certiseg.runfolder.metrics import at_size
from certiseg.runs.class_style import ClassStyle, class_style
from certiseg.runs.model import channels_of

_LEGEND_WIDTH = 480
_CLOUD_SIZE = 640
_USUAL, _OFF = (0.8, 1.25), 0.1
"""Range of a cloud's largest norm, and largest distance of its mean from the origin, without a
note: models are trained on 1 and 0, and resampling changes both a little."""


@dataclass(frozen=True)
class CloudOptions:
    """How clouds are read. category: for a model that takes one. normalise, points, columns: see
    ``datasets.cloud_file.read_cloud``."""

    category: str | None = None
    normalise: bool = False
    points: int | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Read:
    """One input. facts: how it was read, for its record. notes: remarks for the user, by kind.
    origin: the volume file it was read from, if any."""

    x: NDArray[np.float32]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    origin: Any = None


class Inputs(Protocol):
    """Files of one kind. category: of point clouds, for a model that takes one."""

    @property
    def category(self) -> str | None: ...

    @property
    def kind(self) -> Kind: ...

    def read(self, path: Path) -> Read:
        """The file's content. Raises InputError."""
        ...

    def class_style(self, num_classes: int) -> ClassStyle:
        """Names and colours of the model's classes."""
        ...

    def pictures(
        self, x: NDArray[np.float32], certificate: Certificate, style: ClassStyle
    ) -> dict[str, Image.Image]:
        """Images that show the certificate, by file suffix."""
        ...

    def arrays(self, given: Read, certificate: Certificate) -> dict[str, bytes]:
        """Labels and radii in the format of the input file, by suffix; empty for most kinds."""
        ...


class Pictures:
    """Image files, see ``datasets.images``."""

    category: str | None = None
    kind: Kind = "images"

    def __init__(self, loaded: LoadedModel, reading: Reading) -> None:
        self._loaded, self._channels = loaded, channels_of(loaded)
        self._reading = reading
        if self._channels not in (1, 3):
            raise InputError(
                f"expected a model for 1 channel (grey) or 3 (RGB), got one for {self._channels}; "
                "image files have no others, certify arrays in Python"
            )

    def read(self, path: Path) -> Read:
        found = self._reading.read(path, self._channels)
        return Read(found.x, found.facts(), found.notes())

    def class_style(self, num_classes: int) -> ClassStyle:
        return class_style(self._loaded, num_classes)

    def pictures(
        self, x: NDArray[np.float32], certificate: Certificate, style: ClassStyle
    ) -> dict[str, Image.Image]:
        """The overlay, its legend, and a heat map of the radii if they form a map."""
        shown = {
            "overlay.png": overlay(x, certificate.full_size(), style.palette),
            "legend.png": legend(style.classes, style.palette, width=_LEGEND_WIDTH),
        }
        if isinstance(certificate.radius, np.ndarray):
            radius = at_size(certificate.radius, x.shape[1:])
            shown["radius.png"] = heat(radius, float(radius.max()), certificate.noise.radius_name)
        return shown

    def arrays(self, given: Read, certificate: Certificate) -> dict[str, bytes]:
        return {}


class Clouds:
    """Files of point clouds, see ``datasets.cloud_file``."""

    kind: Kind = "clouds"

    def __init__(self, loaded: LoadedModel, options: CloudOptions) -> None:
        self._loaded, self._channels = loaded, channels_of(loaded)
        if self._channels not in (3, 6):
            raise InputError(
                f"expected a model for 3 channels (x, y, z) or 6 (and normals), got one for "
                f"{self._channels}; point clouds have no others"
            )
        self.category = options.category
        self._options = options
        parts = loaded.parts if isinstance(loaded.parts, Mapping) else {}
        self._parts = parts.get(options.category or "")

    def read(self, path: Path) -> Read:
        # As in a data set, so that resampling chooses the same points.
        name = path.stem if self.category is None else f"{self.category}-{path.stem}"
        found = read_cloud(
            path,
            self._channels,
            normalise=self._options.normalise,
            points=self._options.points,
            name=name,
            columns=self._options.columns,
        )
        facts = {
            "category": self.category,
            "file_points": found.points,
            "file_columns": len(found.columns),
            "columns": list(found.columns),
            "normalised": found.normalised,
            "file_centre": list(found.centre),
            "file_reach": found.reach,
        }
        return Read(found.x, facts, _notes(found))

    def class_style(self, num_classes: int) -> ClassStyle:
        """The model's; else ShapeNet's if the parts are the same; else colours of parts."""
        card, loaded = shapenet_card(self._channels), self._loaded
        if loaded.classes is None and loaded.parts == card.parts:
            return class_style(loaded, num_classes, card)
        style = class_style(loaded, num_classes)
        if loaded.palette is None and num_classes <= len(PART_COLOURS):
            return ClassStyle(style.classes, PART_COLOURS[:num_classes])
        return style

    def pictures(
        self, x: NDArray[np.float32], certificate: Certificate, style: ClassStyle
    ) -> dict[str, Image.Image]:
        """The cloud coloured by its labels, the legend, and a heat map of the radii if they form a
        map."""
        labels = certificate.labels
        named: Sequence[int] = range(len(style.classes))
        if self._parts is not None:
            # Parts of its category only.
            own = {*self._parts, *np.unique(labels).tolist()}
            named = [label for label in named if label in own]
        classes = [style.classes[label] for label in named]
        palette = [style.palette[label] for label in named]
        shown = {
            "cloud.png": cloud_picture(x, labels, style.palette, size=_CLOUD_SIZE),
            "legend.png": legend(classes, palette, width=_LEGEND_WIDTH),
        }
        if isinstance(certificate.radius, np.ndarray):
            noise, largest = certificate.noise, float(certificate.radius.max())
            name = f"{noise.radius_name}{f' ({noise.unit})' if noise.unit else ''}"
            shown["radius.png"] = cloud_heat(x, certificate.radius, largest, name, _CLOUD_SIZE)
        return shown

    def arrays(self, given: Read, certificate: Certificate) -> dict[str, bytes]:
        return {}


def _notes(found: CloudFile) -> dict[str, str]:
    notes = {}
    used = COLUMNS[: len(found.x)]
    if len(found.columns) > len(used):
        notes["columns"] = (
            f"of its {len(found.columns)} columns, {' '.join(found.columns)[:120]}, only "
            f"{' '.join(used)} are used, as many as the model has channels"
        )
    away = float(np.linalg.norm(found.centre))
    low, high = _USUAL
    if not found.normalised and not (low <= found.reach <= high and away <= _OFF):
        reach, centre = (significant(size, 3, nearest) for size in (found.reach, away))
        notes["extent"] = (
            f"its points reach {reach} from their mean, which lies {centre} from the origin; sigma "
            "and radius are in these units, and models of clouds are mostly trained on 1 and 0, "
            "which --normalise makes them"
        )
    return notes
