"""How much a network's answers differ between two draws of noise on one picture."""

from __future__ import annotations

import torch
from torch import Tensor

ENTROPY = 0.5
"""Weight of the mean answer's entropy, as the source fixes it."""


def disagreement(logits: Tensor, weight: float) -> Tensor:
    """Divergence of each answer from the mean answer, and the mean answer's entropy.

    logits: (2 B, C, *out), the pictures under one draw, then the same under another. With F_i the
    softmax under draw i and F their mean: the mean over components of
    weight * E_i KL(F || F_i) + ENTROPY * H(F).
    It is 0 where both draws are sure of one label. Certificates hold whatever was trained; answers
    that agree under noise are what they certify.
    Source: Jeong & Shin 2020, Consistency regularization for certified robustness, eq. 7.
    """
    single = logits.log_softmax(dim=1)
    first, second = single.chunk(2)
    mean = torch.logaddexp(first, second) - torch.log(torch.tensor(2.0))
    share = mean.exp()
    entropy = -(share * mean).sum(dim=1).mean()
    cross = -(share * (first + second) / 2).sum(dim=1).mean()
    return weight * (cross - entropy) + ENTROPY * entropy
