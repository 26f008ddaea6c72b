"""The files of a trained model: model.safetensors, card.json, CARD.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from certiseg.files import atomic_write
from certiseg.models.stored import CARD_FILE, WEIGHTS_FILE
from certiseg.runs.output import refuse_existing, write_text

PAGE_FILE = "CARD.md"


def refuse_model(folder: Path, overwrite: bool) -> None:
    """Raise InputError when a model is there already and may not be replaced."""
    refuse_existing([folder / name for name in (WEIGHTS_FILE, CARD_FILE, PAGE_FILE)], overwrite)


def write_model(folder: Path, weights: bytes, card: dict[str, Any], page: str) -> None:
    """Write the three files, each whole."""
    atomic_write(folder / WEIGHTS_FILE, weights)
    write_text(folder / CARD_FILE, json.dumps(card, indent=1) + "\n")
    write_text(folder / PAGE_FILE, page)
