"""Consistency: 0 where two draws agree for sure, the formula elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import softmax
from scipy.stats import entropy

from certiseg.training.images import ENTROPY, disagreement

WEIGHT = 3.0


def _plainly(logits: np.ndarray) -> float:
    """Equation 7 of the source, component by component, with SciPy's divergences."""
    first, second = np.split(softmax(logits.astype(float), axis=1), 2)
    values = []
    for index in np.ndindex(first.shape[0], *first.shape[2:]):
        p, q = (a[index[0], (slice(None)), *index[1:]] for a in (first, second))
        mean = (p + q) / 2
        divergence = (entropy(mean, p) + entropy(mean, q)) / 2
        values.append(WEIGHT * divergence + ENTROPY * entropy(mean))
    return float(np.mean(values))


def test_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(6, 4, 3, 2, generator=generator)
    expected = _plainly(logits.numpy())
    assert abs(float(disagreement(logits, WEIGHT)) - expected) < 1e-5
    # Negative control: with other pictures paired the value is another.
    swapped = logits[[1, 2, 0, 3, 4, 5]]
    assert abs(float(disagreement(swapped, WEIGHT)) - expected) > 1e-2


def test_sure_and_alike_costs_nothing() -> None:
    sure = torch.zeros(2, 3, 4, 4)
    sure[:, 1] = 40.0
    assert float(disagreement(sure, WEIGHT)) < 1e-6
    torn = sure.clone()
    torn[1, 1], torn[1, 2] = 0.0, 40.0
    assert float(disagreement(torn, WEIGHT)) > 1.0
