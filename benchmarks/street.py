"""Votes as a street scene gives them: most pixels nearly unanimous, the rest torn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from certiseg.votes import VoteCounts, counts_dtype

HEIGHT, WIDTH, CLASSES = 1024, 2048, 19


@dataclass(frozen=True)
class Street:
    """A label (H, W) and its probability for every pixel; the next label has the rest."""

    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    num_classes: int = CLASSES

    @staticmethod
    def make(
        rng: np.random.Generator,
        size: tuple[int, int] = (HEIGHT, WIDTH),
        num_classes: int = CLASSES,
    ) -> Street:
        """Nine tenths of the pixels at 0.99, the others between 0.4 and 0.9."""
        probability = np.where(rng.random(size) < 0.9, 0.99, rng.uniform(0.4, 0.9, size))
        return Street(rng.integers(0, num_classes, size), probability, num_classes)

    def votes(self, rng: np.random.Generator, trials: int) -> VoteCounts:
        """Votes (H, W, C) of so many new draws, in the type and the order in memory, classes
        first, in which ``Smoothed.vote`` gives them."""
        dtype = counts_dtype(trials)
        hits = rng.binomial(trials, self.probability)
        counts = np.zeros((self.num_classes, *self.label.shape), dtype=dtype)
        other = ((self.label + 1) % self.num_classes)[None]
        np.put_along_axis(counts, other, (trials - hits)[None].astype(dtype), 0)
        np.put_along_axis(counts, self.label[None], hits[None].astype(dtype), 0)
        return VoteCounts(np.moveaxis(counts, 0, -1), trials)
