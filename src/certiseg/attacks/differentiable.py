"""Differentiable scores of a base model or of a smoothed model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.noise import Gaussian, Rotation
from certiseg.outputs.decide import logits
from certiseg.sampling.base_model import BaseModel, known_classes
from certiseg.sampling.checks import check_evaluation_mode
from certiseg.sampling.keys import Address, resolve_seed
from certiseg.sampling.noise_samplers import sampler_at
from certiseg.sampling.sampler import Smoothed

Scores = Callable[[Tensor], Tensor]
"""Differentiable scores (B, C, *out) of images (B, *shape)."""


def base_scores(model: Callable[[Tensor], Any]) -> Scores:
    """The logits of a base model with gradients.

    When called, raises InputError for a model without gradients: labels, ONNX, NumPy, inference
    mode.
    """
    check_callable(model)
    check_evaluation_mode(model)
    base = BaseModel(model, known_classes(model))

    def scores(x: Tensor) -> Tensor:
        given = base.given(x)
        try:
            found = logits(base(given), given, base.num_classes)
        except (RuntimeError, TypeError) as error:
            # NumPy functions fail on tensors that require gradients.
            if "numpy" not in str(error):
                raise
            raise _no_gradient("a function of NumPy arrays") from None
        if x.requires_grad and not found.requires_grad:
            raise _no_gradient("logits that autograd cannot follow back to the input")
        return found

    return scores


def check_callable(model: object) -> None:
    """Raise InputError unless model is a function of a batch, for point clouds of one category."""
    if callable(getattr(model, "of", None)) and hasattr(model, "parts"):
        held = getattr(model, "model", model)
        if callable(getattr(held, "of", None)):
            raise InputError(
                f"expected the model of one category of clouds, got {type(model).__name__} of all; "
                f"pass .of(category), such as .of({next(iter(model.parts), '')!r})"
            )
    if not callable(model):
        raise InputError(
            f"expected a callable model, got {type(model).__name__}; of what certiseg.load_model "
            "returns pass .model"
        )


def smoothed_scores(smoothed: Smoothed, draws: int, seed: int | None) -> Scores:
    """Log of the mean softmax over fresh draws of the smoothed model's noise, at each call.

    The noise is that of the sampler for this input, a constant for autograd. Raises InputError
    for other noise than Gaussian.
    """
    noise = smoothed.noise
    if not isinstance(noise, Gaussian):
        remedy = (
            "search rotations with certiseg.attacks.rotations.rotation_attack"
            if isinstance(noise, Rotation)
            else "attack its base model, .model"
        )
        raise InputError(
            f"expected a model smoothed by Gaussian noise, for its gradients, got {noise!r}; "
            f"{remedy}"
        )
    base = base_scores(smoothed.model)
    origin, drawn = resolve_seed(seed)[0], 0

    def scores(x: Tensor) -> Tensor:
        nonlocal drawn
        total: Tensor | None = None
        for _ in range(draws):
            shifts = []
            for image in x.detach():
                sampler = sampler_at(noise, image)
                out = torch.empty(image.shape, dtype=image.dtype)
                sampler.fill(out.numpy(), Address.of(origin, "attack", drawn))
                shifts.append(out.to(image.device) - image)
                drawn += 1
            one = base(x + torch.stack(shifts)).log_softmax(dim=1)
            # Classes masked by -inf, such as parts of other categories, have no gradient.
            one = one.clamp_min(torch.finfo(one.dtype).min)
            total = one if total is None else torch.logaddexp(total, one)
        assert total is not None
        return total - math.log(draws)

    return scores


def on_channels(scores: Scores, channels: int) -> Scores:
    """The scores with a gradient in the first channels alone."""

    def held(x: Tensor) -> Tensor:
        return scores(torch.cat([x[:, :channels], x[:, channels:].detach()], dim=1))

    return held


def _no_gradient(got: str) -> InputError:
    return InputError(
        f"expected a model with gradients, got {got}; pass the PyTorch model itself, not its ONNX "
        "export, and one that returns logits"
    )
