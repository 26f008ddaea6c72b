"""Base models whose draws are not independent, each certified before there was a probe.

A draw's score is standard normal; passed alone, its label is 0 with probability .6, below tau.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.outputs.low_resolution import LowResolutionLogits

X = torch.full((1, 2, 2), 0.5)
SIGMA, TAU = 0.25, 0.75
LEAST = 0.2533
"""P(score > -LEAST) = .6."""


def score(x: Tensor) -> Tensor:
    """(B,): standard normal under the noise."""
    return (x - 0.5).flatten(1).sum(1) / (2 * SIGMA)


def logits(decided: Tensor, wide: Tensor) -> Tensor:
    """(B, 2, H, W): label 0 where decided (B,) > -LEAST."""
    two = torch.stack([decided + LEAST, torch.zeros_like(decided)], dim=1)
    return two[:, :, None, None].expand(-1, -1, *wide.shape[2:])


class Mixes(nn.Module):
    """One decision for each draw from all scores."""

    def decided(self, s: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return logits(self.decided(score(x)), x)


class ListedNorm(Mixes):
    """eval() does not reach a layer in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = [nn.BatchNorm2d(1, affine=False)]

    def decided(self, s: Tensor) -> Tensor:
        wide = s[:, None, None, None].expand(-1, 1, 2, 2)
        return (wide - self.norms[0](wide))[:, 0, 0, 0]


class FunctionalNorm(Mixes):
    """eval() was forgotten."""

    def decided(self, s: Tensor) -> Tensor:
        wide = s[:, None, None, None].expand(-1, 1, 2, 2)
        mean, var = torch.zeros(1), torch.ones(1)
        return (wide - F.batch_norm(wide, mean, var, training=self.training))[:, 0, 0, 0]


class AlwaysNorm(FunctionalNorm):
    """Batch statistics whatever the mode."""

    def decided(self, s: Tensor) -> Tensor:
        wide = s[:, None, None, None].expand(-1, 1, 2, 2)
        return (wide - F.batch_norm(wide, None, None, training=True))[:, 0, 0, 0]


class Attention(Mixes):
    """batch_first=False: the batch is taken for the sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(1, 1, bias=False)
        with torch.no_grad():
            self.attention.in_proj_weight.copy_(torch.tensor([[0.0], [0.0], [1.0]]))
            self.attention.out_proj.weight.fill_(1.0)

    def decided(self, s: Tensor) -> Tensor:
        sequence = s[:, None, None]
        return self.attention(sequence, sequence, sequence)[0][:, 0, 0]


class Mean(Mixes):
    def decided(self, s: Tensor) -> Tensor:
        return s.mean(0).expand_as(s)


class Third(nn.Module):
    """Two fixed scores, and one of the batch's mean, which is third of three where they agree."""

    def forward(self, x: Tensor) -> Tensor:
        last = 1 - 10 * (score(x).mean(0).expand(len(x)) + LEAST)
        three = torch.stack([torch.ones_like(last), torch.zeros_like(last), last], dim=1)
        return three[:, :, None, None].expand(-1, -1, *x.shape[2:])


class Running(Mixes):
    """Each row sees those before it."""

    def decided(self, s: Tensor) -> Tensor:
        return s.cumsum(0) / torch.arange(1, len(s) + 1)


class Neighbour(Mixes):
    """A shift along the batch, as video models have along time."""

    def decided(self, s: Tensor) -> Tensor:
        return (s + s.roll(1)) / 2


class Sorted(Mixes):
    def decided(self, s: Tensor) -> Tensor:
        return s.sort()[0]


class Calibrated(Mixes):
    """Calibrates itself on its first batch and keeps that."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = None

    def decided(self, s: Tensor) -> Tensor:
        if not self.known():
            self.keep(s.mean())
        return (s + 10 * self.offset) / 11

    def known(self) -> bool:
        return self.offset is not None

    def keep(self, offset: Tensor) -> None:
        self.offset = offset


class CalibratedBuffer(Calibrated):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.register_buffer("offset", torch.full((), torch.nan))

    def known(self) -> bool:
        return not bool(self.offset.isnan())

    def keep(self, offset: Tensor) -> None:
        self.offset.copy_(offset)


class Cached(Mixes):
    """Keeps what it computed for inputs of this shape."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[tuple[int, ...], Tensor] = {}

    def decided(self, s: Tensor) -> Tensor:
        return (s + 10 * self.cache.setdefault(tuple(s.shape), s.mean())) / 11


