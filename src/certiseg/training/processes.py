"""The processes of one training, as started by torchrun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from certiseg.errors import InputError
from certiseg.torchrun import meet, place_of

_PATIENCE = timedelta(hours=1)
"""How long processes wait for the first one, which alone validates and writes."""


@dataclass(frozen=True)
class Processes:
    """One process, rank of count. Only rank 0 validates, reports and writes.

    group: process group for exchanging objects; empty outside ``processes``.
    """

    rank: int = 0
    count: int = 1
    group: list[Any] = field(default_factory=list, repr=False, compare=False)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of a batch. All parts are of one size, so that the mean of their
        gradients is the batch's; items are repeated from the front to fill the last part."""
        missing = -len(chosen) % self.count
        return np.concatenate([chosen, np.resize(chosen, missing)])[self.rank :: self.count]

    def joined(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over all processes."""
        return model if self.count == 1 else DistributedDataParallel(model)

    def gathered(self, value: Any) -> list[Any]:
        """Every process's value, by rank; all must call this."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        (group,) = self.group
        dist.all_gather_object(values, value, group=group)
        return values


ALONE = Processes()


@contextmanager
def processes(device: str) -> Iterator[tuple[Processes, str]]:
    """Yield (processes, device of this process): those started by torchrun, or this one alone.

    device: "cuda" becomes one GPU per process. Raises InputError for a GPU by number, and where
    other processes do not join.
    """
    place = place_of()
    if place is None:
        yield ALONE, device
        return
    kind = torch.device(device).type
    if kind == "cuda" and device != "cuda":
        raise InputError(
            f"expected --device cuda with several processes, got {device}; each takes its own GPU"
        )
    device_here = f"cuda:{place.local}" if kind == "cuda" else device
    if kind == "cuda":
        torch.cuda.set_device(device_here)
    group = [meet(place.size, "nccl" if kind == "cuda" else "gloo", _PATIENCE, _PATIENCE)]
    try:
        yield Processes(place.rank, place.size, group), device_here
    finally:
        group.clear()
        dist.destroy_process_group()


def refuse_several(command: str) -> None:
    """Raise InputError if torchrun started several processes of a command that runs in one."""
    place = place_of()
    if place is not None:
        raise InputError(
            f"expected one process for certiseg {command}, got {place.size}; start it without "
            "torchrun"
        )
