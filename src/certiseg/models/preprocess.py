"""Preprocessing as part of the base model, so that noise is always added in input space [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.coarse import Coarse, coarse_form
from certiseg.models.outputs import tensor_of


class Preprocess(nn.Module):
    """Resize and normalise the input, call `model`, bring its logits back to the input's size.

    Takes (B, C, H, W) in [0, 1] (plus noise: nothing is clipped) and returns logits
    (B, classes, H, W), or labels (B, H, W) where the model returns integer labels. Volumes
    (B, C, D, H, W) are normalised, but not resized.
    mean, std: one number a channel, in input units. Resizing is bilinear, to `size` (H', W') or by
    the factor `scale`, at most one of them. A model output as dict["out"] or object.logits is read.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if scale is not None and size is not None:
            raise InputError(
                f"expected scale or size, got both ({scale} and {size}); leave one out"
            )
        if scale is not None and not scale > 0:
            raise InputError(f"expected scale > 0, got {scale}; 0.5 halves height and width")
        if std is not None and not all(s > 0 for s in std):
            raise InputError(f"expected std > 0 for every channel, got {list(std)}; correct it")
        if mean is not None and std is not None and len(mean) != len(std):
            raise InputError(
                f"expected as many means as stds, got {len(mean)} and {len(std)}; "
                "give one a channel"
            )
        self.model = model
        self.scale = scale
        self.size = size
        self.mean: Tensor | None
        self.std: Tensor | None
        self.register_buffer("mean", _per_channel(mean), persistent=False)
        self.register_buffer("std", _per_channel(std), persistent=False)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, size={self.size}"

    def forward(self, x: Tensor) -> Tensor:
        output = self.coarse(x)
        return output.full() if isinstance(output, Coarse) else output

    def coarse(self, x: Tensor) -> Tensor | Coarse:
        """What ``forward`` returns, before its last step where that is a bilinear upsampling."""
        size = x.shape[-2:]
        for statistic in (self.mean, self.std):
            # Broadcasting would turn a grey picture into three channels without a word.
            if statistic is not None and len(statistic) not in (1, x.shape[1]):
                raise InputError(
                    f"expected {len(statistic)} channels, as many as means and stds, got input of "
                    f"shape {tuple(x.shape)}; pass a picture with these channels"
                )
        if x.ndim != 4 and not (self.size is None and self.scale is None):
            raise InputError(
                f"expected pictures (B, C, H, W) to resize, got shape {tuple(x.shape)}; resize "
                "volumes beforehand"
            )
        if self.size is not None:
            x = F.interpolate(x, size=self.size, mode="bilinear", align_corners=False)
        elif self.scale is not None:
            target = [max(1, round(n * self.scale)) for n in size]
            x = F.interpolate(x, size=target, mode="bilinear", align_corners=False)
        # On axis 1, whatever comes after it: of a volume three sides.
        along = (-1, *[1] * (x.ndim - 2))
        if self.mean is not None:
            x = x - self.mean.reshape(along)
        if self.std is not None:
            x = x / self.std.reshape(along)
        inner = coarse_form(self.model)(x)
        if isinstance(inner, Coarse) and inner.size == tuple(size):
            return inner
        if x.ndim != 4:
            return tensor_of(inner)[0]
        return _enlarge(tensor_of(inner)[0], size)


def _per_channel(values: Sequence[float] | None) -> Tensor | None:
    return (
        None if values is None else torch.tensor(list(values), dtype=torch.float32)[:, None, None]
    )


def _enlarge(output: Tensor, size: torch.Size) -> Tensor | Coarse:
    if output.shape[-2:] == size:
        return output
    if output.ndim == 3 and not output.is_floating_point():
        # Labels have no order: nearest neighbour is the only resize that invents none.
        near = F.interpolate(output[:, None].to(torch.float32), size=size, mode="nearest")
        return near[:, 0].to(output.dtype)
    if output.ndim != 4:
        return F.interpolate(output, size=size, mode="bilinear", align_corners=False)
    return Coarse(output, (size[0], size[1]))
