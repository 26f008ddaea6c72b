"""Denoise, then segment: a base model that needs no training under noise (theory T13)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.loaded import name_of, take_over
from certiseg.models.python_model import load_python
from certiseg.models.serialization import CARD_FILE, load_bundled, load_folder

Denoiser = nn.Module | Callable[[Tensor], Tensor]


class Denoised(nn.Module):
    """A base model behind a denoiser: noise is added in input space, taken out, then segmented.

    Takes pictures (B, C, H, W) (plus noise, nothing is clipped) and returns what the model does on
    the denoised ones. Both are part of the base model that certificates speak of, and of its
    fingerprint.

    Args:
        denoiser: (B, C, H, W) -> (B, C, H, W), a function of the noisy pictures alone.
        model: the base model, which needs no training under noise.

    Raises:
        InputError: in a pass, inputs that are no pictures or a denoiser that changes the shape.

    Example:
        >>> import torch
        >>> model = Denoised(lambda x: x.clamp(0, 1), torch.nn.Conv2d(3, 5, 1).eval())
        >>> tuple(model(torch.zeros(1, 3, 8, 8)).shape)
        (1, 5, 8, 8)

    Reference:
        Salman et al. 2020; theory T13 (docs/theory.md).
    """

    def __init__(self, denoiser: Denoiser, model: nn.Module | Callable[..., Any]) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.model = model
        self.model_name = f"{name_of(model)} behind the denoiser {name_of(denoiser)}"
        take_over(self, model, denoiser)

    def forward(self, x: Tensor) -> Any:
        if x.ndim != 4:
            raise InputError(
                f"expected pictures (B, C, H, W), got a batch of shape {tuple(x.shape)}; "
                "a denoiser of pictures serves nothing else"
            )
        restored = self.denoiser(x)
        if not isinstance(restored, Tensor) or restored.shape != x.shape:
            got = tuple(restored.shape) if isinstance(restored, Tensor) else type(restored).__name__
            raise InputError(
                f"expected a denoiser that keeps the shape {tuple(x.shape)}, got {got}; "
                "return the denoised pictures alone"
            )
        return self.model(restored)


def load_denoiser(spec: str) -> Denoiser:
    """Load the denoiser that a name stands for, in evaluation mode, on the CPU.

    Args:
        spec: "certiseg:NAME", "python:MODULE:FUNCTION", or a folder that ``certiseg train
            denoiser`` wrote.

    Raises:
        InputError: another form, or a model that segments.

    Example:
        >>> load_denoiser("certiseg:camvid-denoiser").channels
        3
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "python":
        return load_python(rest).model
    if scheme == "certiseg":
        found = load_bundled(rest)
    elif (Path(spec) / CARD_FILE).is_file():
        found = load_folder(spec)
    else:
        raise InputError(
            "expected a denoiser as certiseg:NAME (shipped), python:MODULE:FUNCTION or a folder "
            f"that certiseg train denoiser wrote, got {spec!r}; check the path"
        )
    if found.kind != "denoiser":
        raise InputError(
            f"expected a denoiser, got {spec}, which segments; name it with --model instead"
        )
    found.model_name = spec
    return found
