"""Commitments: made before the first draw, and kept by the run that draws (theory T15)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.commitment import Commitment, commitment_content, seed_digest
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.files.documents import parse_json, small_file
from certiseg.files.fields import Fields, checked, one_of, whole
from certiseg.runs.settings import Settings
from certiseg.sampling.keys import fresh_seed
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import SEED_BITS, Source, VoteCounts, counts_dtype

_SECRET = "certiseg-commitment-secret-1"
_RECORD: Fields = {"format": one_of(_SECRET), "seed": whole(0, 2**SEED_BITS - 1)}


class _Unanimous:
    """A VoteSource without a model: every draw gives every component class 0.

    record: Source of draws that are still to be made. labels: from one pass without noise.
    """

    def __init__(self, record: Source, labels: NDArray[Any], num_classes: int) -> None:
        self._record, self._shape, self._classes = record, labels.shape, num_classes
        self._next = 0

    def sizes(self) -> tuple[int, int]:
        return int(np.prod(self._shape, dtype=np.int64)), self._classes

    def more(self, draws: int) -> VoteCounts:
        """Unanimous votes of the next draws."""
        start, self._next = self._next, self._next + draws
        one = np.zeros(self._classes, counts_dtype(draws))
        one[0] = draws
        counts = np.broadcast_to(one, (*self._shape, self._classes))
        return VoteCounts(counts, draws, replace(self._record, draws=((start, self._next),)))


def rehearsed(smoothed: Smoothed, x: NDArray[np.float32], settings: Settings) -> Certificate:
    """The certificate of one input for unanimous draws, whose fixed parts equal those of the real
    certificate. Nothing is drawn.

    Raises InputError for a method with choices that are not fixed beforehand.
    """
    method = settings.certifier
    if method.needs_logits:
        raise InputError(
            "expected a method whose choices are all fixed beforehand, got --thresholds, which "
            "choose levels by draws; leave them out"
        )
    labels = smoothed.predict_clean(x)
    assert smoothed.num_classes is not None
    votes = _Unanimous(smoothed.source(x).record, labels, smoothed.num_classes)
    return method.ask(
        votes,
        noise=settings.noise,
        num_samples=settings.num_samples,
        selection_samples=settings.selection_samples,
    )


def secret_file(file: Path) -> Path:
    """Path of the file with the seed of a commitment: FILE.secret."""
    return Path(f"{file}.secret")


def commit(file: Path, certificates: Sequence[Certificate]) -> Commitment:
    """Write a commitment for these certificates (from ``rehearsed``) under a fresh seed, and the
    seed into ``secret_file``, readable by its owner only. Raises InputError; existing files are
    never replaced."""
    secret = secret_file(file)
    for path in (file, secret):
        if path.exists():
            raise InputError(
                f"expected a new file for the commitment, got {path}, which exists; choose "
                "another name, for a commitment is never replaced"
            )
    seed = fresh_seed()
    content = commitment_content(certificates, seed)
    handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as opened:
        json.dump({"format": _SECRET, "seed": seed}, opened)
    atomic_write(file, content)
    return Commitment.read(file)


@dataclass(frozen=True)
class Promise:
    """A commitment that a run must keep. seed: of its draws. challenge: see theory T15."""

    commitment: Commitment
    seed: int
    challenge: str | None = None

    @staticmethod
    def open(file: Path, challenge: str | None = None) -> Promise:
        """The commitment with its secret seed, or with the seed from a challenge. Raises
        InputError.

        Either counts as the caller's: a program cannot know who wrote what it reads (theory T15).
        """
        commitment = Commitment.read(file)
        if challenge is not None:
            return Promise(commitment, commitment.challenged(challenge), challenge)
        path = secret_file(file)
        try:
            record = checked(parse_json(small_file(path)), _RECORD, "a secret")
        except ValueError as error:
            raise InputError(
                f"expected the seed of {file} in {path}, got {error}; commit anew, or pass "
                "--challenge"
            ) from None
        if seed_digest(record["seed"]) != commitment.seed_digest:
            raise InputError(
                f"expected the seed of {file} in {path}, got that of another commitment; "
                "keep the two files together"
            )
        return Promise(commitment, record["seed"])

    def check_plan(self, path: Path, certificate: Certificate) -> None:
        """Raise InputError unless the certificate (from ``rehearsed``) is as committed. path: of
        the input."""
        other = self.commitment.difference(certificate)
        if other is not None:
            raise InputError(
                f"{path}: expected what {self.commitment.name} committed to, got {other}; ask for "
                "the same, or commit anew"
            )
