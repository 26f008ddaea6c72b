"""Rank of this process under torchrun, and the process group of all ranks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from certiseg.errors import InputError, first_line

if TYPE_CHECKING:
    import torch.distributed as dist


@dataclass(frozen=True)
class Place:
    """Rank of this process, world size, and rank on this machine (local)."""

    rank: int
    size: int
    local: int


def place_of(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Read RANK, WORLD_SIZE and LOCAL_RANK; None for a single process.

    Raises InputError if they contradict each other.
    """
    size = environment.get("WORLD_SIZE", "1")
    if size == "1" or "RANK" not in environment:
        return None
    given = (environment["RANK"], size, environment.get("LOCAL_RANK", "0"))
    if not all(text.isdecimal() for text in given) or int(given[0]) >= int(size):
        raise InputError(
            "expected RANK below WORLD_SIZE, and LOCAL_RANK, as torchrun sets them, got "
            f"{', '.join(given)}; unset them, or start with torchrun"
        )
    return Place(*(int(text) for text in given))


def meet(size: int, backend: str, to_meet: timedelta, later: timedelta) -> dist.ProcessGroup:
    """Initialize torch.distributed and return a gloo group of all processes, for Python objects.

    to_meet: timeout for all ``size`` processes to join. later: timeout of the group's operations.
    Raises InputError if the processes do not join.

    Drop all references to the group before ``dist.destroy_process_group``, so that its threads end
    there: a thread that releases a Python object while the interpreter shuts down aborts the
    process. The backend's group may live on inside DistributedDataParallel.
    """
    import torch.distributed as dist  # ``place_of`` alone needs no torch

    try:
        dist.init_process_group(backend, timeout=to_meet)
        group: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=later)
        return group
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"expected {size} processes that meet, got {first_line(error)[:200]}; start them with "
            "torchrun, or unset RANK and WORLD_SIZE"
        ) from None
