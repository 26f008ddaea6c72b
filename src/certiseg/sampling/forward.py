"""A range of draws: noise in, batches sized, the model called, its output read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.models.coarse import coarse_form
from certiseg.models.outputs import Decision, Posterior
from certiseg.sampling.batching import fitting_batch, is_out_of_memory, measured_activations
from certiseg.sampling.draw import DeviceNoise, Draws, NoiseStream
from certiseg.sampling.engine import Engine
from certiseg.sampling.facts import first_parameter, precision, stated_type
from certiseg.sampling.laws import AddedNoise, Law
from certiseg.votes import Source

Read = TypeVar("Read", Decision, Posterior)
Reader = Callable[[object, Tensor, int | None, bool], Read]
"""``models.outputs.decide`` or ``posterior``."""


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
        """The precision of its arithmetic, in words, for the record."""
        return precision(stated_type(self.call) or self.dtype(x), x.device, self.engine)

    def given(self, batch: Tensor) -> Tensor:
        """The batch in the model's precision and layout."""
        given = batch.to(self.dtype(batch))
        if self.engine.channels_last and given.ndim == 4:
            return given.contiguous(memory_format=torch.channels_last)
        return given

    def __call__(self, given: Tensor) -> object:
        """The model's output, or coarse logits that stand for it."""
        if not self.engine.compile:
            return coarse_form(self.call)(given)
        if self._compiled is None:
            mode = "reduce-overhead" if self.engine.cuda_graphs else None
            self._compiled = torch.compile(coarse_form(self.call), mode=mode)
        return self._compiled(given)


def batches(
    model: BaseModel, law: Law, source: Source, read: Reader[Read], batch_size: int | None
) -> Iterator[Read]:
    """Yield what the model says, batch by batch, until all draws of source are done.

    law: that of the source at the checked input. batch_size None: the first draw goes alone and
    tells how many fit. Where memory runs out the batch is halved and its draws are repeated;
    they have the same noise, and were not counted.
    """
    device = law.x.device
    ((position, stop),) = source.draws
    size = batch_size or 1
    measure = batch_size is None
    with _draws(model.engine, law, source) as stream:
        while position < stop:
            draws = range(position, min(position + size, stop))
            after = range(draws.stop, min(draws.stop + size, stop))
            failed = False
            try:
                batch = stream.get(draws, None if measure else after)
                with measured_activations(model.call if measure else None) as activations:
                    output = forward(model, batch, read)
                if measure:
                    # Noise, sum and output count beside the activations.
                    size_of_output = output.num_classes * output.size.numel()
                    held = activations() + 8 * batch.nbytes + 16 * size_of_output
                    size, measure = fitting_batch(held, device), False
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failed = True
            if failed:
                if len(draws) == 1:
                    raise InputError(
                        f"expected memory for one draw of shape {tuple(law.x.shape)} on {device}, "
                        "ran out; use a smaller input, a smaller model or another device"
                    )
                size = max(1, len(draws) // 2)
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            position = draws.stop
            yield output
            # Counted by now; the next pass may have its memory.
            del output


def _draws(engine: Engine, law: Law, source: Source) -> Draws:
    """Rotations are three numbers a draw, made on the host wherever the noise is asked for."""
    if engine.noise == "device" and isinstance(law, AddedNoise):
        return DeviceNoise(law, source.seed, source.key)
    return NoiseStream(law, source.seed, source.key)


def forward(model: BaseModel, batch: Tensor, read: Reader[Read]) -> Read:
    """What the model says to the batch (B, *shape), into which it may write.

    Raises InputError for outputs that do not fit (see ``models.outputs``).
    """
    with torch.inference_mode(), model.engine.autocast(batch.device):
        given = model.given(batch)
        output = read(model(given), given, model.num_classes, model.own_grid)
        model.num_classes = output.num_classes
        return output
