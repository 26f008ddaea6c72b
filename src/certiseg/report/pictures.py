"""One sample as a figure for a paper: input, truth, base, noise, certified labels, radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Colour
from certiseg.report.cloud import cloud_picture
from certiseg.report.figures import RULE, literal, new_figure, style
from certiseg.report.heat import cloud_by_radius, coloured
from certiseg.report.look import Looked
from certiseg.report.overlay import as_rgb
from certiseg.votes import ABSTAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNTRUTH: Colour = (226, 226, 220)
_MOST_NAMED = 24


def painted(labels: NDArray[Any], palette: Sequence[Colour]) -> NDArray[np.uint8]:
    """Labels (...) as colours (..., 3): abstentions white, without truth a light grey."""
    table = np.asarray([*palette, (255, 255, 255), UNTRUTH], dtype=np.uint8)
    places = labels.astype(np.int64)
    places[labels == ABSTAIN] = len(palette)
    places[labels == IGNORE] = len(palette) + 1
    return table[places]


def sample_row(looked: Looked, palette: Sequence[Colour]) -> Figure:
    """The tiles of the sample, and a legend of the labels that occur."""
    cloud = looked.view.truth.ndim == 1
    height, width = (1, 1) if cloud else looked.view.size
    rows, columns = (1, 4) if cloud else (2, 3)
    figure = new_figure(7.2, rows * 7.2 / columns * height / width + (0.6 if cloud else 1.0))
    with style():
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        shown = _cloud_tiles(looked, palette) if cloud else _picture_tiles(looked, palette)
        for place, (title, picture) in zip(axes, shown, strict=False):
            place.imshow(picture, interpolation="nearest")
            place.set_title(title)
        _heat(figure, axes[-1], looked)
        for place in axes:
            place.set(xticks=[], yticks=[])
            for spine in place.spines.values():
                spine.set(visible=not cloud, color=RULE)
        _legend(figure, looked, palette)
    return figure


def _picture_tiles(looked: Looked, palette: Sequence[Colour]) -> list[tuple[str, Any]]:
    view = looked.view
    return [
        ("input", as_rgb(view.x / np.float32(255))),
        ("truth", painted(view.truth.astype(np.int64), palette)),
        ("base model", painted(view.labels["base_clean"], palette)),
        ("one noisy draw", as_rgb(view.noisy / np.float32(255))),
        ("certified (white: abstains)", painted(looked.held, palette)),
    ]


def _cloud_tiles(looked: Looked, palette: Sequence[Colour]) -> list[tuple[str, Any]]:
    view = looked.view
    return [
        ("truth", cloud_picture(view.x, view.truth, palette)),
        ("base model", cloud_picture(view.x, view.labels["base_clean"], palette)),
        ("certified (white: abstains)", cloud_picture(view.x, looked.held, palette)),
    ]


def _heat(figure: Figure, axes: Any, looked: Looked) -> None:
    """The map of radii with its colour bar, where there is one."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    radii, view = looked.chosen, looked.view
    if radii is None:
        axes.set_axis_off()
        return
    values, largest = view.full(radii.map()), radii.largest or 1.0
    if values.ndim == 1:
        shown = np.asarray(cloud_by_radius(view.x, values, largest))
    else:
        shown = coloured(values / largest)
        shown[values <= 0] = 255
    axes.imshow(shown, interpolation="nearest")
    axes.set_title("radius (white: none)")
    scale = ScalarMappable(Normalize(0, largest), "viridis")
    figure.colorbar(scale, ax=axes, shrink=0.6 if values.ndim == 1 else 0.85, pad=0.02)


def _legend(figure: Figure, looked: Looked, palette: Sequence[Colour]) -> None:
    from matplotlib.patches import Patch

    names = looked.names
    maps = (looked.view.truth, looked.view.labels["base_clean"], looked.held)
    present = sorted({label for labels in maps for label in np.unique(labels).tolist()})
    shown = [label for label in present if 0 <= label < len(names) and label != IGNORE]
    if not 0 < len(shown) <= _MOST_NAMED:
        return
    patches = []
    for label in shown:
        red, green, blue = (part / 255 for part in palette[label])
        face = (red, green, blue)
        patches.append(Patch(facecolor=face, edgecolor=RULE, label=literal(names[label])))
    columns = min(6, len(patches))
    figure.legend(handles=patches, loc="outside lower center", ncols=columns, frameon=False)
