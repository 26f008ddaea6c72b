"""Decisions of a range of draws: noise in, batches sized, the model called, its output checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.errors import InputError
from certiseg.models.outputs import Decision, decide
from certiseg.sampling.batching import fitting_batch, is_out_of_memory, measured_activations
from certiseg.sampling.draw import NoiseStream
from certiseg.votes import Source


def decisions(
    model: Callable[[Tensor], Any],
    x: Tensor,
    source: Source,
    *,
    dtype: torch.dtype,
    num_classes: int | None,
    batch_size: int | None,
) -> Iterator[Decision]:
    """Yield what the model decides, batch by batch, until all draws of source are done.

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
                with measured_activations(model if measure else None) as activations:
                    decision = forward(model, x, noise, dtype, num_classes)
                if measure:
                    # Noise, sum and decision count beside the activations.
                    size_of_decision = decision.num_classes * decision.size.numel()
                    held = activations() + 8 * noise.nbytes + 16 * size_of_decision
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
            num_classes, position = decision.num_classes, draws.stop
            yield decision


def forward(
    model: Callable[[Tensor], Any],
    x: Tensor,
    noise: NDArray[np.float32] | None,
    dtype: torch.dtype,
    num_classes: int | None,
) -> Decision:
    """What the model decides on x plus each row of noise; on x itself where noise is None.

    Raises InputError for outputs that do not fit (see ``models.outputs.decide``).
    """
    with torch.inference_mode():
        if noise is None:
            # A copy: a model may write into what it is given.
            batch = x[None].to(dtype, copy=True)
        else:
            batch = torch.from_numpy(noise).to(x.device)
            # In place where types agree: the noise has served its turn.
            batch = batch.add_(x) if batch.dtype == x.dtype else batch.to(x.dtype).add_(x)
            batch = batch.to(dtype)
        return decide(model(batch), batch, num_classes)
