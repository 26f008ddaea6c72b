"""Batching: choose a batch size that fits the memory, and run a range of draws through a model."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.own_code import reason
from certiseg.sampling.base_model import BaseModel, Read, Reader, forward
from certiseg.sampling.draw import Draws
from certiseg.sampling.keys import generator
from certiseg.votes import Source

# On a CPU, batches of more than a few images are not faster (certiseg bench overhead), unless the
# images are small (benchmarks/throughput.py).
_LARGEST = {"cpu": 4, "cuda": 128, "mps": 32}
_LARGEST_OF_SMALL, _SMALL_ON_CPU = 32, 2**26
SMALL = 2**16
"""Number of components below which batches on a CPU may be larger. Their size then depends on the
number of draws in a range, so that draws of such inputs are not divided among tasks."""
_SHARE_OF_FREE_MEMORY = 0.5
_MOST_ON_CPU = 2**30
_MOST_PADDED = 32
_UNKNOWN_MEMORY = 2 * 1024**3


def free_memory(device: torch.device) -> int:
    """Free memory of the device in bytes; 2 GiB if unknown."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY


def fitting_batch(
    bytes_per_draw: int, device: torch.device, *, components: int, padded: bool = False
) -> int:
    """Number of draws, at least 1, whose activations fit in half of the free memory (on a CPU in
    at most 1 GiB), and with which passes are fast.

    components: of the output. padded: each of several ranges of draws is filled up to whole
    batches, which should be small.
    """
    room = int(free_memory(device) * _SHARE_OF_FREE_MEMORY)
    largest = _LARGEST.get(device.type, 8)
    if device.type == "cpu":
        room = min(room, _MOST_ON_CPU)
        if components < SMALL and not padded:
            small = min(_LARGEST_OF_SMALL, _SMALL_ON_CPU // max(bytes_per_draw, 1))
            largest = max(largest, small)
    elif padded:
        largest = min(largest, _MOST_PADDED)
    return max(1, min(largest, room // max(bytes_per_draw, 1)))


def even_batch(draws: int, most: int) -> int:
    """Batch size of at most ``most`` that splits draws evenly into as few batches as possible."""
    return math.ceil(draws / math.ceil(draws / most))


@contextmanager
def measured_activations(model: object) -> Iterator[Callable[[], int]]:
    """Sum the bytes of all layers' outputs in a pass, an upper bound on its activation memory.

    Without gradients most are freed during the pass, so that the bound is generous. It is 0 for a
    function without layers.
    """
    total = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += output.numel() * output.element_size()

    hooks = []
    # Scripted modules do not support hooks.
    if isinstance(model, nn.Module) and not isinstance(model, torch.jit.ScriptModule):
        # Not the root: the caller adds its output, and a hook would disable low-resolution logits.
        inner = (module for module in nn.Module.modules(model) if module is not model)
        leaves = (module for module in inner if not any(nn.Module.children(module)))
        hooks = [module.register_forward_hook(count) for module in leaves]
    try:
        yield lambda: total
    finally:
        for hook in hooks:
            hook.remove()


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if the error means out of memory, on any device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def batches(
    model: BaseModel,
    stream: Draws,
    source: Source,
    read: Reader[Read],
    size: int,
    halve_before: int,
) -> Iterator[tuple[range, Read, int]]:
    """Yield ranges of draws, the model's output for them, and the batch size.

    Runs all draws of source in order, in batches of equal size. The last batch is padded, with its
    draws at random positions (theory T1), and outputs of the padding are dropped. When memory runs
    out, the batch is repeated with the same noise at half the size, or, from draw ``halve_before``
    on, InputError is raised.
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
        except InputError:
            raise
        except Exception as error:  # the model's code may fail in any way
            if is_out_of_memory(error):
                failed = True
            elif size > 1:
                # A draw alone went through before.
                raise InputError(
                    f"expected a model that takes a batch of {size} inputs, got {reason(error)}; "
                    "correct it, or if it takes one at a time, pass batch_size=1 (--batch-size 1)"
                ) from error
            else:
                raise
        if failed:
            if size == 1 or position >= halve_before:
                raise InputError(out_of_memory(size, source.input_shape))
            size = even_batch(stop - position, size // 2)
            if device is not None and device.type == "cuda":
                torch.cuda.empty_cache()
            continue
        position = draws.stop
        yield draws, output, size
        # Counted by now: free the memory before the next pass.
        del output


def out_of_memory(size: int, shape: tuple[int, ...]) -> str:
    """Error message for a batch of this size that ran out of memory."""
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
    """Random permutation of the positions in a batch, from a random stream of its own."""
    return generator(source.seed, f"{source.key}\0places", first).permutation(size)
