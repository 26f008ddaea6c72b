"""Denoise, then segment: a base model that needs no training under noise (theory T13)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.own import load_own
from certiseg.models.shipped import load_shipped
from certiseg.models.stored import CARD_FILE, TrainedDenoiser, load_folder

Denoiser = nn.Module | Callable[[Tensor], Tensor]


class Denoised(nn.Module):
    """`model` behind `denoiser`: pictures (B, C, H, W) -> what the model returns on the denoised.

    denoiser: (B, C, H, W) -> (B, C, H, W), of the noisy pictures alone. Noise is added before it,
    in input space, and nothing is clipped. Both are part of the base model that certificates
    speak of, and of its fingerprint.
    Raises InputError for inputs that are no pictures and for a denoiser that changes the shape.
    """

    def __init__(
        self,
        denoiser: nn.Module | Callable[[Tensor], Tensor],
        model: nn.Module | Callable[..., Any],
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.model = model
        # In the mode of what it wraps, so that one that still trains is noticed.
        self.training = any(bool(getattr(part, "training", False)) for part in (denoiser, model))
        self.model_name = f"{_name(model)} behind the denoiser {_name(denoiser)}"
        # Where the model states its classes itself, this one states them too.
        for name in ("num_classes", "config"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

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
    """The denoiser that `spec` names, in eval mode: certiseg:NAME, python:MODULE:FUNCTION,
    or a folder that certiseg train denoiser wrote.

    Raises InputError for anything else, and for a segmentation model.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "python":
        return load_own(spec, rest).model
    if scheme == "certiseg":
        found = load_shipped(rest)
    elif (Path(spec) / CARD_FILE).is_file():
        found = load_folder(Path(spec))
    else:
        raise InputError(
            "expected a denoiser as certiseg:NAME (shipped), python:MODULE:FUNCTION or a folder "
            f"that certiseg train denoiser wrote, got {spec!r}; check the path"
        )
    if not isinstance(found, TrainedDenoiser):
        raise InputError(
            f"expected a denoiser, got {spec}, which segments; name it with --model instead"
        )
    found.model_name = spec
    return found


def _name(part: object) -> str:
    return str(
        getattr(part, "model_name", None)
        or getattr(part, "__qualname__", None)
        or type(part).__qualname__
    )
