"""Cohen's PREDICT: the smoothed model's label at the input itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from certiseg.stats.binomial import upper_tail
from certiseg.stats.pvalues import checked_alpha
from certiseg.votes import ABSTAIN, VoteCounts, labels_dtype


def predict(votes: VoteCounts, *, alpha: float = 1e-3) -> NDArray[np.signedinteger]:
    """PREDICT: the majority label of the ideal smoothed model, or ABSTAIN. No radius.

    Guarantee: with probability >= 1 - alpha over the draws, every label returned is the most
    probable label of its component under the noise; alpha / N is spent on each of N components.
    It bounds the error of a deployed majority vote (theory T15), not robustness.
    votes: counts (*components, C). Returns int16 or wider of shape components.
    Source: Cohen, Rosenfeld, Kolter 2019, Algorithm PREDICT (two-sided test of the two most
    frequent labels); Hung & Fithian 2019.
    """
    alpha = checked_alpha(alpha)
    # n draws together are within n eta of the law of the claim, whatever is made of them.
    left = alpha - votes.trials * votes.eta
    top = votes.mode()
    first = votes.hits(top)
    rest = votes.counts.astype(np.int64)
    np.put_along_axis(rest, top[..., None], -1, axis=-1)
    second = np.maximum(rest.max(axis=-1), 0)
    pvalues = np.minimum(2.0 * upper_tail(first, first + second, 0.5), 1.0)
    labels = np.where(pvalues * votes.num_components <= left, top, ABSTAIN)
    return np.asarray(labels).astype(labels_dtype(votes.num_classes))
