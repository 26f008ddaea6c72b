"""The state of a training that has not ended: one file in the output folder, written whole."""

from __future__ import annotations

import io
import json
import pickle
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from certiseg.errors import InputError
from certiseg.files import atomic_write
from certiseg.models.checkpoint import check_stored
from certiseg.reading import CHECKPOINT, open_bounded

STATE_FILE = "training-state.pt"
SECONDS = 60.0
"""Between two writings, at least: a state is several times as large as the model."""
_FREE = ("device",)
"""What may differ when a training goes on."""


class StateFile:
    """Where a training keeps what it needs to go on: tensors, numbers and text, no code.

    facts: what the training was told; one with other facts does not go on from this file.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, resume: bool, overwrite: bool):
        """Raises InputError: nothing to go on from, facts that differ, or a state that neither
        resume nor overwrite says what to do with."""
        self._path = folder / STATE_FILE
        self._facts = json.dumps({k: v for k, v in facts.items() if k not in _FREE})
        self.seconds = 0.0
        """What the training had taken when it was interrupted."""
        self._earlier = self._read() if resume else None
        self._opened = self._written = time.monotonic()
        if not resume and self._path.exists() and not overwrite:
            raise InputError(
                f"expected no interrupted training, got {self._path}; pass --resume to go on with "
                "it, or --overwrite to start anew"
            )

    def take(self) -> dict[str, Any] | None:
        """What an interrupted training left, once; None for a new one."""
        earlier, self._earlier = self._earlier, None
        return earlier

    def write(self, make: Callable[[], dict[str, Any]]) -> None:
        """Write what `make` returns, unless the last time was just now."""
        now = time.monotonic()
        if now - self._written < SECONDS:
            return
        seconds = self.seconds + now - self._opened
        buffer = io.BytesIO()
        torch.save({"facts": self._facts, "seconds": seconds, "state": make()}, buffer)
        atomic_write(self._path, buffer.getvalue())
        self._written = time.monotonic()

    def remove(self) -> None:
        """The training has ended and its model is written."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            raise InputError(
                f"expected an interrupted training with --resume, got no {self._path}; leave the "
                "option out to start one"
            )
        try:
            with open_bounded(self._path, CHECKPOINT) as file:
                check_stored(file)
                stored = torch.load(file, map_location="cpu", weights_only=True)
            facts, state = json.loads(stored["facts"]), stored["state"]
            self.seconds = float(stored["seconds"])
        except (
            OSError,
            zipfile.BadZipFile,
            RuntimeError,
            pickle.UnpicklingError,
            EOFError,
            KeyError,
            TypeError,
            ValueError,
        ):
            raise InputError(
                f"{self._path}: expected the state of a training, got a damaged or foreign file; "
                "start anew with --overwrite"
            ) from None
        own = json.loads(self._facts)
        for name in own:
            if facts.get(name) != own[name]:
                raise InputError(
                    f"expected {name} {facts.get(name)}, as the interrupted training has, got "
                    f"{own[name]}; pass its options, or start anew with --overwrite"
                )
        return state
