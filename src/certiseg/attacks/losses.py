"""Losses that attacks on segmentation maximise, one value per component."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Literal["ce", "masked-ce", "js", "cospgd", "masked-margin"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


@dataclass(frozen=True)
class Goal:
    """Goal of an attack.

    labels: int64 (B, *out), the labels to change, or to reach if targeted. weights: float (B,
    *out), 0 for components that do not count. targeted: see labels.
    """

    labels: Tensor
    weights: Tensor
    targeted: bool

    def reached(self, logits: Tensor) -> Tensor:
        """Bool (B, *out): where the labels of the logits reach the goal."""
        same = logits.argmax(dim=1) == self.labels
        return (same if self.targeted else ~same) & (self.weights > 0)

    def margins(self, logits: Tensor) -> Tensor:
        """Logit by which each component (B, *out) falls short of the goal; negative beyond it."""
        values = self._values("masked-margin", logits)
        return values if self.targeted else -values

    def loss(self, kind: Loss, logits: Tensor) -> Tensor:
        """Mean of the weighted loss over the components (B,), to be maximised.

        ce: cross-entropy. masked-ce: of components not yet reached alone. js: Jensen-Shannon
        divergence between softmax and label, bounded, so that components already reached do not
        dominate (Croce, Singh, Hein 2024). cospgd: cross-entropy weighted by the cosine between
        softmax and label (Agnihotri, Jung, Keuper 2024). masked-margin: the best other logit less
        that of the label, of components not yet reached. Targeted losses have the other sign, and
        cospgd the weight 1 - cosine.
        """
        values = self._values(kind, logits)
        weights = self.weights
        if kind.startswith("masked"):
            weights = weights * ~self.reached(logits)
        signed = -values if self.targeted else values
        mean: Tensor = (signed * weights).flatten(1).sum(1) / self.weights.flatten(1).sum(1)
        return mean

    def _values(self, kind: Loss, logits: Tensor) -> Tensor:
        index = self.labels[:, None]
        if kind == "masked-margin":
            own = logits.gather(1, index)
            others = logits.scatter(1, index, -torch.inf).amax(dim=1)
            return others - own[:, 0]
        log_p = F.log_softmax(logits, dim=1)
        own = log_p.gather(1, index)[:, 0]
        if kind == "js":
            # With p the label's probability, m = (softmax + label) / 2: half of
            # KL(label, m) + KL(softmax, m); off the label softmax / m is 2.
            p = own.exp()
            at_label = torch.log1p(p)
            js: Tensor = math.log(2) + 0.5 * (p * own - (1 + p) * at_label)
            return js
        if kind == "cospgd":
            softmax = log_p.detach().exp()
            length = torch.linalg.vector_norm(softmax, dim=1)
            cosine: Tensor = softmax.gather(1, index)[:, 0] / length
            return -own * (1 - cosine if self.targeted else cosine)
        return -own
