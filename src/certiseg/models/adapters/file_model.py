"""Models in exported files, which may require inputs of a fixed shape."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.loaded import Kind


class FileModel(nn.Module, ABC):
    """Logits (B, classes, *size) or integer labels (B, *size) of inputs (B, channels, *size).

    shape: (B, channels, *size) that the file takes, None for free sides. For a fixed batch size,
    batches are split into parts, the last one padded with zeros. digest: of the file's bytes, for
    the fingerprint. Raises InputError in a pass for inputs of another shape.
    """

    fixed_by, freed_by = "", ""
    """Cause of the fixed shape, and the remedy, for the error."""

    def __init__(self, shape: tuple[int | None, ...], digest: str) -> None:
        super().__init__()
        self.shape = shape
        self.digest = digest
        self.training = False

    @property
    def channels(self) -> int | None:
        return self.shape[1]

    @property
    def kind(self) -> Kind:
        return "images" if len(self.shape) == 4 else "volumes"

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        fixed = self.shape[0]
        if fixed is None:
            return self._run(x)
        outputs = []
        for part in torch.split(x, fixed):
            missing = part.new_zeros((fixed - len(part), *part.shape[1:]))
            filled = torch.cat([part, missing]) if len(missing) else part
            outputs.append(self._run(filled)[: len(part)])
        return torch.cat(outputs)

    @abstractmethod
    def _run(self, x: Tensor) -> Tensor:
        """The output for a batch of the file's shape."""

    def _check(self, x: Tensor) -> None:
        wanted, got = self.shape[1:], tuple(x.shape[1:])
        fits = len(wanted) == len(got) and all(
            side in (None, given) for side, given in zip(wanted, got, strict=True)
        )
        if not fits:
            sides = ", ".join("any" if side is None else str(side) for side in wanted)
            raise InputError(
                f"expected inputs of shape ({sides}), which {self.fixed_by}, got {got}; export it "
                f"with {self.freed_by}, or resize with certiseg.models.Preprocess(model, size=...)"
            )
