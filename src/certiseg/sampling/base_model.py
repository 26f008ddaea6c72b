"""The base model: its precision and number of classes, and a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from certiseg.binary import BinaryOutput
from certiseg.outputs.decide import Posterior
from certiseg.outputs.decision import Decision
from certiseg.outputs.low_resolution import low_resolution_form
from certiseg.sampling.engine import Engine

Read = TypeVar("Read", Decision, Posterior)
Reader = Callable[[object, Tensor, int | None, bool], Read]
"""``outputs.decide.decide`` or ``posterior``."""


@dataclass
class BaseModel:
    """A model and how it is run.

    num_classes: None until the first output if unknown. own_grid: outputs may lie on a grid
    coarser than the image (theory T14). binary: how the last output was declared to be read.
    """

    call: Callable[[Tensor], Any]
    num_classes: int | None = None
    own_grid: bool = False
    engine: Engine = field(default_factory=Engine)
    binary: BinaryOutput | None = None
    _compiled: Callable[[Tensor], Any] | None = None

    def dtype(self, x: Tensor) -> torch.dtype:
        """Dtype to which inputs are cast: that of the parameters, or x's if there are none."""
        parameter = first_parameter(self.call)
        return x.dtype if parameter is None else parameter.dtype

    def precision(self, x: Tensor) -> str:
        """Describe the arithmetic of a pass, for the record.

        The dtype of the parameters, or the one that a model without parameters states (such as an
        ONNX session), and reductions of it by autocast or tf32.
        """
        dtype, kind = self._stated_type() or self.dtype(x), x.device.type
        name = str(dtype).removeprefix("torch.")
        with self.engine.autocast(x.device):
            if torch.is_autocast_enabled(kind):
                lower = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
                return f"{name}, autocast {lower}"
        lowered = [name]
        if dtype == torch.float32:
            # PyTorch's default on recent GPUs: factors of float32 products have 10 mantissa bits.
            if kind == "cuda" and torch.backends.cudnn.allow_tf32:
                lowered.append("convolutions in tf32")
            # On any device, since a backend may use fewer bits if allowed.
            if (allowed := torch.get_float32_matmul_precision()) != "highest":
                lowered.append(f"matrix products of {allowed} precision")
        return ", ".join(lowered)

    def _stated_type(self) -> torch.dtype | None:
        if not isinstance(self.call, nn.Module) or first_parameter(self.call) is not None:
            return None
        stated = (getattr(module, "dtype", None) for module in nn.Module.modules(self.call))
        return next((given for given in stated if isinstance(given, torch.dtype)), None)

    def given(self, batch: Tensor) -> Tensor:
        """Cast the batch to the model's dtype and memory layout."""
        given = batch.to(self.dtype(batch))
        if self.engine.channels_last and given.ndim == 4:
            return given.contiguous(memory_format=torch.channels_last)
        return given

    def __call__(self, given: Tensor) -> object:
        """The model's output, or its low-resolution logits if it offers them."""
        if not self.engine.compile:
            return low_resolution_form(self.call)(given)
        if self._compiled is None:
            mode = "reduce-overhead" if self.engine.cuda_graphs else None
            self._compiled = torch.compile(low_resolution_form(self.call), mode=mode)
        return self._compiled(given)


def forward(model: BaseModel, batch: Tensor, read: Reader[Read]) -> Read:
    """Run the model on a batch (B, *shape), which may be overwritten.

    Raises InputError for unsuitable outputs (see ``outputs.decide``).
    """
    with torch.inference_mode(), model.engine.autocast(batch.device):
        given = model.given(batch)
        output = read(model(given), given, model.num_classes, model.own_grid)
        model.num_classes, model.binary = output.num_classes, output.binary
        return output


def known_classes(model: object) -> int | None:
    """Number of classes that a model states: num_classes, or num_labels in its config.

    None for 1, which is a channel whose meaning must be declared.
    """
    for holder, name in ((model, "num_classes"), (getattr(model, "config", None), "num_labels")):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            return value
    return None


def first_parameter(model: object) -> nn.Parameter | None:
    if not isinstance(model, nn.Module):
        return None
    return next((p for p in nn.Module.parameters(model) if p.is_floating_point()), None)
