"""``Ranks``: a run shared by the processes of torchrun, each with every size-th sample."""

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
"""Timeout of waiting for other ranks; one that has died is noticed by its closed connection."""


class Ranks:
    """This process among all ranks. All write into one folder; rank 0 checks, plans, and writes the
    tables."""

    def __init__(self, place: Place) -> None:
        self.rank, self.size, self.local = place.rank, place.size, place.local
        self._all: Any = None

    @staticmethod
    def of_environment(environment: Mapping[str, str] = os.environ) -> Ranks | None:
        """Ranks by torchrun's variables; None for a single process. Raises as ``place_of``."""
        place = place_of(environment)
        return None if place is None else Ranks(place)

    @contextmanager
    def together(self, device: str | None) -> Iterator[None]:
        """Join the process group of all ranks inside the context.

        device "cuda" is the GPU of the local rank. Raises InputError if not all ranks join.
        """
        if device == "cuda":
            torch.cuda.set_device(self.local % torch.cuda.device_count())
        self._all = meet(self.size, "gloo", _TO_MEET, _LONGEST)
        try:
            yield
        finally:
            self._all = None
            dist.destroy_process_group()

    def agreed(self, plan: Callable[[], T]) -> T:
        """Result of ``plan`` on rank 0, on all ranks. All raise an InputError that it raises."""
        outcome: list[Any] = [None, None]
        if self.rank == 0:
            try:
                outcome[0] = plan()
            except InputError as error:
                outcome[1] = str(error)
        with self._waiting():
            dist.broadcast_object_list(outcome, src=0, group=self._all)
        if outcome[1] is not None:
            raise InputError(outcome[1])
        agreed: T = outcome[0]
        return agreed

    def own(self, numbers: Sequence[int]) -> Sequence[int]:
        """Samples of this rank: every ``size``-th."""
        return numbers[self.rank :: self.size]

    def all_done(self) -> None:
        """Wait until all ranks are done. Raises InputError if one has ended before."""
        with self._waiting():
            dist.barrier(group=self._all)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise InputError(
                f"expected all {self.size} ranks to finish, got the end of one "
                f"({first_line(error)[:200]}); "
                "what is done is kept, start them again with --resume"
            ) from None
