"""Labels or softmax probabilities of a model's output, for all supported forms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.outputs.binary import class_scores, probabilities
from certiseg.outputs.decision import Decision
from certiseg.outputs.forms import checked_classes, checked_maps, checked_mask, checked_output
from certiseg.outputs.low_resolution import LowResolutionLogits
from certiseg.outputs.tensors import INTEGERS, BinaryScores


def decide(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool = False
) -> Decision:
    """The labels of one batch of outputs. On equal logits the first label wins.

    Args:
        output: logits (B, C, *out) of at least 2 classes, a mapping with "out" (torchvision), an
            object with ``.logits`` (Hugging Face; logits smaller than the image are upsampled
            bilinearly to it, as those libraries do themselves), ``LowResolutionLogits``, integer
            labels (B, *out) or (B, 1, *out), boolean masks, which are labels 0 and 1, or
            ``BinaryScores`` of a declared binary model. NumPy arrays are treated as tensors.
        batch: the input (B, *shape).
        num_classes: None: read from the logits.
        own_grid: labels of an image may lie on the model's coarser grid (h, w), 1 <= h <= H and
            1 <= w <= W; nothing is upsampled (theory T14).

    Raises:
        InputError: any other output, a shape or class count that does not fit, labels outside the
            classes; NaN and infinite logits once the decision is used.
    """
    if isinstance(output, BinaryScores):
        maps = checked_maps(output, batch, num_classes, own_grid)
        return Decision(2, class_scores(maps, output.binary), binary=output.binary)
    scores = checked_output(output, batch, num_classes, own_grid)
    if isinstance(scores, Tensor) and scores.dtype == torch.bool:
        return Decision(checked_mask(scores, num_classes), given=scores.long())
    if isinstance(scores, Tensor) and scores.dtype in INTEGERS:
        return Decision(checked_classes(scores, num_classes), given=scores.long())
    return Decision(scores.shape[1], scores, context=_autocast_of(batch.device.type))


@dataclass(frozen=True)
class Posterior:
    """Softmax probabilities float32 (B, C, *out) of each draw of a batch."""

    values: Tensor
    binary: BinaryOutput | None = None

    @property
    def num_classes(self) -> int:
        return self.values.shape[1]

    @property
    def size(self) -> torch.Size:
        """Shape of the components."""
        return self.values.shape[2:]

    @property
    def draws(self) -> int:
        return len(self.values)

    def rows(self, places: list[int]) -> Posterior:
        """The draws at these indices of the batch, in this order."""
        return replace(self, values=self.values[places])


def posterior(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool = False
) -> Posterior:
    """Softmax probabilities of one batch of logits; for a declared binary output, the probabilities
    of both classes.

    Arguments and errors as in ``decide``; labels have no softmax and are refused.
    """
    if isinstance(output, BinaryScores):
        likely = _of_class_one(output, batch, num_classes, own_grid)
        return Posterior(torch.cat([1 - likely, likely], dim=1), output.binary)
    return Posterior(logits(output, batch, num_classes, own_grid).softmax(dim=1))


def _of_class_one(
    output: BinaryScores, batch: Tensor, num_classes: int | None, own_grid: bool
) -> Tensor:
    """Probability float32 (B, 1, *out) of class 1 of a declared binary output."""
    if output.binary.multi_label:
        raise InputError(
            "expected one map of classes, got overlapping maps; declare each channel as a model of "
            "its own"
        )
    maps = checked_maps(output, batch, num_classes, own_grid)
    return probabilities(maps, output.binary).float()


def logits(
    output: object, batch: Tensor, num_classes: int | None, own_grid: bool = False
) -> Tensor:
    """The logits of one batch, as float32 (B, C, *out), with their gradient where they have one.

    Of a declared binary output, log odds of the classes against its threshold, the larger of which
    is the label. Arguments and errors as ``decide``; labels have no logits.
    """
    if isinstance(output, BinaryScores):
        likely = _of_class_one(output, batch, num_classes, own_grid)
        edge = output.binary.threshold
        both = torch.cat([(1 - likely) / (1 - edge), likely / edge], dim=1)
        return both.clamp_min(torch.finfo(both.dtype).tiny).log()
    scores = checked_output(output, batch, num_classes, own_grid)
    tensor = scores.full() if isinstance(scores, LowResolutionLogits) else scores
    if not tensor.is_floating_point():
        raise InputError(
            "expected a model that returns logits, got labels; labels have no softmax and no "
            "gradient, return the logits"
        )
    return tensor.float()


def _autocast_of(kind: str) -> torch.autocast:
    """The current state of autocast, as a context that can be entered again."""
    enabled = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, dtype=torch.get_autocast_dtype(kind), enabled=enabled)
