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
from torch.optim.swa_utils import AveragedModel

from certiseg.errors import InputError, first_line
from certiseg.training.form import check_form
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
    average = averaged(model, steps)
    scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
    parts = _Parts(model, average, optimiser, scaler, randomness, means)
    done, best = parts.restored(per_epoch, pace.epochs)
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
            optimiser.param_groups[0]["lr"] = pace.lr * share_of_lr(done, steps)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
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
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    randomness: Randomness
    means: Means

    def restored(self, per_epoch: int, epochs: int) -> tuple[int, Chosen | None]:
        """Steps done and the best so far, after loading what there is to go on from.

        Raises InputError for a state of another form than this training's.
        """
        state = self.means.state
        earlier = state.take() if state is not None else None
        if state is None or earlier is None:
            return 0, None
        try:
            return self._restore(earlier, per_epoch, epochs)
        except (ValueError, TypeError, LookupError, RuntimeError, OverflowError) as error:
            raise state.damaged(first_line(error)) from None

    def _restore(
        self, earlier: dict[str, Any], per_epoch: int, epochs: int
    ) -> tuple[int, Chosen | None]:
        chance = self.randomness.state()
        own = {
            **self._form(),
            "optimiser": self._moments() if earlier["optimiser"] else {},
            # Of another device there may be none, or one of another size.
            "randomness": [{**chance, "cuda": of["cuda"]} for of in earlier["randomness"]],
            "done": 0,
            "best": None,
        }
        best, done = earlier["best"], earlier["done"]
        if best is not None:
            own["best"] = {"weights": self.average.module.state_dict(), "epoch": 0, "score": 0.0}
        check_form(own, earlier, "its state")
        every = [per_epoch * epoch for epoch in range(1, epochs + 1)]
        if done not in every or len(earlier["randomness"]) != self.means.processes.count:
            raise ValueError(f"{done} steps")
        for name in self._form():
            getattr(self, name).load_state_dict(earlier[name])
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": earlier["optimiser"], "param_groups": groups})
        self.randomness.restore(earlier["randomness"][self.means.processes.rank])
        # All processes read the file, but only the first one chooses.
        chosen = Chosen(**best) if best is not None and self.means.processes.first else None
        return done, chosen

    def store(self, done: int, best: Chosen | None) -> None:
        processes, state = self.means.processes, self.means.state
        if state is None:
            return
        chance = processes.gathered(self.randomness.state())

        def everything() -> dict[str, Any]:
            chosen = None if best is None else vars(best)
            moments = self.optimiser.state_dict()["state"]
            return {
                **self._form(),
                "optimiser": moments,
                "randomness": chance,
                "done": done,
                "best": chosen,
            }

        if processes.first:
            state.write(everything)

    def _form(self) -> dict[str, Any]:
        names = ("model", "average", "scaler")
        return {name: dict(getattr(self, name).state_dict()) for name in names}

    def _moments(self) -> dict[int, dict[str, Tensor]]:
        """What AdamW keeps of each parameter, without its values."""
        return {
            number: {
                "step": torch.empty((), device="meta"),
                "exp_avg": torch.empty_like(parameter, device="meta"),
                "exp_avg_sq": torch.empty_like(parameter, device="meta"),
            }
            for number, parameter in enumerate(self.model.parameters())
        }
