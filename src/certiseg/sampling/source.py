"""The draws of one experiment one after another: the source that sequential methods ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.models.outputs import decide
from certiseg.sampling.experiment import Experiment, LabelCallback
from certiseg.sampling.forward import forward
from certiseg.votes import Source, VoteCounts


class DrawSource:
    """A ``VoteSource`` (theory T7) over draws 0, 1, 2, ...: it never hands out one draw twice.

    The model may not change: that is checked at each call, and the input was copied. All batches of
    ``more`` have one size, since looks build on each other (theory T1). watch: called with the
    labels (B, *out) of each batch of ``more``.
    """

    def __init__(self, experiment: Experiment, watch: LabelCallback | None = None) -> None:
        self._experiment, self._watch = experiment, watch
        self._next = 0

    @property
    def record(self) -> Source:
        """Where the draws come from; none of them is counted here."""
        return self._experiment.record

    def sizes(self) -> tuple[int, int]:
        """Numbers of components and of classes, from one pass without noise."""
        experiment = self._experiment
        decision = forward(experiment.model, experiment.x[None].clone(), decide)
        return decision.size.numel(), decision.num_classes

    def more(self, draws: int) -> VoteCounts:
        """Votes (*out, C) of the next draws alone."""
        start, stop = self._advance(draws)
        return self._experiment.votes(start, stop, watch=self._watch, one_size=True)

    def select(self, draws: int) -> tuple[VoteCounts, NDArray[np.float32]]:
        """Votes (*out, C) of the next draws, and their mean softmax (*out, C).

        For stages that choose what later draws test (``certiseg.adaptive``): these draws are used
        up. Takes two passes a draw; the model must return logits.
        """
        start, stop = self._advance(draws)
        posterior = self._experiment.posterior(start, stop)
        return self._experiment.votes(start, stop), posterior

    def _advance(self, draws: int) -> tuple[int, int]:
        start, self._next = self._next, self._next + draws
        return start, self._next
