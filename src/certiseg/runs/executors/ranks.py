"""A run shared by the processes that torchrun starts: each takes the samples of its rank."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from certiseg.errors import InputError, first_line
from certiseg.torchrun import Place, meet, place_of

T = TypeVar("T")

_TO_MEET = timedelta(minutes=10)
_LONGEST = timedelta(days=30)
"""Others may take as long as they need: one that has ended is noticed by its closed connection."""


class Ranks:
    """This process among its fellows. They all write into one folder; the first checks, plans and
    puts the tables together."""

    def __init__(self, place: Place) -> None:
        self.rank, self.size, self.local = place.rank, place.size, place.local
        self._all: Any = None

    @staticmethod
    def of_environment(environment: Mapping[str, str] = os.environ) -> Ranks | None:
        """What torchrun says; None for a process alone. Raises InputError as ``place_of``."""
        place = place_of(environment)
        return None if place is None else Ranks(place)

    @contextmanager
    def together(self, device: str | None) -> Iterator[None]:
        """Meet the others for what is done inside. device "cuda" is then the GPU of the local
        number. Raises InputError where they do not come."""
        if device == "cuda":
            torch.cuda.set_device(self.local % torch.cuda.device_count())
        # Only meeting has a limit.
        self._all = meet(self.size, "gloo", _TO_MEET, _LONGEST)
        try:
            yield
        finally:
            self._all = None
            dist.destroy_process_group()

    def agreed(self, plan: Callable[[], T]) -> T:
        """What the first rank plans. An InputError there is raised by all."""
        told: list[Any] = [None, None]
        if self.rank == 0:
            try:
                told[0] = plan()
            except InputError as error:
                told[1] = str(error)
        with self._waiting():
            dist.broadcast_object_list(told, src=0, group=self._all)
        if told[1] is not None:
            raise InputError(told[1])
        agreed: T = told[0]
        return agreed

    def own(self, numbers: Sequence[int]) -> Sequence[int]:
        """The samples of this rank: every ``size``-th."""
        return numbers[self.rank :: self.size]

    def all_done(self) -> None:
        """Wait until all have done theirs. Raises InputError where one has ended before."""
        with self._waiting():
            dist.barrier(group=self._all)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            said = first_line(error)[:200]
            raise InputError(
                f"expected all {self.size} ranks to finish, got the end of one ({said}); "
                "what is done is kept, start them again with --resume"
            ) from None
