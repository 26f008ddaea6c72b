"""Votes as a street scene gives them: most pixels nearly unanimous, the rest torn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import certiseg as cs

HEIGHT, WIDTH, CLASSES = 1024, 2048, 19


@dataclass(frozen=True)
class Street:
    """A label (H, W) and its probability for every pixel; the next label has the rest."""

    label: NDArray[np.int64]
    probability: NDArray[np.float64]

    @staticmethod
    def make(rng: np.random.Generator) -> Street:
        """Nine tenths of the pixels at 0.99, the others between 0.4 and 0.9."""
        size = (HEIGHT, WIDTH)
        probability = np.where(rng.random(size) < 0.9, 0.99, rng.uniform(0.4, 0.9, size))
        return Street(rng.integers(0, CLASSES, size), probability)

    def votes(self, rng: np.random.Generator, trials: int) -> cs.VoteCounts:
        """Votes uint8 (H, W, C) of so many new draws."""
        hits = rng.binomial(trials, self.probability)
        counts = np.zeros((HEIGHT, WIDTH, CLASSES), dtype=np.uint8)
        other = ((self.label + 1) % CLASSES)[..., None]
        np.put_along_axis(counts, other, (trials - hits)[..., None].astype(np.uint8), -1)
        np.put_along_axis(counts, self.label[..., None], hits[..., None].astype(np.uint8), -1)
        return cs.VoteCounts(counts, trials)
