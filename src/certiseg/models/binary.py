"""Models whose single channel decides between two classes, or whose channels are overlapping
maps."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from certiseg.binary import CLASSES, BinaryOutput, Output
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel, name_of, take_over
from certiseg.outputs.tensors import BinaryScores

_UNNAMED = re.compile(r"LABEL_\d+")
"""Default names of classes in transformers."""


class Binary(nn.Module):
    """A base model with one channel of probabilities or logits: label 1 above a threshold, else 0.

    A single channel has no argmax, so it is refused unless declared. The declaration goes around
    all other wrappers, or inside ``Preprocess``, ``OnGrid``, ``Denoised`` or ``Scales``, which then
    average the values of the channel (``Scales``: probabilities).

    Args:
        model: takes (B, *shape) and returns one channel (B, 1, *out) or (B, *out), in any form that
            ``Smoothed`` takes. A declared model may be declared again with another threshold.
        output: "probability" if the model ends in a sigmoid, "logit" if it does not.
        threshold: label 1 where the probability exceeds it (also for logits); in (0, 1).
        multi_label: the model returns K maps (B, K, *out) that may overlap.
            Certificates then have K x N components, tested together at one alpha (theory T4).

    Raises:
        InputError: an invalid output or threshold; in a pass, more than one channel without
            multi_label, or probabilities outside [0, 1].

    Example:
        >>> import torch
        >>> import certiseg as cs
        >>> model = Binary(lambda x: 8 * x - 4, "logit", threshold=0.4)
        >>> smooth = cs.Smoothed(model, cs.Gaussian(0.1))
        >>> smooth.certify(torch.tensor([[[0.1, 0.9]]]), num_samples=100, seed=0).labels.tolist()
        [[0, 1]]
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        output: Output = "probability",
        threshold: float = 0.5,
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        take_over(self, model)
        self.num_classes = 2
        self.binary = BinaryOutput(output, threshold, multi_label)
        self.model_name = name_of(model)

    def extra_repr(self) -> str:
        return self.binary.describe()

    def forward(self, x: Tensor) -> BinaryScores:
        output = self.model(x)
        if not isinstance(output, BinaryScores):
            return BinaryScores(output, self.binary)
        stated, binary = output.binary, self.binary
        if (stated.output, stated.multi_label) != (binary.output, binary.multi_label):
            raise InputError(
                f"expected a declaration of {stated.words()}, as the model inside has, got "
                f"{binary.words()}; declare it once"
            )
        return BinaryScores(output.output, binary)


def as_binary(loaded: LoadedModel, output: BinaryOutput) -> LoadedModel:
    """The model with its output declared as binary. Names of its channels become the names of the
    classes, or of the overlapping maps."""
    model = Binary(loaded.model, output.output, output.threshold, output.multi_label)
    if loaded.binary is not None:
        return replace(loaded, model=model, binary=output)
    known = tuple(name for name in loaded.classes or () if not _UNNAMED.fullmatch(name))
    classes, maps = CLASSES, None
    if output.multi_label:
        maps = known or None
    elif len(known) in (1, 2):
        classes = known if len(known) == 2 else (CLASSES[0], known[0])
    return replace(
        loaded, model=model, num_classes=2, classes=classes, maps=maps, palette=None, binary=output
    )
