"""What every benchmark can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from certiseg.errors import InputError
from certiseg.runs.device import usable_device
from certiseg.sampling.engine import Engine


@dataclass(frozen=True)
class Options:
    """turns: each side is timed so often. models: as after --model; none for the benchmark's own.

    size: (H, W) of the picture, num_samples: draws; None for the benchmark's own. quick: sizes that
    show that it runs, whose figures say nothing. device: None for the CPU. engine: how passes are
    run, on both sides of a comparison.
    """

    turns: int = 5
    seed: int = 0
    models: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    num_samples: int | None = None
    num_classes: int | None = None
    channels: int | None = None
    device: str | None = None
    engine: Engine = field(default_factory=Engine)
    quick: bool = False
    progress: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise InputError(f"expected --turns 1 or more, got {self.turns}; 5 tell the spread")
        if self.num_samples is not None and self.num_samples < 1:
            raise InputError(f"expected -n 1 or more, got {self.num_samples}; 100 is usual")
        if self.seed < 0:
            raise InputError(f"expected --seed 0 or more, got {self.seed}; any number will do")

    def on(self) -> torch.device:
        """The device to run on. Raises InputError where this machine has none."""
        device = usable_device(self.device or "cpu")
        self.engine.check_device(device)
        return device


def size_of(text: str) -> tuple[int, int]:
    """ "360x480" as (360, 480). Raises InputError for anything else."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and 0 < int(side) < 2**16 for side in sides):
        raise InputError(f"expected --size HEIGHTxWIDTH such as 360x480, got {text!r}")
    return int(sides[0]), int(sides[1])
