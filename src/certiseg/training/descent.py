"""The steps of a training, whatever is trained: AdamW, warm-up and cosine, averaged weights,
choice on noisy validation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.training.schedule import EVALUATIONS, averaged, share_of_lr


class Measured(Protocol):
    """What a validation found: a score, the higher the better, and words for a line."""

    @property
    def score(self) -> float: ...
    def words(self) -> str: ...


@dataclass(frozen=True)
class Chosen:
    """The checkpoint with the best validation score under noise."""

    weights: dict[str, Tensor]
    epoch: int
    figures: Measured


Report = Callable[[int, float, float, Measured | None], None]
"""Called after each step: steps done, epoch (fraction), loss, figures where just measured."""


class Pace(Protocol):
    """How long and how fast: what the settings of every training have."""

    @property
    def epochs(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


def descend(
    model: nn.Module,
    losses: Callable[[], Iterable[Tensor]],
    validate: Callable[[nn.Module], Measured],
    pace: Pace,
    per_epoch: int,
    report: Report,
    *,
    check: str,
) -> Chosen:
    """Train `model` in place.

    losses: those of an epoch's batches, per_epoch of them, each computed when its turn comes, with
    the model in training mode. validate: figures of the averaged model. check: what to look at
    beside --lr where a loss stops being finite, which raises InputError.
    """
    steps = per_epoch * pace.epochs
    optimiser = torch.optim.AdamW(model.parameters(), lr=pace.lr, weight_decay=pace.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: share_of_lr(s, steps))
    average = averaged(model, steps)
    every = max(1, pace.epochs // EVALUATIONS)
    best: Chosen | None = None
    done = 0
    for epoch in range(1, pace.epochs + 1):
        model.train()
        for loss in losses():
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"expected a finite loss, got {value} in epoch {epoch}; lower --lr or check "
                    f"that {check}"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            done += 1
            figures = None
            if done == epoch * per_epoch and (epoch % every == 0 or epoch == pace.epochs):
                figures = validate(average.module)
                if best is None or figures.score > best.figures.score:
                    best = Chosen(copy.deepcopy(average.module.state_dict()), epoch, figures)
            report(done, done / per_epoch, value, figures)
    assert best is not None, "the last epoch is always validated"
    return best
