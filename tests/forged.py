"""Certificates written as a forger writes them: any text, any arrays, and a digest that fits."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization

import certiseg as cs
from certiseg.certificates import archive, storage
from certiseg.certificates.certificate import Certificate
from certiseg.votes import Source
from some_votes import made_up_source

NOISE = cs.Gaussian(0.25)
SOURCE = made_up_source(
    stop=120,
    engine={"device": "cpu"},
    not_covered=("a closure",),
    code={"models.py": "ef" * 32},
    batch_sizes=(25, 30),
)
TREE = cs.Hierarchy("tiny", ("road", "path", "sky"), ("ground",), (3, 3, -1, -1))


def votes(start: int, stop: int, source: Source = SOURCE) -> cs.VoteCounts:
    """Components from clear to hopeless."""
    trials = stop - start
    best = np.linspace(trials, trials // 2, 6).astype(np.int16).reshape(2, 3)
    counts = np.stack([trials - best, best, np.zeros_like(best)], axis=-1)
    return cs.VoteCounts(counts, trials, replace(source, draws=((start, stop),)))


class Given:
    """A VoteSource over these votes."""

    def __init__(self) -> None:
        self._next = 0

    def sizes(self) -> tuple[int, int]:
        return 6, 3

    def more(self, draws: int) -> cs.VoteCounts:
        start, self._next = self._next, self._next + draws
        return votes(start, self._next)


def certificates() -> dict[str, Certificate]:
    """Every field that a file may have is in one of them."""
    split = {"selection_votes": votes(0, 10), "noise": NOISE}
    return {
        "pooled": cs.certify(votes(0, 120), noise=NOISE),
        "split": cs.certify(votes(10, 130), correction="k-fwer", budget=2, **split),
        "adaptive": cs.adaptive(
            votes(10, 130), hierarchy=TREE, levels=np.zeros((2, 3), np.int64), **split
        ),
        "sequential": cs.sequential(Given(), noise=NOISE, num_samples=200),
        "map": cs.radius_map(votes(0, 120), noise=NOISE),
    }


@dataclass
class Parts:
    """What a file holds."""

    text: str
    arrays: dict[str, np.ndarray]

    @staticmethod
    def of(certificate: Certificate) -> Parts:
        arrays = archive.read_arrays(storage.content_of(certificate))
        del arrays["digest"]
        return Parts(arrays.pop("meta").tobytes().decode(), arrays)

    @property
    def meta(self) -> dict[str, Any]:
        return json.loads(self.text)

    def with_meta(self, meta: dict[str, Any]) -> Parts:
        return Parts(json.dumps(meta, sort_keys=True), self.arrays)

    def members(self) -> dict[str, np.ndarray]:
        text = self.text.encode()
        digest = storage._digest(self.text, self.arrays).encode()
        meta = {"meta": text, "digest": digest}
        return {
            **{name: np.frombuffer(value, np.uint8) for name, value in meta.items()},
            **self.arrays,
        }

    def content(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **self.members())
        return buffer.getvalue()

    def write(self, path: Path) -> Path:
        path.write_bytes(self.content())
        return path


def pem(key: Any, password: bytes | None = None) -> bytes:
    """A key, or half of one, as a file holds it."""
    if not hasattr(key, "public_key"):
        return key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    how = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
