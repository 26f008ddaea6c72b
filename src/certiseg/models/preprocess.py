"""Preprocessing inside the base model, so that noise is always added in input space [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.models.loaded import declared
from certiseg.outputs.low_resolution import LowResolutionLogits, low_resolution_form
from certiseg.outputs.tensors import BinaryScores, check_axes, tensor_of


class Preprocess(nn.Module):
    """Preprocessing inside the base model: noise is added to the original input.

    Takes (B, C, H, W) in [0, 1] (plus noise, not clipped), resizes and normalises it, calls the
    model, and resizes its logits (B, classes, H, W), integer labels (B, H, W) or declared binary
    output (``Binary``) to the input's size. Volumes (B, C, D, H, W) are normalised, not resized.

    Args:
        model: a module or a function of a batch; its output may be a tensor, ``dict["out"]`` or
            ``object.logits``.
        mean: one number per channel, in input units; None subtracts nothing.
        std: one number per channel, in input units; None does not divide.
        scale: resize height and width bilinearly by this factor.
        size: resize bilinearly to this (H', W'), instead of ``scale``.

    Raises:
        InputError: both scale and size, a scale or std that is not positive, unequal numbers of
            means and stds; in a pass, inputs with another number of channels.

    Example:
        >>> import torch
        >>> network = torch.nn.Conv2d(3, 5, 1).eval()
        >>> model = Preprocess(network, mean=[0.5] * 3, std=[0.2] * 3, scale=0.5)
        >>> tuple(model(torch.zeros(1, 3, 8, 8)).shape)
        (1, 5, 8, 8)
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
                "give one per channel"
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

    @property
    def binary(self) -> BinaryOutput | None:
        """The declaration of the model inside."""
        return declared(self.model)

    def forward(self, x: Tensor) -> Tensor | BinaryScores:
        output = self.low_resolution(x)
        return output.full() if isinstance(output, LowResolutionLogits) else output

    def low_resolution(self, x: Tensor) -> Tensor | LowResolutionLogits | BinaryScores:
        """The output of ``forward`` before a final bilinear upsampling, if there is one."""
        size = x.shape[-2:]
        for statistic in (self.mean, self.std):
            # Broadcasting would silently turn a grey image into three channels.
            if statistic is not None and len(statistic) not in (1, x.shape[1]):
                raise InputError(
                    f"expected {len(statistic)} channels, as many as means and stds, got input of "
                    f"shape {tuple(x.shape)}; pass an image with these channels"
                )
        if x.ndim != 4 and not (self.size is None and self.scale is None):
            raise InputError(
                f"expected images (B, C, H, W) to resize, got shape {tuple(x.shape)}; resize "
                "volumes beforehand"
            )
        target: Sequence[int] | None = self.size
        if self.scale is not None:
            target = [max(1, round(n * self.scale)) for n in size]
        if target is not None:
            x = F.interpolate(x, size=[*target], mode="bilinear", align_corners=False)
        # On axis 1, with any number of axes after it.
        along = (-1, *[1] * (x.ndim - 2))
        if self.mean is not None:
            x = x - self.mean.reshape(along).to(x.dtype)
        if self.std is not None:
            x = x / self.std.reshape(along).to(x.dtype)
        inner = low_resolution_form(self.model)(x)

        def at_size(output: object) -> Tensor | LowResolutionLogits:
            if isinstance(output, LowResolutionLogits) and output.size == tuple(size):
                return output
            tensor = tensor_of(output)[0]
            check_axes(tensor, x.shape[2:])
            return tensor if x.ndim != 4 else _enlarge(tensor, size)

        return inner.changed(at_size) if isinstance(inner, BinaryScores) else at_size(inner)


class OfBase:
    """A module around ``base``, a Preprocess, which it calls and describes."""

    base: Preprocess

    @property
    def binary(self) -> BinaryOutput | None:
        """The declaration of the base."""
        return declared(self.base)

    def forward(self, x: Tensor) -> Tensor | BinaryScores:
        logits: Tensor | BinaryScores = self.base(x)
        return logits

    def low_resolution(self, x: Tensor) -> Tensor | LowResolutionLogits | BinaryScores:
        """The output of ``forward`` before a final bilinear upsampling, if there is one."""
        found: Tensor | LowResolutionLogits | BinaryScores = low_resolution_form(self.base)(x)
        return found


def _per_channel(values: Sequence[float] | None) -> Tensor | None:
    return None if values is None else torch.tensor([*values], dtype=torch.float32)[:, None, None]


def _enlarge(output: Tensor, size: torch.Size) -> Tensor | LowResolutionLogits:
    if output.shape[-2:] == size or output.ndim not in (3, 4):
        return output
    maps = output[:, None] if output.ndim == 3 else output
    if not output.is_floating_point():
        # Labels have no order: only nearest neighbour invents none.
        near = F.interpolate(maps.to(torch.float32), size=size, mode="nearest").to(output.dtype)
        return near[:, 0] if output.ndim == 3 else near
    return LowResolutionLogits(maps, (size[0], size[1]))


class Padded(nn.Module):
    """A network of images whose height and width must be multiples of `multiple`, for any size.

    The last row and column are repeated below and on the right, and the logits there are cut off
    again, so that the output is (B, classes, H, W). The padding repeats the noise as well, which is
    no problem for a network trained under noise. Raises InputError for a model whose output size
    differs from its input.
    """

    def __init__(self, model: nn.Module, multiple: int) -> None:
        super().__init__()
        assert multiple >= 1
        self.model = model
        self.multiple = multiple

    def extra_repr(self) -> str:
        return f"multiple={self.multiple}"

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        if below or right:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        logits = tensor_of(self.model(x))[0]
        if logits.shape[-2:] != x.shape[-2:]:
            raise InputError(
                f"expected logits of the size of the input {tuple(x.shape[-2:])}, got "
                f"{tuple(logits.shape[-2:])}; resize them inside the model"
            )
        return logits[..., :height, :width]
