"""How many draws go through the model at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# Past a few images a bigger batch buys nothing on a CPU (measured: certiseg bench overhead).
_LARGEST = {"cpu": 4, "cuda": 128, "mps": 32}
_SHARE_OF_FREE_MEMORY = 0.5
_UNKNOWN_MEMORY = 2 * 1024**3


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on the device now; a guess of 2 GiB where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY


def fitting_batch(bytes_per_draw: int, device: torch.device) -> int:
    """Number of draws whose activations fit into half of the free memory, at least 1."""
    room = int(free_memory(device) * _SHARE_OF_FREE_MEMORY)
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
        # Not the model itself: its output counts anyway, and a hook would hide its coarse form.
        inner = (module for module in model.modules() if module is not model)
        leaves = (module for module in inner if not any(module.children()))
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
