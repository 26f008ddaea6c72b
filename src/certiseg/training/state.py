"""The state of a training that has not ended: one file in the output folder, written whole."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.files.documents import parse_json
from certiseg.files.reading import MODEL, read_bounded
from certiseg.models.checkpoint import check_stored

STATE_FILE = "training-state.pt"
SECONDS = 60.0
"""Between two writings, at least: a state is several times as large as the model."""
_FREE = ("device",)
"""What may differ when a training is resumed."""
_DIGEST = hashlib.sha256().digest_size
"""Bytes at the front of a file: the digest of all that follows."""


class StateFile:
    """The file from which an interrupted training is resumed: tensors, numbers and text, no code.

    facts: the settings and the data; a training with other facts cannot be resumed from the file.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, resume: bool, overwrite: bool):
        """Raises InputError: nothing to resume, facts that differ, or a state that is there without
        resume or overwrite."""
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
        content = buffer.getvalue()
        atomic_write(self._path, hashlib.sha256(content).digest() + content)
        self._written = time.monotonic()

    def remove(self) -> None:
        """The training has ended and its model is written."""
        self._path.unlink(missing_ok=True)

    def damaged(self, got: str) -> InputError:
        """The error that says what was got instead of a state to go on from."""
        return InputError(
            f"{self._path}: expected the state of this training, got {got}; start anew with "
            "--overwrite"
        )

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            raise InputError(
                f"expected an interrupted training with --resume, got no {self._path}; leave the "
                "option out to start one"
            )
        try:
            found = read_bounded(self._path, MODEL)
            content = io.BytesIO(found[_DIGEST:])
            if hashlib.sha256(content.getbuffer()).digest() != found[:_DIGEST]:
                raise ValueError
            check_stored(content)
            stored = torch.load(content, map_location="cpu", weights_only=True)
            facts, state = parse_json(stored["facts"]), stored["state"]
            self.seconds = float(stored["seconds"])
            if not isinstance(facts, dict) or not isinstance(state, dict):
                raise TypeError
        except Exception:  # torch's unpickler fails in any way
            raise self.damaged("a damaged or foreign file") from None
        own = json.loads(self._facts)
        for name in own:
            if facts.get(name) != own[name]:
                raise InputError(
                    f"expected {name} {facts.get(name)}, as the interrupted training has, got "
                    f"{own[name]}; pass its options, or start anew with --overwrite"
                )
        return state


def check_form(own: Any, found: Any, name: str) -> None:
    """Raise ValueError, a few words on what was found, unless it has the keys, lengths and types of
    own, and its tensors their shapes. name: what errors call both."""
    if isinstance(own, Mapping):
        if not isinstance(found, Mapping) or set(found) != set(own):
            raise ValueError(f"other entries of {name}")
        for key, value in own.items():
            check_form(value, found[key], f"{name}.{key}")
    elif isinstance(own, list):
        if not isinstance(found, list) or len(found) != len(own):
            raise ValueError(f"another number of {name}")
        for number, value in enumerate(own):
            check_form(value, found[number], f"{name}.{number}")
    elif isinstance(own, Tensor) and isinstance(found, Tensor):
        if (found.dtype, found.shape) != (own.dtype, own.shape):
            raise ValueError(
                f"{name} {found.dtype} {tuple(found.shape)} instead of {own.dtype} "
                f"{tuple(own.shape)}"
            )
    elif type(found) is not type(own):
        raise ValueError(f"{type(found).__name__} as {name}")
