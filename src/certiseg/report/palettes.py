"""Palettes for classes: the data set's without white (abstentions), and a colour-blind safe one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import Colour
from certiseg.hierarchies.hierarchy import Hierarchy

# Okabe and Ito 2008, without black.
_FIRST: tuple[Colour, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167),
    (86, 180, 233), (213, 94, 0), (240, 228, 66),
)  # fmt: skip
# Linear RGB as seen with normal vision, protanopia, deuteranopia and tritanopia: Machado, Oliveira
# and Fernandes 2009, severity 1.
_VISIONS = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
)
# Linear RGB to LMS and to OKLab: Ottosson 2020.
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_WHITEST = 236
_NEAR_WHITE: Colour = (205, 205, 212)


def safe_palette(num_classes: int) -> tuple[Colour, ...]:
    """Colour-blind safe palette: Okabe and Ito's seven colours, then greedily the colour farthest
    from all earlier ones, at the smallest distance over normal and colour-blind vision.

    A smaller palette is a prefix of a larger one.
    """
    steps = np.linspace(0, 255, 14).round()
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    lightness = _seen(candidates)[0][:, 0]
    candidates = candidates[(lightness > 0.25) & (lightness < 0.88)]
    seen, chosen = _seen(candidates), list(_FIRST)
    # White is reserved for abstentions.
    nearest = np.min([_apart(seen, colour) for colour in (*_FIRST, (255, 255, 255))], axis=0)
    while len(chosen) < num_classes:
        red, green, blue = candidates[int(nearest.argmax())].astype(int).tolist()
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, _apart(seen, chosen[-1]))
    return tuple(chosen[:num_classes])


def own_palette(palette: Sequence[Colour]) -> tuple[Colour, ...]:
    """The palette with colours near white made grey, since white is for abstentions."""
    return tuple(_NEAR_WHITE if min(colour) > _WHITEST else colour for colour in palette)


def with_nodes(palette: Sequence[Colour], hierarchy: Hierarchy | None) -> tuple[Colour, ...]:
    """The palette extended by the inner nodes of a hierarchy, each the mean of its classes."""
    if hierarchy is None:
        return tuple(palette)
    colours, means = np.asarray(palette, dtype=np.float64), []
    for inside in hierarchy.leaves()[hierarchy.num_classes :]:
        red, green, blue = np.rint(colours[inside].mean(axis=0)).astype(int).tolist()
        means.append((red, green, blue))
    return (*palette, *means)


def _apart(seen: NDArray[np.float64], colour: Colour) -> NDArray[np.float64]:
    other = _seen(np.asarray([colour], dtype=np.float64))
    return np.asarray(np.linalg.norm(seen - other, axis=-1).min(axis=0))


def _seen(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab (4, K, 3) of sRGB colours (K, 3), for each kind of vision."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    views = np.clip(np.einsum("vij,kj->vki", _VISIONS, linear), 0, 1)
    return np.asarray(np.cbrt(views @ _LMS.T) @ _LAB.T)
