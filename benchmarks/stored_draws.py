"""The label maps of single draws in plain npz files, and votes of any of those draws."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import certiseg as cs
from certiseg.certifiers.adaptive import softmax_margins
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.votes import Source, VoteCounts, counts_dtype

STEP = 10
"""Votes of every STEP-th number of draws are kept; those between are counted anew."""


class StoredDraws:
    """Label maps uint8 (draws, *out) of one input, with the record of where they came from.

    margins: softmax margins (*out) of the first draws, for AdaptiveCertify.
    """

    def __init__(
        self, labels: NDArray[np.uint8], margins: NDArray[np.float32], source: Source, classes: int
    ) -> None:
        self.labels, self.margins, self._source, self.classes = labels, margins, source, classes
        self._first: dict[int, NDArray[np.integer]] = {}
        self._last: tuple[tuple[int, int], VoteCounts] | None = None

    def votes(self, start: int, stop: int) -> VoteCounts:
        """Votes of draws start .. stop - 1."""
        # Many methods ask for the same votes in turn.
        if self._last is not None and self._last[0] == (start, stop):
            return self._last[1]
        counts = self._until(stop) - self._until(start)
        kept = counts.astype(counts_dtype(stop - start))
        shape = (*self.labels.shape[1:], self.classes)
        source = replace(self._source, draws=((start, stop),))
        votes = VoteCounts(kept.reshape(shape), stop - start, source)
        self._last = ((start, stop), votes)
        return votes

    def _until(self, stop: int) -> NDArray[np.integer]:
        """Counts (components * C) of the first draws."""
        if stop % STEP == 0 and stop in self._first:
            return self._first[stop]
        whole = stop - 1 - (stop - 1) % STEP if stop else 0
        cells = int(np.prod(self.labels.shape[1:])) * self.classes
        counts: NDArray[np.integer] = np.zeros(cells, dtype=np.int16)
        if whole < stop:
            first = np.arange(0, cells, self.classes, dtype=np.int32)
            drawn = self.labels[whole:stop].reshape(stop - whole, -1) + first
            counts = self._until(whole) + np.bincount(drawn.ravel(), minlength=cells).astype(
                np.int16
            )
        if stop % STEP == 0:
            self._first[stop] = counts
        return counts


class Replay:
    """A ``VoteSource`` (theory T7) over stored draws 0, 1, 2, ..."""

    def __init__(self, draws: StoredDraws) -> None:
        self._draws, self._next = draws, 0

    def sizes(self) -> tuple[int, int]:
        return int(np.prod(self._draws.labels.shape[1:])), self._draws.classes

    def more(self, draws: int) -> VoteCounts:
        start, self._next = self._next, self._next + draws
        return self._draws.votes(start, self._next)


def stored_draws(
    path: Path,
    smooth: cs.Smoothed,
    x: Tensor,
    draws: int,
    seed: int,
    selection: int,
    advance: Callable[[int], None],
) -> StoredDraws:
    """The draws in the file, or new ones, written to it first.

    selection: draws, the first ones, whose softmax margins are taken. advance: called with the
    number of draws just done. Raises InputError for a file of other draws.
    """
    # One draw is enough to know the record of all.
    one = smooth.vote(x, 1, seed=seed)
    assert one.source is not None
    wanted = replace(one.source, draws=((0, draws),))
    if path.exists():
        found = _read(path, one.num_classes)
        if found[0] != (wanted, selection):
            raise InputError(
                f"{path}: expected {draws} draws of this model, input, noise, seed and engine, "
                "got others; pass another folder as --votes"
            )
        advance(draws)
        return found[1]
    maps: list[NDArray[np.uint8]] = []
    source = smooth.source(
        x, seed=seed, progress=advance, watch=lambda labels: maps.append(labels.astype(np.uint8))
    )
    source.more(draws)
    margins = softmax_margins(smooth.source(x, seed=seed).select(selection)[1])
    labels = np.concatenate(maps)
    buffer = io.BytesIO()
    record = json.dumps({"source": wanted.record(), "selection": selection})
    np.savez_compressed(buffer, labels=labels, margins=margins, record=np.array(record))
    atomic_write(path, buffer.getvalue())
    return StoredDraws(labels, margins, wanted, one.num_classes)


def _read(path: Path, classes: int) -> tuple[tuple[Source, int], StoredDraws]:
    with np.load(path, allow_pickle=False) as file:
        record = json.loads(str(file["record"]))
        source = Source.from_record(record["source"])
        draws = StoredDraws(file["labels"], file["margins"], source, classes)
    return (source, int(record["selection"])), draws
