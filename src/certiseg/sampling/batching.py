"""A range of draws in batches: how many go through the model at once, and what becomes of them."""

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

# Past a few images a bigger batch buys nothing on a CPU (measured: certiseg bench overhead).
_LARGEST = {"cpu": 4, "cuda": 128, "mps": 32}
_SHARE_OF_FREE_MEMORY = 0.5
# Nor does one that no cache holds: it only takes the memory of so many draws.
_MOST_ON_CPU = 2**30
_UNKNOWN_MEMORY = 2 * 1024**3


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on the device now; 2 GiB where it cannot be known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY


def fitting_batch(bytes_per_draw: int, device: torch.device) -> int:
    """Number of draws whose activations fit into half of the free memory (on a CPU 1 GiB at most),
    at least 1."""
    room = int(free_memory(device) * _SHARE_OF_FREE_MEMORY)
    if device.type == "cpu":
        room = min(room, _MOST_ON_CPU)
    largest = _LARGEST.get(device.type, 8)
    return max(1, min(largest, room // max(bytes_per_draw, 1)))


def even_batch(draws: int, most: int) -> int:
    """The size, at most this, of as few batches as can be of about the same number of draws."""
    return math.ceil(draws / math.ceil(draws / most))


@contextmanager
def measured_activations(model: object) -> Iterator[Callable[[], int]]:
    """Add up the bytes of all layers' outputs during a pass: an upper bound on what it holds.

    Without gradients most are freed during the pass, so the bound is generous. For a function
    without layers the sum is 0 and the caller falls back to the size of input and output.
    """
    total = 0

    def count(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal total
        if isinstance(output, Tensor):
            total += output.numel() * output.element_size()

    hooks = []
    # Scripted modules take no hooks.
    if isinstance(model, nn.Module) and not isinstance(model, torch.jit.ScriptModule):
        # Not the model itself: its output counts anyway, and a hook would hide its other form.
        inner = (module for module in nn.Module.modules(model) if module is not model)
        leaves = (module for module in inner if not any(nn.Module.children(module)))
        hooks = [module.register_forward_hook(count) for module in leaves]
    try:
        yield lambda: total
    finally:
        for hook in hooks:
            hook.remove()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
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
