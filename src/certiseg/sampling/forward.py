"""A range of draws: noise in, batches sized, the model called, its output read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.errors import InputError
from certiseg.models.coarse import coarse_form
from certiseg.models.outputs import Decision, Posterior
from certiseg.sampling.batching import even_batch, is_out_of_memory
from certiseg.sampling.draw import DeviceNoise, Draws, NoiseStream
from certiseg.sampling.engine import Engine
from certiseg.sampling.facts import first_parameter, precision, stated_type
from certiseg.sampling.keys import generator
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
    model: BaseModel,
    stream: Draws,
    source: Source,
    read: Reader[Read],
    size: int,
    halve_before: int,
) -> Iterator[tuple[range, Read, int]]:
    """Yield draws, what the model says to them and the size of the batch they went in.

    All draws of source, in order, in batches of one size: the last one is filled up and what the
    model says to the filling is left out; its draws lie at random places, so that any place is as
    likely for each (theory T1). Where memory runs out the batch is halved and its draws are
    repeated; they have the same noise, and were not counted. From the draw halve_before on it is an
    error instead.
    """
    ((position, stop),) = source.draws
    device = None
    while position < stop:
        draws = range(position, min(position + size, stop))
        failed = False
        try:
            batch = stream.get(draws, range(draws.stop, min(draws.stop + size, stop)))
            device = batch.device
            if len(draws) == size:
                output = forward(model, batch, read)
            else:
                places = _places(source, position, size)[: len(draws)]
                filling = np.arange(size) % len(draws)
                filling[places] = np.arange(len(draws))
                output = forward(model, batch[filling], read).rows(places.tolist())
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed = True
        if failed:
            if size == 1 or position >= halve_before:
                raise InputError(out_of_memory(size, source.input_shape))
            size = even_batch(stop - position, size // 2)
            if device is not None and device.type == "cuda":
                torch.cuda.empty_cache()
            continue
        position = draws.stop
        yield draws, output, size
        # Counted by now; the next pass may have its memory.
        del output


def out_of_memory(size: int, shape: tuple[int, ...]) -> str:
    """The error of a batch of this size that found no memory."""
    if size == 1:
        return (
            f"expected memory for one draw of shape {shape}, ran out; use a smaller input, a "
            "smaller model or another device"
        )
    return (
        f"expected memory for {size} draws of shape {shape} at every look, ran out; start anew "
        f"with batch_size={size // 2} (--batch-size), all looks need one size (theory T1)"
    )


def _places(source: Source, first: int, size: int) -> NDArray[np.int64]:
    """Places in a batch in random order, by an address of their own."""
    return generator(source.seed, f"{source.key}\0places", first).permutation(size)


def draws_of(engine: Engine, law: Law, source: Source) -> Draws:
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
