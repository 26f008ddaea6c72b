"""What all trainings share: the learning rate over the steps, and the moving average of weights."""

from __future__ import annotations

import math

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

WARM_UP = 0.08
"""Share of all steps during which the learning rate rises."""
EVALUATIONS = 20
"""Validations a run, at most; the last epoch always is one."""
AVERAGED_STEPS = 200
"""Horizon of the moving average of weights; shorter in short runs."""


def share_of_lr(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to 0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def averaged(model: nn.Module, steps: int) -> AveragedModel:
    """The moving average of a model's weights; ``update_parameters(model)`` after each step."""
    horizon = max(1, min(AVERAGED_STEPS, steps // 15))
    # use_buffers: the average's batch-norm statistics are averages too, so it needs no extra pass.
    return AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / horizon), use_buffers=True
    )
