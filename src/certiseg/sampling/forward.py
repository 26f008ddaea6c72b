"""A range of draws: noise in, batches sized, the model called, its output read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.errors import InputError
from certiseg.models.outputs import Decision, Posterior
from certiseg.sampling.batching import fitting_batch, is_out_of_memory, measured_activations
from certiseg.sampling.draw import NoiseStream
from certiseg.sampling.facts import first_parameter
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

    def dtype(self, x: Tensor) -> torch.dtype:
        """The precision x is given in: the parameters' own, else that of x."""
        parameter = first_parameter(self.call)
        return x.dtype if parameter is None else parameter.dtype


def batches(
    model: BaseModel, x: Tensor, source: Source, read: Reader[Read], batch_size: int | None
) -> Iterator[Read]:
    """Yield what the model says, batch by batch, until all draws of source are done.

    x: one checked input on the device to run on. batch_size None: the first draw goes alone and
    tells how many fit. Where memory runs out the batch is halved and its draws are repeated;
    they have the same noise, and were not counted.
    """
    ((position, stop),) = source.draws
    size = batch_size or 1
    measure = batch_size is None
    with NoiseStream(source.noise, tuple(x.shape), source.seed, source.key) as stream:
        while position < stop:
            draws = range(position, min(position + size, stop))
            after = range(draws.stop, min(draws.stop + size, stop))
            failed = False
            try:
                noise = stream.get(draws, None if measure else after)
                with measured_activations(model.call if measure else None) as activations:
                    output = forward(model, x, noise, read)
                if measure:
                    # Noise, sum and output count beside the activations.
                    size_of_output = output.num_classes * output.size.numel()
                    held = activations() + 8 * noise.nbytes + 16 * size_of_output
                    size, measure = fitting_batch(held, x.device), False
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failed = True
            if failed:
                if len(draws) == 1:
                    raise InputError(
                        f"expected memory for one draw of shape {tuple(x.shape)} on {x.device}, "
                        "ran out; use a smaller input, a smaller model or another device"
                    )
                size = max(1, len(draws) // 2)
                if x.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            position = draws.stop
            yield output


def forward(
    model: BaseModel, x: Tensor, noise: NDArray[np.float32] | None, read: Reader[Read]
) -> Read:
    """What the model says to x plus each row of noise; to x itself where noise is None.

    Raises InputError for outputs that do not fit (see ``models.outputs``).
    """
    with torch.inference_mode():
        if noise is None:
            # A copy: a model may write into what it is given.
            batch = x[None].to(model.dtype(x), copy=True)
        else:
            batch = torch.from_numpy(noise).to(x.device)
            # In place where types agree: the noise has served its turn.
            batch = batch.add_(x) if batch.dtype == x.dtype else batch.to(x.dtype).add_(x)
            batch = batch.to(model.dtype(x))
        output = read(model.call(batch), batch, model.num_classes, model.own_grid)
        model.num_classes = output.num_classes
        return output
