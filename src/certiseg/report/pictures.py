"""One sample as a figure for a paper: input, truth, base, noise, certified mask, radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE, Colour
from certiseg.report.figures import RULE, literal, new_figure, style
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


def picture_row(looked: Looked, palette: Sequence[Colour]) -> Figure:
    """Tiles in two rows of three, and a legend of the labels that occur."""
    view, radii = looked.view, looked.chosen
    truth = view.truth.astype(np.int64)
    tiles = [
        ("input", as_rgb(view.x / np.float32(255))),
        ("truth", painted(truth, palette)),
        ("base model", painted(view.labels["base_clean"], palette)),
        ("one noisy draw", as_rgb(view.noisy / np.float32(255))),
        ("certified (white: abstains)", painted(looked.held, palette)),
    ]
    height, width = view.size
    figure = new_figure(7.2, 2 * 2.4 * height / width + 1.0)
    with style():
        axes = figure.subplots(2, 3, squeeze=False).ravel()
        for place, (title, picture) in zip(axes, tiles, strict=False):
            place.imshow(picture, interpolation="nearest")
            place.set_title(title)
        if radii is None:
            axes[-1].set_axis_off()
        else:
            _heat(figure, axes[-1], looked)
        for place in axes:
            place.set(xticks=[], yticks=[])
            for spine in place.spines.values():
                spine.set(visible=True, color=RULE)
        _legend(figure, looked, palette, [truth, view.labels["base_clean"], looked.held])
    return figure


def _heat(figure: Figure, axes: Any, looked: Looked) -> None:
    radii = looked.chosen
    assert radii is not None
    values = looked.view.full(radii.map())
    image = axes.imshow(
        np.ma.masked_less_equal(values, 0.0),
        vmin=0,
        vmax=radii.largest or 1.0,
        interpolation="nearest",
    )
    axes.set_title("radius (white: none)")
    figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)


def _legend(
    figure: Figure, looked: Looked, palette: Sequence[Colour], maps: Sequence[NDArray[Any]]
) -> None:
    from matplotlib.patches import Patch

    names = looked.names
    present = np.unique(np.concatenate([np.unique(labels) for labels in maps]))
    shown = [label for label in present.tolist() if 0 <= label < len(names) and label != IGNORE]
    if not 0 < len(shown) <= _MOST_NAMED:
        return
    patches = [
        Patch(
            facecolor=tuple(part / 255 for part in palette[label]),
            edgecolor=RULE,
            label=literal(names[label]),
        )
        for label in shown
    ]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(6, len(patches)), frameon=False
    )
