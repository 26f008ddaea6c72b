"""Labels of a range of draws: noise in, batches sized, the model called, its output checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.errors import InputError
from certiseg.models.outputs import labels_of
from certiseg.sampling.batching import fitting_batch, is_out_of_memory, measured_activations
from certiseg.sampling.draw import NoiseStream
from certiseg.votes import Source


def label_batches(
    model: Callable[[Tensor], Any],
    x: Tensor,
    source: Source,
    *,
    dtype: torch.dtype,
    num_classes: int | None,
    batch_size: int | None,
) -> Iterator[tuple[Tensor, int]]:
    """Yield (labels (B, *out) int64, number of classes) until all draws of source are done.

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
            noise = stream.get(draws, None if measure else after)
            failed = False
            try:
                with measured_activations(model if measure else None) as activations:
                    labels, classes = forward(model, x, noise, dtype, num_classes)
                if measure:
                    # Noise, sum and labels count beside the activations.
                    held = activations() + 8 * noise.nbytes + 16 * labels.nbytes
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
            num_classes, position = classes, draws.stop
            yield labels, classes


def forward(
    model: Callable[[Tensor], Any],
    x: Tensor,
    noise: NDArray[np.float32] | None,
    dtype: torch.dtype,
    num_classes: int | None,
) -> tuple[Tensor, int]:
    """Labels of the model on x plus each row of noise; on x itself where noise is None.

    Raises InputError for NaN logits, labels outside the classes, an unknown number of classes.
    """
    with torch.inference_mode():
        if noise is None:
            batch = x[None].to(dtype)
        else:
            batch = torch.from_numpy(noise).to(x.device)
            # In place where types agree: the noise has served its turn.
            batch = batch.add_(x) if batch.dtype == x.dtype else batch.to(x.dtype).add_(x)
            batch = batch.to(dtype)
        labels, found, top = labels_of(model(batch), batch, num_classes)
        if top is not None and bool(top.isnan().any()):
            raise InputError(
                f"expected finite logits, got NaN from {type(model).__name__}; "
                "check the weights and the precision"
            )
    classes = num_classes if num_classes is not None else found
    if classes is None:
        raise InputError(
            "expected num_classes for a model that returns labels, got None; "
            "pass Smoothed(model, noise, num_classes=...)"
        )
    if top is None and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise InputError(
            f"expected labels in [0, {classes - 1}], got [{int(labels.min())}, "
            f"{int(labels.max())}]; pass the model's own num_classes"
        )
    return labels, classes
