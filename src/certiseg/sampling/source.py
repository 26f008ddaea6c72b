"""The draws of one experiment one after another: the source that sequential methods ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.models.outputs import decide
from certiseg.sampling.experiment import Experiment, Watch
from certiseg.sampling.forward import forward
from certiseg.votes import VoteCounts


class DrawSource:
    """A ``VoteSource`` (theory T7) over draws 0, 1, 2, ...: it never makes one draw twice.

    watch: called with the labels (B, *out) of each batch of ``more``.
    """

    def __init__(self, experiment: Experiment, watch: Watch | None = None) -> None:
        self._experiment, self._watch = experiment, watch
        self._next = 0

    def sizes(self) -> tuple[int, int]:
        """Numbers of components and of classes, from one pass without noise."""
        experiment = self._experiment
        decision = forward(experiment.model, experiment.x, None, decide)
        return decision.size.numel(), decision.num_classes

    def more(self, draws: int) -> VoteCounts:
        """Votes (*out, C) of the next draws alone."""
        start, self._next = self._next, self._next + draws
        return self._experiment.votes(start, self._next, watch=self._watch)

    def posterior(self, draws: int) -> NDArray[np.float32]:
        """Mean softmax (*out, C) of the draws that ``more`` would give next; they stay next."""
        return self._experiment.posterior(self._next, self._next + draws)
