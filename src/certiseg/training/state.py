"""The state of an unfinished training: one file in the output folder, written atomically."""

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
"""Shortest time between two writes: a state is several times as large as the model."""
_FREE = ("device",)
"""Settings that may differ when a training is resumed."""
_DIGEST = hashlib.sha256().digest_size
"""Length in bytes of the digest at the start of a file; it covers the rest."""


class StateFile:
    """The file from which an interrupted training is resumed: tensors, numbers and text, no code.

    facts: settings and data; a training with other facts cannot be resumed from the file.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, resume: bool, overwrite: bool):
        """Raises InputError: nothing to resume, facts that differ, or an existing state without
        resume or overwrite."""
        self._path = folder / STATE_FILE
        self._facts = json.dumps({k: v for k, v in facts.items() if k not in _FREE})
        self.seconds = 0.0
        """Duration of the interrupted training so far."""
        self._earlier = self._read() if resume else None
        self._opened = self._written = time.monotonic()
        if not resume and self._path.exists() and not overwrite:
            raise InputError(
                f"expected no interrupted training, got {self._path}; pass --resume to "
                "continue it, or --overwrite to start anew"
            )

    def take(self) -> dict[str, Any] | None:
        """The state of the interrupted training, returned once; None for a new one."""
        earlier, self._earlier = self._earlier, None
        return earlier

    def write(self, make: Callable[[], dict[str, Any]]) -> None:
        """Write what `make` returns, at most once every ``SECONDS``."""
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
        """Delete the file; called once the model is written."""
        self._path.unlink(missing_ok=True)

    def damaged(self, got: str) -> InputError:
        """The error for a file whose content is not the state of this training."""
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
        expected = json.loads(self._facts)
        for name in expected:
            if facts.get(name) != expected[name]:
                raise InputError(
                    f"expected {name} {facts.get(name)}, as the interrupted training has, got "
                    f"{expected[name]}; pass its options, or start anew with --overwrite"
                )
        return state


def check_form(expected: Any, found: Any, name: str) -> None:
    """Raise ValueError unless `found` has the keys, lengths, types and tensor shapes of `expected`.

    name: what errors call it.
    """
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping) or set(found) != set(expected):
            raise ValueError(f"other entries of {name}")
        for key, value in expected.items():
            check_form(value, found[key], f"{name}.{key}")
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            raise ValueError(f"another number of {name}")
        for number, value in enumerate(expected):
            check_form(value, found[number], f"{name}.{number}")
    elif isinstance(expected, Tensor) and isinstance(found, Tensor):
        if (found.dtype, found.shape) != (expected.dtype, expected.shape):
            raise ValueError(
                f"{name} {found.dtype} {tuple(found.shape)} instead of {expected.dtype} "
                f"{tuple(expected.shape)}"
            )
    elif type(found) is not type(expected):
        raise ValueError(f"{type(found).__name__} as {name}")
