"""Timing sides against each other: in turn in one process, so that a slow spell hits all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from certiseg.errors import InputError
from certiseg.runs.progress import steps


@dataclass(frozen=True)
class Spread:
    """Median, least and largest of the turns."""

    median: float
    lowest: float
    highest: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values))

    @staticmethod
    def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
        """Of the ratios within each turn: what slows a whole turn cancels."""
        return Spread.of([a / b for a, b in zip(over, under, strict=True)])


@dataclass(frozen=True)
class Times:
    """Seconds of each turn: wall, by the clock; cpu, of all threads of this process together, which
    a busy machine changes less."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


def in_turn(
    sides: Mapping[str, Callable[[], object]],
    turns: int,
    *,
    device: torch.device | None = None,
    name: str = "turns",
    progress: bool = False,
) -> dict[str, Times]:
    """Time every side once a turn; every other turn runs them backwards, so that none profits from
    its place. Warming up is the caller's. device: waited for before each look at the clock.
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
    """One call: by the clock, and of all threads."""
    wait(device)
    start, used = time.perf_counter(), time.process_time()
    call()
    wait(device)
    return time.perf_counter() - start, time.process_time() - used


def wait(device: torch.device | None) -> None:
    """Until a GPU has done what it was given."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
