"""A model whose one channel decides between two classes, or whose channels are overlapping maps."""

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
"""Of transformers, where nobody named a class."""


class Binary(nn.Module):
    """A base model with one channel of probabilities or logits: label 1 above a threshold, else 0.

    A single channel has no argmax, so it is refused unless it is declared. Declared last, around
    everything else, or inside ``Preprocess``, ``OnGrid``, ``Denoised`` or ``Scales``; what these
    average are the channel's own values (``Scales``: probabilities).

    Args:
        model: takes (B, *shape) and returns one channel (B, 1, *out) or (B, *out), in any form that
            ``Smoothed`` takes. A declared one may be declared again, with another threshold.
        output: "probability" where it ends in a sigmoid, "logit" where it does not.
        threshold: class 1 where the probability exceeds it, of logits too; in (0, 1).
        multi_label: it returns channels (B, K, *out), each a map of its own, which may overlap.
            Certificates then have K x N components, tested together at one alpha (theory T4).

    Raises:
        InputError: another output or threshold; in a pass, more than one channel without
            multi_label, and probabilities outside [0, 1].

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
        stated, own = output.binary, self.binary
        if (stated.output, stated.multi_label) != (own.output, own.multi_label):
            raise InputError(
                f"expected a declaration of {stated.words()}, as the model inside has, got "
                f"{own.words()}; declare it once"
            )
        return BinaryScores(output.output, own)


def as_binary(loaded: LoadedModel, output: BinaryOutput) -> LoadedModel:
    """The model with its output declared so. Names of its channels become those of the classes, or
    of overlapping maps."""
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
