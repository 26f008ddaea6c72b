"""Interleaved timing: all alternatives take turns in one process, so that a slow phase affects each
of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.runs.progress import steps
from certiseg.sampling.engine import Engine


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum over repetitions."""

    median: float
    lowest: float
    highest: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values))

    @staticmethod
    def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
        """Spread of the ratios within each repetition, in which a slow phase cancels."""
        return Spread.of([a / b for a, b in zip(over, under, strict=True)])


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition: wall time, and CPU time of all threads of this process, which
    depends less on other processes."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


def interleaved(
    sides: Mapping[str, Callable[[], object]],
    turns: int,
    *,
    device: torch.device | None = None,
    name: str = "turns",
    progress: bool = False,
) -> dict[str, Times]:
    """Time each alternative once per repetition, in alternating order so that position does not
    matter.

    The caller warms up. device: synchronised before each reading of the clock.
    """
    if turns < 1:
        raise InputError(f"expected --turns 1 or more, got {turns}; 5 tell the spread")
    seen: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for turn in steps(range(turns), turns, name, show=progress):
        order = list(sides)[:: -1 if turn % 2 else 1]
        for side in order:
            seen[side].append(seconds(sides[side], device))
    return {
        side: Times(tuple(wall for wall, _ in pairs), tuple(cpu for _, cpu in pairs))
        for side, pairs in seen.items()
    }


def seconds(call: Callable[[], object], device: torch.device | None = None) -> tuple[float, float]:
    """Wall time and CPU time of one call."""
    wait(device)
    start, used = time.perf_counter(), time.process_time()
    call()
    wait(device)
    return time.perf_counter() - start, time.process_time() - used


def wait(device: torch.device | None) -> None:
    """Synchronise with the device if it is a GPU."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def passes_of(model: Callable[[Tensor], Any], engine: Engine) -> Callable[[Tensor], Any]:
    """The model's forward pass as the engine runs it: compiled once, in its precision and
    layout."""
    mode = "reduce-overhead" if engine.cuda_graphs else None
    call = torch.compile(model, mode=mode) if engine.compile else model

    def one_pass(batch: Tensor) -> Any:
        with engine.autocast(batch.device):
            if engine.channels_last:
                batch = batch.contiguous(memory_format=torch.channels_last)
            return call(batch)

    return one_pass


def bare(model: Callable[[Tensor], Any], batch: Tensor, draws: int) -> None:
    """Pass prepared inputs `draws` times, in whole batches and a remainder; the output is
    discarded."""
    with torch.inference_mode():
        for _ in range(draws // len(batch)):
            model(batch)
        if draws % len(batch):
            model(batch[: draws % len(batch)])


def ready_batch(x: Tensor, sigma: float, size: int, seed: int = 0) -> Tensor:
    """A batch (size, *x.shape) of noisy inputs from PyTorch's generator, for passes that are not
    counted."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((size, *x.shape), generator=generator)
    return x + sigma * noise.to(x.device)
