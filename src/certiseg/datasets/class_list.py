"""Long class lists: JSON files beside the readers, class name -> colour in label order."""

from __future__ import annotations

import json
from pathlib import Path

from certiseg.datasets.card import Colour

_FOLDER = Path(__file__).parent / "classes"


def class_list(name: str) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """Class names and their colours, in label order, from classes/NAME.json."""
    content = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return tuple(content), tuple((red, green, blue) for red, green, blue in content.values())
