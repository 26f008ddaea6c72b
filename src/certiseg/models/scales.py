"""A base model applied at several scales, and mirrored, as in the paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.models.loaded import name_of, take_over
from certiseg.outputs.binary import maps_of, probabilities
from certiseg.outputs.tensors import BinaryScores, scores_of
from certiseg.rounding import exact

_LARGEST = 16.0
_DECLARE = (
    "declare it inside: Scales(certiseg.Binary(model, 'probability'), ...) after a sigmoid, "
    "'logit' before one (--binary on the command line)"
)
Merge = Literal["exp", "softmax"]
MERGES = get_args(Merge)


class Scales(nn.Module):
    """A base model averaged over resized copies of the noisy input, and mirrored ones.

    Takes (B, C, H, W) (plus noise, at the original size) and returns logits (B, classes, H, W): the
    logarithms of the averages over the scales, so that the largest is the most likely class and
    their softmax gives its shares. For a declared binary model (``Binary``) the probabilities are
    averaged over scales and mirrored inputs, and compared with its threshold. For each scale the
    input is resized bilinearly; the logits are resized bilinearly to that size and, with ``flip``,
    averaged with those of the mirrored input. At a scale above 1 the input is passed whole; the
    published code cuts it into tiles.

    Args:
        model: the base model, with its preprocessing inside.
        scales: the input is resized to round(H * scale) x round(W * scale).
        flip: average with the mirrored input.
        base_size: if given, the longer side becomes base_size * scale instead.
        merge: what is averaged, at the input's size: "exp", exp(logits), as in the published
            code; "softmax", the probabilities.

    Raises:
        InputError: scales outside (0, 16]; in a pass, a model that returns labels or a single
            channel that is not declared, and where exp spans more than float32 holds.

    Example:
        >>> import torch
        >>> model = Scales(torch.nn.Conv2d(3, 5, 1).eval(), (0.5, 1.0), flip=True)
        >>> model.describe(), tuple(model(torch.zeros(1, 3, 8, 8)).shape)
        ('at scales 0.5, 1, mirrored too', (1, 5, 8, 8))

    Reference:
        ``multi_scale_inference_noisybatch`` in the code of Fischer et al. 2021.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        *,
        base_size: int | None = None,
        merge: Merge = "exp",
    ) -> None:
        super().__init__()
        if not scales or not all(0 < scale <= _LARGEST for scale in scales):
            raise InputError(
                f"expected scales in (0, {_LARGEST:g}], got {list(scales)}; 0.5 halves height and "
                "width"
            )
        if merge not in MERGES:
            raise InputError(f"expected a merge among {', '.join(MERGES)}, got {merge!r}")
        if base_size is not None and base_size < 1:
            raise InputError(f"expected a base size of at least 1 pixel, got {base_size}")
        self.model = model
        self.scales = tuple(float(scale) for scale in scales)
        self.flip = bool(flip)
        self.base_size = base_size
        self.merge = merge
        self.model_name = f"{name_of(model)} {self.describe()}"
        take_over(self, model)

    def describe(self) -> str:
        """A description such as "at scales 0.5, 1, mirrored too"."""
        scales = ", ".join(f"{exact(scale)}" for scale in self.scales)
        base = "" if self.base_size is None else f" of {self.base_size} pixels"
        return (
            f"at scale{'' if len(self.scales) == 1 else 's'} {scales}{base}"
            f"{', mirrored too' if self.flip else ''}"
        )

    def extra_repr(self) -> str:
        size = self.base_size
        return f"scales={self.scales}, flip={self.flip}, base_size={size}, merge={self.merge}"

    def size_at(self, scale: float, height: int, width: int) -> tuple[int, int]:
        """Height and width of the resized input."""
        if self.base_size is not None:
            longer = math.floor(self.base_size * scale + 0.5)
            scale = longer / max(height, width)
        # Halves round up, as in the published code.
        return max(1, math.floor(height * scale + 0.5)), max(1, math.floor(width * scale + 0.5))

    def forward(self, x: Tensor) -> Tensor | BinaryScores:
        if x.ndim != 4:
            raise InputError(
                f"expected images (B, C, H, W), got a batch of shape {tuple(x.shape)}; "
                "only images have a scale"
            )
        full = (x.shape[2], x.shape[3])
        if len(self.scales) == 1 and self.size_at(self.scales[0], *full) == full:
            # Nothing is resized, so that the logarithm cancels exp or softmax.
            return _declared(*self._logits(x))
        total: Tensor | None = None
        offset: Tensor | None = None
        binary: BinaryOutput | None = None
        for scale in self.scales:
            logits, binary = self._logits(_resize(x, self.size_at(scale, *full)))
            if binary is not None:
                likely = logits
            elif self.merge == "softmax":
                likely = logits.softmax(dim=1)
            else:
                # Scaled by a factor per image, common to all scales, which changes no order and
                # avoids overflow.
                top = logits.amax(dim=(1, 2, 3), keepdim=True)
                common = top if offset is None else torch.maximum(offset, top)
                likely = _owned(_owned(logits).sub_(common)).exp_()
                if total is not None and offset is not None:
                    total = _owned(total).mul_((offset - common).exp())
                offset = common
            likely = _resize(likely, full)
            total = likely if total is None else _owned(total).add_(likely)
        assert total is not None
        total = _owned(total).div_(len(self.scales))
        if binary is not None:
            return _declared(total, binary)
        if bool((total.amax(dim=1) == 0).any()):
            raise InputError(
                "expected highest logits that differ by less than 87 between pixels, got more, "
                "which overflows exp; pass merge='softmax'"
            )
        # Below the smallest normal float32, classes count as equally unlikely.
        return _owned(total.clamp_min_(torch.finfo(total.dtype).tiny)).log_()

    def _logits(self, x: Tensor) -> tuple[Tensor, BinaryOutput | None]:
        """Float32 logits at the size of x, averaged over mirrored inputs with flip. For a declared
        binary model its probabilities, and the declaration."""
        logits, binary = self._one(x)
        if self.flip:
            logits = (logits + self._one(x.flip(3))[0].flip(3)).mul_(0.5)
        return logits, binary

    def _one(self, x: Tensor) -> tuple[Tensor, BinaryOutput | None]:
        output, binary = self.model(x), None
        if isinstance(output, BinaryScores):
            binary = output.binary
            logits = probabilities(maps_of(output, x), binary)
        else:
            logits = scores_of(output, x.shape[2:], _DECLARE)
        if logits.ndim != 4 or not logits.is_floating_point():
            raise InputError(
                f"expected logits (B, classes, H, W), got {logits.dtype} of shape "
                f"{tuple(logits.shape)}; labels have no average over scales, return the logits"
            )
        # Copy if nothing was resized or converted: the model may keep its output.
        given = logits
        logits = _resize(logits.float(), (x.shape[2], x.shape[3]))
        return logits.clone() if logits is given else logits, binary


def _declared(likely: Tensor, binary: BinaryOutput | None) -> Tensor | BinaryScores:
    if binary is None:
        return likely
    return BinaryScores(likely, replace(binary, output="probability"))


def _owned(values: Tensor) -> Tensor:
    """The values, for a change in place; a copy where autograd still needs them."""
    return values.clone() if values.requires_grad else values


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
