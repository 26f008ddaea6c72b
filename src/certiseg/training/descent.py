"""The steps of a training, whatever is trained: AdamW, warm-up and cosine, averaged weights,
choice on noisy validation; on one process or several, from the start or from where it stopped."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.training.precision import in_precision
from certiseg.training.processes import ALONE, Processes
from certiseg.training.randomness import Randomness
from certiseg.training.schedule import EVALUATIONS, averaged, share_of_lr
from certiseg.training.state import StateFile


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
    score: float


Report = Callable[[int, float, float, Measured | None], None]
"""Called after each step: steps done, epoch (fraction), loss, figures where just measured."""

Forward = Callable[..., Tensor]
"""The model as losses are to call it: in the training's precision, on all its processes."""


class Pace(Protocol):
    """How long and how fast: what the settings of every training have."""

    @property
    def epochs(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


@dataclass(frozen=True)
class Means:
    """What a training runs on. state: where it keeps what it needs to go on; None for nowhere."""

    processes: Processes = ALONE
    state: StateFile | None = None


def descend(
    model: nn.Module,
    losses: Callable[[Forward], Iterable[Tensor]],
    validate: Callable[[nn.Module], Measured],
    pace: Pace,
    per_epoch: int,
    report: Report,
    *,
    check: str,
    randomness: Randomness,
    means: Means,
    precision: str = "float32",
) -> Chosen | None:
    """Train `model` in place; None in all processes but the first, which alone validates.

    losses: those of an epoch's batches, per_epoch of them, each computed when its turn comes, with
    the model in training mode; all chance in them comes from `randomness`. validate: figures of
    the averaged model. check: what to look at beside --lr where a loss stops being finite, which
    raises InputError. A training that goes on from its state ends with the same bits as one that
    was never interrupted.
    """
    steps = per_epoch * pace.epochs
    device = next(model.parameters()).device.type
    optimiser = torch.optim.AdamW(model.parameters(), lr=pace.lr, weight_decay=pace.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: share_of_lr(s, steps))
    average = averaged(model, steps)
    scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
    parts = _Parts(model, average, optimiser, schedule, scaler, randomness, means)
    done, best = parts.restored()
    forward = in_precision(means.processes.joined(model), precision, device)
    every = max(1, pace.epochs // EVALUATIONS)
    for epoch in range(done // per_epoch + 1, pace.epochs + 1):
        model.train()
        for loss in losses(forward):
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"expected a finite loss, got {value} in epoch {epoch}; lower --lr or check "
                    f"that {check}"
                )
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
            schedule.step()
            average.update_parameters(model)
            done += 1
            figures = None
            last = done == epoch * per_epoch and (epoch % every == 0 or epoch == pace.epochs)
            if last and means.processes.first:
                figures = validate(average.module)
                if best is None or figures.score > best.score:
                    weights = copy.deepcopy(average.module.state_dict())
                    best = Chosen(weights, epoch, figures.score)
            report(done, done / per_epoch, value, figures)
        parts.store(done, best)
    assert best is not None or not means.processes.first, "the last epoch is always validated"
    return best


@dataclass(frozen=True)
class _Parts:
    """All that changes in a training, stored and restored together at the end of an epoch."""

    model: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler
    randomness: Randomness
    means: Means

    def restored(self) -> tuple[int, Chosen | None]:
        """Steps done and the best so far, after loading what there is to go on from."""
        earlier = self.means.state.take() if self.means.state is not None else None
        if earlier is None:
            return 0, None
        for name in ("model", "average", "optimiser", "schedule", "scaler"):
            getattr(self, name).load_state_dict(earlier[name])
        self.randomness.restore(earlier["randomness"][self.means.processes.rank])
        best = earlier["best"]
        # All processes read the file, but only the first one chooses.
        chosen = Chosen(**best) if best is not None and self.means.processes.first else None
        return earlier["done"], chosen

    def store(self, done: int, best: Chosen | None) -> None:
        processes, state = self.means.processes, self.means.state
        if state is None:
            return
        chance = processes.gathered(self.randomness.state())

        def everything() -> dict[str, Any]:
            names = ("model", "average", "optimiser", "schedule", "scaler")
            found = {name: getattr(self, name).state_dict() for name in names}
            chosen = None if best is None else vars(best)
            return {**found, "randomness": chance, "done": done, "best": chosen}

        if processes.first:
            state.write(everything)
