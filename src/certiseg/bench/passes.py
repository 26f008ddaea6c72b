"""Bare passes of a model, and as many votes: the two sides that several benchmarks compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.sampling.engine import Engine
from certiseg.sampling.sampler import Smoothed


def passes_of(model: Callable[[Tensor], Any], engine: Engine) -> Callable[[Tensor], Any]:
    """The model as the engine runs it: compiled once, in its precision and layout."""
    mode = "reduce-overhead" if engine.cuda_graphs else None
    call = torch.compile(model, mode=mode) if engine.compile else model

    def one_pass(batch: Tensor) -> Any:
        with engine.autocast(batch.device):
            if engine.channels_last:
                batch = batch.contiguous(memory_format=torch.channels_last)
            return call(batch)

    return one_pass


def bare(model: Callable[[Tensor], Any], batch: Tensor, draws: int) -> None:
    """So many passes of ready-made inputs, in whole batches and what is left; output is dropped."""
    with torch.inference_mode():
        for _ in range(draws // len(batch)):
            model(batch)
        if draws % len(batch):
            model(batch[: draws % len(batch)])


def ready_batch(x: Tensor, sigma: float, size: int, seed: int = 0) -> Tensor:
    """Inputs (size, *x.shape) under noise of no address: for passes that count nothing."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((size, *x.shape), generator=generator)
    return x + sigma * noise.to(x.device)


def picked_batch(smooth: Smoothed, x: Tensor, draws: int) -> int:
    """The largest batch that ``vote`` takes by itself over so many draws; warms up as well."""
    sizes: list[int] = []

    def watch(labels: NDArray[np.int64]) -> None:
        sizes.append(len(labels))

    smooth.vote(x, draws, seed=0, watch=watch)
    return max(sizes)