class Previous(Mixes):
    """Statistics of the batch before."""

    last = None

    def decided(self, s: Tensor) -> Tensor:
        before = s if self.last is None else self.last.expand_as(s)
        self.last = s.mean()
        return 0.1 * s + before


class Average(Mixes):
    """A running average over all it has seen."""

    average = None

    def decided(self, s: Tensor) -> Tensor:
        now = s.mean()
        self.average = now if self.average is None else 0.9 * self.average + 0.1 * now
        return (s + 10 * self.average) / 11


class Switched(Mixes):
    """Another model from draw 50 on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.passed = 0

    def decided(self, s: Tensor) -> Tensor:
        self.passed += len(s)
        if self.passed > 50:
            self.weight.data.fill_(10.0)
        return s + self.weight


class Counted(Mixes):
    """The same, by a number in a plain attribute."""

    passed = 0

    def decided(self, s: Tensor) -> Tensor:
        self.passed += len(s)
        return s + 10 * (self.passed > 50)


class SharedNoise(Mixes):
    """One random choice for all rows of a batch."""

    def decided(self, s: Tensor) -> Tensor:
        return 0.01 * s + torch.randn(1)


class SharedAndMixed(Mixes):
    """Randomness in each row, and the batch's mean."""

    def decided(self, s: Tensor) -> Tensor:
        return s.mean() + 0.05 * torch.randn(len(s))


def closure():
    """State in a closure."""
    kept: list[Tensor] = []

    def model(x: Tensor) -> Tensor:
        s = score(x)
        if not kept:
            kept.append(s.mean())
        return logits((s + 10 * kept[0]) / 11, x)

    return model


def forgotten(kind: type[nn.Module]) -> nn.Module:
    return kind().train()


def evaluated(kind: type[nn.Module]):
    return lambda: kind().eval()


MODELS = {
    "BatchNorm in a list": evaluated(ListedNorm),
    "functional batch norm, eval forgotten": lambda: forgotten(FunctionalNorm),
    "functional batch norm in any mode": evaluated(AlwaysNorm),
    "attention over the batch": evaluated(Attention),
    "mean over axis 0": evaluated(Mean),
    "mean over axis 0 in one class": evaluated(Third),
    "running mean over axis 0": evaluated(Running),
    "shift along the batch": evaluated(Neighbour),
    "sorted along the batch": evaluated(Sorted),
    "calibrated on the first batch, attribute": evaluated(Calibrated),
    "calibrated on the first batch, buffer": evaluated(CalibratedBuffer),
    "calibrated on the first batch, closure": closure,
    "cache by shape": evaluated(Cached),
    "statistics of the batch before": evaluated(Previous),
    "running average": evaluated(Average),
    "weights switched at draw 50": evaluated(Switched),
    "function switched at draw 50": evaluated(Counted),
    "one random choice for all rows": evaluated(SharedNoise),
    "random rows and a mean": evaluated(SharedAndMixed),
}
"""By what is wrong: makes the model anew."""

HARMLESS = ("shift along the batch", "sorted along the batch")
"""Refused too, though they certify no label that a draw alone would not have often enough."""


FORMS = {
    "dict": lambda out: {"out": out},
    "object": lambda out: SimpleNamespace(logits=out),
    "coarse": lambda out: LowResolutionLogits(out[:, :, :1, :1], (2, 2)),
}


def returning(form: str):
    """The mean over axis 0 in another form of output."""
    if form == "labels":
        return lambda x: (x.mean(0).expand_as(x)[:, 0] < 0.5).long()
    model = Mean().eval()
    return lambda x: FORMS[form](model(x))
