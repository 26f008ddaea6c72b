"""What torchrun says of this process, and the meeting of all that it started."""

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
    """rank: this process, of ``size``. local: its number on this machine."""

    rank: int
    size: int
    local: int


def place_of(environment: Mapping[str, str] = os.environ) -> Place | None:
    """What the variables RANK, WORLD_SIZE and LOCAL_RANK say; None for a process alone.

    Raises InputError for variables that contradict each other.
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
    """Wait for all ``size`` processes, at most ``to_meet``; returns a group of them over gloo, for
    objects, whose members wait for each other as long as ``later``. Raises InputError where they
    do not come.

    Let go of the group before ``dist.destroy_process_group``: it ends there, threads and all. A
    thread that lets go of an object of Python's while the interpreter shuts down aborts the
    process, and the group of the backend lives on where DistributedDataParallel had it.
    """
    import torch.distributed as dist  # late: who only asks for the place needs no torch

    try:
        dist.init_process_group(backend, timeout=to_meet)
        group: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=later)
        return group
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"expected {size} processes that meet, got {first_line(error)[:200]}; start them with "
            "torchrun, or unset RANK and WORLD_SIZE"
        ) from None
