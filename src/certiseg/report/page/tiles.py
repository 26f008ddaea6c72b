"""The row of one sample on the page: which tiles stand side by side, and their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from certiseg.rounding import percent_down


@dataclass(frozen=True)
class Tile:
    """layer: what it shows; "column": what the page's control says. run: whose. photo: a picture
    as it is, nothing to paint."""

    layer: str
    run: int
    title: str
    note: str
    alt: str
    photo: bool = False


def sample_words(sample: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The row's tiles, statements and data."""
    size = sample["size"]
    return {
        "name": sample["name"],
        "ratio": f"{size[1]} / {size[0]}" if len(size) == 2 else "1",
        "tiles": _several(sample, names) if len(names) > 1 else _single(sample),
        "statements": [
            {"name": name if len(names) > 1 else "", "text": part["statement"]}
            for part, name in zip(sample["runs"], names, strict=True)
        ],
        "payload": sample,
    }


def _single(sample: dict[str, Any]) -> list[Tile]:
    name, part = sample["name"], sample["runs"][0]
    held = _held(part)
    tiles = [
        Tile("truth", 0, "Truth", "", f"True classes of {name}"),
        Tile("clean", 0, "Base model", "on the input itself", f"The base model's labels of {name}"),
        Tile("own", 0, "Certified", "white abstains", f"Certified mask of {name}, {held}"),
        Tile("heat", 0, "Radius", "white: none", f"Certified radius over {name}"),
    ]
    if "photo" not in sample:
        drawn = f"The base model's labels of {name} under one draw"
        return [*tiles[:2], Tile("noisy", 0, "Base model", "on one draw", drawn), *tiles[2:]]
    photo = Tile("photo", 0, "Input", "", f"The input {name}", photo=True)
    noisy = Tile("noisy", 0, "One noisy draw", "clipped", f"{name} under one draw", photo=True)
    return [photo, *tiles[:2], noisy, *tiles[2:]]


def _several(sample: dict[str, Any], names: Sequence[str]) -> list[Tile]:
    name = sample["name"]
    tiles = [Tile("truth", 0, "Truth", "", f"True classes of {name}")]
    if "photo" in sample:
        tiles = [Tile("photo", 0, "Input", "", f"The input {name}", photo=True), *tiles]
    return tiles + [
        Tile("column", number, run, "", f"{name} by {run}, {_held(part)}")
        for number, (run, part) in enumerate(zip(names, sample["runs"], strict=True))
    ]


def _held(part: dict[str, Any]) -> str:
    counts = part["ownCounts"]
    return f"{percent_down(Fraction(counts['held'], counts['all']))} certified"
