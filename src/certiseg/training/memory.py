"""The pictures of a training as uint8: decoded once where they fit into memory, else each time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.datasets.card import IGNORE, Card, Samples
from certiseg.datasets.folder import even_stride
from certiseg.datasets.pictures import Pictures
from certiseg.errors import InputError

T = TypeVar("T")
GIB = 2**30
_COUNTED = 500
"""Pictures that statistics are taken of, where not all are in memory."""


class Kept(Generic[T]):
    """Items by index: the first ones in memory, the others read each time they are asked for.

    Of an order drawn anew in each epoch no cache of that size would keep more. read, total: of all
    items; None where all are kept.
    """

    def __init__(
        self, kept: Sequence[T], read: Callable[[int], T] | None = None, total: int | None = None
    ) -> None:
        self._kept = kept
        self._read = read
        self._total = len(kept) if total is None else total

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> T:
        if index < len(self._kept):
            return self._kept[index]
        assert self._read is not None
        return self._read(index)

    @property
    def all_kept(self) -> bool:
        return len(self._kept) == len(self)

    def many(self, indices: Sequence[int]) -> list[T]:
        """Several items; on a few threads where files may have to be read."""
        if self.all_kept:
            return [self[index] for index in indices]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            return list(pool.map(self.__getitem__, indices))

    def counted(self) -> Sequence[int]:
        """Which items statistics are taken of: all that are kept, or an even stride."""
        if self.all_kept or len(self) <= _COUNTED:
            return range(len(self))
        return even_stride(len(self), _COUNTED)


class Held(Kept[tuple[Tensor, Tensor]]):
    """Pictures uint8 (C, H, W), 255 = 1.0, each with its labels uint8 (H, W), 255 = ignore."""

    def __init__(
        self,
        card: Card,
        kept: Sequence[tuple[Tensor, Tensor]],
        read: Callable[[int], tuple[Tensor, Tensor]] | None = None,
        total: int | None = None,
    ) -> None:
        super().__init__(kept, read, total)
        self.card = card

    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over all pixels counted, in [0, 1] units."""
        total = square = torch.zeros(self.card.channels, dtype=torch.float64)
        count = 0
        for index in self.counted():
            flat = self[index][0].flatten(1).to(torch.float64) / 255
            total, square = total + flat.sum(1), square + (flat**2).sum(1)
            count += flat.shape[1]
        mean = total / count
        # A constant channel has spread 0; dividing by it would make NaN of every picture.
        std = (square / count - mean**2).clamp(min=1e-6).sqrt()
        return [round(m, 6) for m in mean.tolist()], [round(s, 6) for s in std.tolist()]

    def class_shares(self) -> Tensor:
        """Share of each class among labelled pixels counted, float64 (classes,)."""
        counts = torch.zeros(256, dtype=torch.int64)
        for index in self.counted():
            counts += torch.bincount(self[index][1].flatten(), minlength=256)
        counts[IGNORE] = 0
        if counts.sum() == 0:
            raise InputError("expected labelled pixels, got ignored ones only; check the labels")
        return counts[: self.card.num_classes].to(torch.float64) / counts.sum()


def hold(samples: Samples, gib: float) -> Held:
    """The samples, decoded at once as far as `gib` GiB hold them.

    Values between k / 255 and (k + 1) / 255 are rounded.
    """

    def read(index: int) -> tuple[Tensor, Tensor]:
        sample = samples[index]
        return _bytes(sample.x), torch.from_numpy(sample.labels)

    kept = _first(read, len(samples), lambda pair: pair[0].numel() + pair[1].numel(), gib)
    return Held(samples.card, kept, read, len(samples))


def hold_pictures(pictures: Samples | Pictures, gib: float) -> Kept[Tensor]:
    """The pictures alone, of a data set or of a folder; otherwise as ``hold``."""

    def read(index: int) -> Tensor:
        found = pictures[index]
        return _bytes(found if isinstance(found, np.ndarray) else found.x)

    kept = _first(read, len(pictures), Tensor.numel, gib)
    return Kept(kept, read, len(pictures))


def check_memory(gib: float) -> None:
    """Raise InputError unless this can be an amount of memory."""
    if not gib >= 0:
        raise InputError(f"expected --memory 0 or more GiB, got {gib}; 4 is the default")


def _first(read: Callable[[int], T], total: int, weigh: Callable[[T], int], gib: float) -> list[T]:
    """The first items, as many as fit."""
    kept: list[T] = []
    size = 0
    for index in range(total):
        item = read(index)
        size += weigh(item)
        if size > gib * GIB:
            break
        kept.append(item)
    return kept


def _bytes(x: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.rint(x * 255).astype(np.uint8))
