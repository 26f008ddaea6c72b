"""UNSOUND: certification as in the paper's published code, with one noise for a whole batch.

The published image sampler makes a noisy copy of the image for each draw of a batch and then
resizes the **last** of them once for each draw (eth-sri/segmentation-smoothing at 937d8f6,
lib/datasets/base_dataset.py, multi_scale_inference_noisybatch: the comprehension over the copies
uses the variable of the loop before). So the draws of a batch are one draw, counted many times.
Batches run across the border between choosing and testing draws, so that one batch may be used for
both. See theory, faults in published code, 1.

The emulation is for comparison only. It holds candidates and hits, no votes and no source: no
certificate can be made of it or stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from certiseg.certifiers.segcertify import Correction, SegCertify, flat_cutoff
from certiseg.errors import InputError
from certiseg.votes import ABSTAIN, labels_dtype

UNSOUND = "UNSOUND"


@dataclass
class SharedNoise:
    """Receives the draws of one image in order, and counts them as the published code would.

    batch: number of draws that share a noise. selection, tested: numbers of draws that choose (n0)
    and test (n). The noise of a batch is that of its last draw, so that only those draws are used.
    """

    batch: int
    selection: int
    tested: int
    num_classes: int
    _position: int = 0
    _chosen: list[tuple[NDArray[np.int64], int]] = field(default_factory=list)
    _candidates: NDArray[np.int64] | None = None
    _hits: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"expected --shared-batch of at least 1, got {self.batch}; raise it")

    @property
    def total(self) -> int:
        return self.selection + self.tested

    @property
    def distinct(self) -> int:
        """Number of distinct noise samples among all n0 + n draws."""
        return -(-self.total // self.batch)

    def watch(self, labels: NDArray[np.int64]) -> None:
        """Receive the labels (B, *size) of the next draws."""
        for one in labels:
            draw, self._position = self._position, self._position + 1
            if draw < self.total and self._ends_batch(draw):
                self._count(one, draw // self.batch * self.batch, draw + 1)

    def _ends_batch(self, draw: int) -> bool:
        return (draw + 1) % self.batch == 0 or draw + 1 == self.total

    def _count(self, labels: NDArray[np.int64], start: int, stop: int) -> None:
        """Count the batch start .. stop - 1, whose draws all have these labels."""
        choosing = max(0, min(stop, self.selection) - start)
        if choosing:
            self._chosen.append((labels, choosing))
        if stop < self.selection:
            return
        if self._candidates is None:
            self._candidates = self._mode()
            self._hits = np.zeros(labels.shape, dtype=np.int64)
            self._chosen.clear()
        assert self._hits is not None
        self._hits += (stop - start - choosing) * (labels == self._candidates)

    def _mode(self) -> NDArray[np.int64]:
        """The most frequent label of the choosing draws; the smallest on a tie."""
        counts = np.zeros((self.num_classes, *self._chosen[0][0].shape), dtype=np.int64)
        for labels, weight in self._chosen:
            for label in range(self.num_classes):
                counts[label] += weight * (labels == label)
        modes: NDArray[np.int64] = counts.argmax(axis=0)
        return modes

    def labels(self, tau: float, alpha: float, correction: Correction) -> NDArray[np.signedinteger]:
        """The labels that the published code reports as certified, ABSTAIN elsewhere.

        They have no guarantee: the test assumes independent draws, and these are not.
        """
        assert self._candidates is not None, "labels are read after all draws"
        assert self._hits is not None
        assert self._position >= self.total
        method = SegCertify(tau=tau, alpha=alpha, correction=correction, selection="split")
        method.check_draws(self._hits.size, self.tested)
        cutoff = flat_cutoff(
            self._hits, self.tested, tau=tau, alpha=alpha, correction=correction, selection="split"
        )
        reported = np.where(self._hits >= cutoff, self._candidates, ABSTAIN)
        return reported.astype(labels_dtype(self.num_classes))
