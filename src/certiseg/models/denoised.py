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
    """A base model behind a denoiser: the noisy input is denoised, then segmented.

    Takes images (B, C, H, W) (plus noise, not clipped) and returns the model's output on the
    denoised images. Certificates are about the two together, and the fingerprint covers both.

    Args:
        denoiser: (B, C, H, W) -> (B, C, H, W), a function of the noisy images alone.
        model: the base model, which needs no training under noise.

    Raises:
        InputError: in a pass, inputs that are not images, or a denoiser that changes the shape.

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
                f"expected images (B, C, H, W), got a batch of shape {tuple(x.shape)}; "
                "a denoiser takes only images"
            )
        restored = self.denoiser(x)
        if not isinstance(restored, Tensor) or restored.shape != x.shape:
            got = tuple(restored.shape) if isinstance(restored, Tensor) else type(restored).__name__
            raise InputError(
                f"expected a denoiser that keeps the shape {tuple(x.shape)}, got {got}; "
                "return the denoised images alone"
            )
        return self.model(restored)


def load_denoiser(spec: str) -> Denoiser:
    """Load a denoiser by name, in evaluation mode, on the CPU.

    Args:
        spec: "certiseg:NAME", "python:MODULE:FUNCTION", or a folder that ``certiseg train
            denoiser`` wrote.

    Raises:
        InputError: a name of another form, or a segmentation model.

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
            "expected a denoiser as certiseg:NAME (bundled), python:MODULE:FUNCTION or a folder "
            f"that certiseg train denoiser wrote, got {spec!r}; check the path"
        )
    if found.kind != "denoiser":
        raise InputError(
            f"expected a denoiser, got {spec}, which segments; name it with --model instead"
        )
    found.model_name = spec
    return found
