"""A base model: what it states about itself, and one pass of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from certiseg.outputs.decide import Posterior
from certiseg.outputs.decision import Decision
from certiseg.outputs.low_resolution import low_resolution_form
from certiseg.sampling.engine import Engine

Read = TypeVar("Read", Decision, Posterior)
Reader = Callable[[object, Tensor, int | None, bool], Read]
"""``outputs.decide.decide`` or ``posterior``."""


@dataclass
class BaseModel:
    """A model and how to call it. num_classes: filled in by the first output where unknown.

    own_grid: its outputs may lie on a grid coarser than the image (theory T14).
    """

    call: Callable[[Tensor], Any]
    num_classes: int | None = None
    own_grid: bool = False
    engine: Engine = field(default_factory=Engine)
    _compiled: Callable[[Tensor], Any] | None = None

    def dtype(self, x: Tensor) -> torch.dtype:
        """The precision x is given in: the parameters' own, else that of x."""
        parameter = first_parameter(self.call)
        return x.dtype if parameter is None else parameter.dtype

    def precision(self, x: Tensor) -> str:
        """The precision of its arithmetic, for the record: its parameters', or what a model without
        any states (as ONNX sessions do), and what a pass lowers it to."""
        dtype, kind = self._stated_type() or self.dtype(x), x.device.type
        name = str(dtype).removeprefix("torch.")
        with self.engine.autocast(x.device):
            if torch.is_autocast_enabled(kind):
                lower = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
                return f"{name}, autocast {lower}"
        lowered = [name]
        if dtype == torch.float32:
            # PyTorch's default on recent GPUs: factors of float32 products keep 10 bits of 23.
            if kind == "cuda" and torch.backends.cudnn.allow_tf32:
                lowered.append("convolutions in tf32")
            # Of any device: a backend may keep fewer bits where it is allowed to.
            if (allowed := torch.get_float32_matmul_precision()) != "highest":
                lowered.append(f"matrix products of {allowed} precision")
        return ", ".join(lowered)

    def _stated_type(self) -> torch.dtype | None:
        if not isinstance(self.call, nn.Module) or first_parameter(self.call) is not None:
            return None
        stated = (getattr(module, "dtype", None) for module in nn.Module.modules(self.call))
        return next((given for given in stated if isinstance(given, torch.dtype)), None)

    def given(self, batch: Tensor) -> Tensor:
        """The batch in the model's precision and layout."""
        given = batch.to(self.dtype(batch))
        if self.engine.channels_last and given.ndim == 4:
            return given.contiguous(memory_format=torch.channels_last)
        return given

    def __call__(self, given: Tensor) -> object:
        """The model's output, or low-resolution logits that stand for it."""
        if not self.engine.compile:
            return low_resolution_form(self.call)(given)
        if self._compiled is None:
            mode = "reduce-overhead" if self.engine.cuda_graphs else None
            self._compiled = torch.compile(low_resolution_form(self.call), mode=mode)
        return self._compiled(given)


def forward(model: BaseModel, batch: Tensor, read: Reader[Read]) -> Read:
    """What the model says to the batch (B, *shape), into which it may write.

    Raises InputError for outputs that do not fit (see ``outputs.decide``).
    """
    with torch.inference_mode(), model.engine.autocast(batch.device):
        given = model.given(batch)
        output = read(model(given), given, model.num_classes, model.own_grid)
        model.num_classes = output.num_classes
        return output


def known_classes(model: object) -> int | None:
    """The number of classes a model states itself: num_classes, or Hugging Face's config."""
    for holder, name in ((model, "num_classes"), (getattr(model, "config", None), "num_labels")):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def first_parameter(model: object) -> nn.Parameter | None:
    if not isinstance(model, nn.Module):
        return None
    return next((p for p in nn.Module.parameters(model) if p.is_floating_point()), None)
