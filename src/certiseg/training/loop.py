"""The training loop of all tasks: AdamW, warm-up and cosine schedule, averaged weights, choice of
the checkpoint by validation under noise. It runs on one process or several, and can be resumed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from certiseg.errors import InputError, first_line
from certiseg.training.processes import ALONE, Processes
from certiseg.training.randomness import Randomness
from certiseg.training.state import StateFile, check_form
from certiseg.training.task import Forward, Measured, Task

WARM_UP = 0.08
"""Share of all steps during which the learning rate rises."""
EVALUATIONS = 20
"""Largest number of validations per run; the last epoch always has one."""
AVERAGED_STEPS = 200
"""Horizon of the moving average of weights, in steps; shorter in short runs."""


@dataclass(frozen=True)
class Chosen:
    """The checkpoint with the best validation score under noise."""

    weights: dict[str, Tensor]
    epoch: int
    score: float


Report = Callable[[int, float, float, Measured | None], None]
"""Called after each step: steps done, epoch (fraction), loss, metrics after a validation."""


@dataclass(frozen=True)
class TrainingContext:
    """Processes of a training, and the file for its state; None: no state is kept."""

    processes: Processes = ALONE
    state: StateFile | None = None


def training_loop(
    model: nn.Module, task: Task, report: Report, context: TrainingContext
) -> Chosen | None:
    """Train `model` in place on the settings' device.

    Returns the chosen checkpoint in the first process, which alone validates, and None in the
    others. Deterministic for one machine, thread count and seed; a resumed training ends with the
    same bits as an uninterrupted one. Raises InputError when the loss stops being finite.
    """
    settings, per_epoch, processes = task.settings, task.steps_per_epoch, context.processes
    epochs, lr, precision = settings.epochs, settings.lr, settings.precision
    steps = per_epoch * epochs
    device = next(model.parameters()).device.type
    randomness = Randomness(settings.seed, processes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=settings.weight_decay)
    average = _averaged(model, steps)
    scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
    parts = _Parts(model, average, optimiser, scaler, randomness, context)
    done, best = parts.restored(per_epoch, epochs)
    forward = in_precision(processes.joined(model), precision, device)
    interval = max(1, epochs // EVALUATIONS)
    for epoch in range(done // per_epoch + 1, epochs + 1):
        model.train()
        for loss in task.losses(forward, randomness):
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"expected a finite loss, got {value} in epoch {epoch}; lower --lr or check "
                    f"that {task.check}"
                )
            optimiser.param_groups[0]["lr"] = lr * share_of_lr(done, steps)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimiser)
            scaler.update()
            average.update_parameters(model)
            done += 1
            figures = None
            last = done == epoch * per_epoch and (epoch % interval == 0 or epoch == epochs)
            if last and processes.first:
                figures = task.validate(average.module)
                if best is None or figures.score > best.score:
                    weights = copy.deepcopy(average.module.state_dict())
                    best = Chosen(weights, epoch, figures.score)
            report(done, done / per_epoch, value, figures)
        parts.store(done, best)
    assert best is not None or not processes.first, "the last epoch is always validated"
    return best


def share_of_lr(step: int, steps: int) -> float:
    """Learning rate at a step, as a share of the highest: linear warm-up, then half a cosine to
    0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def in_precision(model: nn.Module, precision: str, device: str) -> Forward:
    """The model as a function with passes in this precision and float32 output."""
    if precision == "float32":
        return model

    def forward(*inputs: Tensor) -> Tensor:
        with torch.autocast(device, dtype=getattr(torch, precision)):
            output: Tensor = model(*inputs)
        return output.float()

    return forward


def _averaged(model: nn.Module, steps: int) -> AveragedModel:
    """Moving average of the model's weights; call ``update_parameters(model)`` after each step."""
    horizon = max(1, min(AVERAGED_STEPS, steps // 15))
    # use_buffers averages the batch-norm statistics as well, so that they need no extra pass.
    moving = get_ema_multi_avg_fn(1 - 1 / horizon)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=moving, use_buffers=True)


@dataclass(frozen=True)
class _Parts:
    """Everything that changes during a training, stored and restored together at the end of an
    epoch."""

    model: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    randomness: Randomness
    context: TrainingContext

    def restored(self, per_epoch: int, epochs: int) -> tuple[int, Chosen | None]:
        """Load the stored state, if any; returns the steps done and the best checkpoint so far.

        Raises InputError for a state that does not fit this training.
        """
        state = self.context.state
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
        processes = self.context.processes
        chance = self.randomness.state()
        expected = {
            **self._form(),
            "optimiser": self._moments() if earlier["optimiser"] else {},
            # CUDA generators of another device may be missing or of another size.
            "randomness": [{**chance, "cuda": of["cuda"]} for of in earlier["randomness"]],
            "done": 0,
            "best": None,
        }
        best, done = earlier["best"], earlier["done"]
        if best is not None:
            expected["best"] = {
                "weights": self.average.module.state_dict(),
                "epoch": 0,
                "score": 0.0,
            }
        check_form(expected, earlier, "its state")
        ends = [per_epoch * epoch for epoch in range(1, epochs + 1)]
        if done not in ends or len(earlier["randomness"]) != processes.count:
            raise ValueError(f"{done} steps")
        for name in self._form():
            getattr(self, name).load_state_dict(earlier[name])
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": earlier["optimiser"], "param_groups": groups})
        self.randomness.restore(earlier["randomness"][processes.rank])
        # All processes read the file; only the first one keeps the best checkpoint.
        return done, Chosen(**best) if best is not None and processes.first else None

    def store(self, done: int, best: Chosen | None) -> None:
        processes, state = self.context.processes, self.context.state
        if state is None:
            return
        chance = processes.gathered(self.randomness.state())
        if processes.first:
            state.write(
                lambda: {
                    **self._form(),
                    "optimiser": self.optimiser.state_dict()["state"],
                    "randomness": chance,
                    "done": done,
                    "best": None if best is None else vars(best),
                }
            )

    def _form(self) -> dict[str, Any]:
        names = ("model", "average", "scaler")
        return {name: dict(getattr(self, name).state_dict()) for name in names}

    def _moments(self) -> dict[int, dict[str, Tensor]]:
        """Empty tensors of the shapes of AdamW's state."""
        return {
            number: {
                "step": torch.empty((), device="meta"),
                "exp_avg": torch.empty_like(parameter, device="meta"),
                "exp_avg_sq": torch.empty_like(parameter, device="meta"),
            }
            for number, parameter in enumerate(self.model.parameters())
        }
