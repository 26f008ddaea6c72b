"""The files of a trained model: model.safetensors, card.json, CARD.md; and of one in the making."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from certiseg.errors import InputError
from certiseg.files import atomic_write
from certiseg.folders import locked
from certiseg.models.serialization import CARD_FILE, WEIGHTS_FILE
from certiseg.runs.output import write_text
from certiseg.training.processes import ALONE, Processes
from certiseg.training.state import STATE_FILE

PAGE_FILE = "CARD.md"


@contextmanager
def model_folder(
    folder: Path, *, resume: bool, overwrite: bool, among: Processes = ALONE
) -> Iterator[None]:
    """The folder, for this training alone, whose first process holds it for all.

    Raises InputError, in all of them, when a model is there already and may not be replaced, and
    as ``locked``.
    """
    refused = None
    with ExitStack() as held:
        if among.first:
            try:
                outputs = held.enter_context(locked(folder))
                # A state beside a model: its training was cut off while it wrote the model.
                goes_on = resume and (folder / STATE_FILE).exists()
                outputs.claim((WEIGHTS_FILE, CARD_FILE, PAGE_FILE), overwrite or goes_on)
                if not resume:
                    outputs.claim((STATE_FILE,), overwrite=True)
            except InputError as error:
                refused = str(error)
        if (said := among.gathered(refused)[0]) is not None:
            raise InputError(said)
        yield


def write_model(folder: Path, weights: bytes, card: dict[str, Any], page: str) -> None:
    """Write the three files, each whole."""
    atomic_write(folder / WEIGHTS_FILE, weights)
    write_text(folder / CARD_FILE, json.dumps(card, indent=1) + "\n")
    write_text(folder / PAGE_FILE, page)
