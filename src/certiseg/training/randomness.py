"""Random generators of a training, all of which can be stored and restored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from certiseg.training.processes import ALONE, Processes


def fixed_noise(shape: Sequence[int], seed: int, index: int) -> Tensor:
    """Standard normal noise for validation input `index`, the same in every validation."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed * 1_000_003 + index))


class Randomness:
    """Generators of a training. order: of the images, the same in every process. views, noise: of
    this process.

    PyTorch's global generators, which layers such as dropout use, are stored with them.
    """

    def __init__(self, seed: int, processes: Processes = ALONE) -> None:
        self._processes = processes
        self.order = np.random.default_rng(seed)
        self.views = self.order
        self.noise = torch.Generator().manual_seed(seed)
        if processes.count > 1:
            process_seed = np.random.SeedSequence([seed, processes.rank])
            self.views = np.random.default_rng(process_seed)
            self.noise.manual_seed(int(process_seed.generate_state(1)[0]))

    def batches(self, size: int, batch_size: int) -> Iterator[list[int]]:
        """Indices in batches, in an order drawn now, each of `size` inputs once; of each batch the
        share of this process."""
        order = self.order.permutation(size)
        for start in range(0, size, batch_size):
            yield self._processes.share(order[start : start + batch_size]).tolist()

    def state(self) -> dict[str, Any]:
        """Text and tensors for ``restore``."""
        return {
            "order": json.dumps(self.order.bit_generator.state),
            "views": json.dumps(self.views.bit_generator.state),
            "noise": self.noise.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.order.bit_generator.state = json.loads(state["order"])
        self.views.bit_generator.state = json.loads(state["views"])
        self.noise.set_state(state["noise"])
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda"])
