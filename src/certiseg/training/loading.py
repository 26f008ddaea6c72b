"""Training data: images cached as uint8, and batches prepared on a thread."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.datasets.card import Samples
from certiseg.datasets.folder import ImageFolder
from certiseg.datasets.label_counts import LabelCounts
from certiseg.datasets.subset import even_stride

T = TypeVar("T", Tensor, tuple[Tensor, Tensor])
Batch = TypeVar("Batch")
GIB = 2**30
_DEPTH = 2
_END: Any = object()
_COUNTED = 500
"""Number of images that statistics are computed from, where not all are in memory."""


class Cached(Generic[T]):
    """Items by index: the first ones, up to `gib` GiB, stay in memory; the others are read on each
    access.

    For an order shuffled in each epoch no other cache of this size would have more hits.
    """

    def __init__(self, read: Callable[[int], T], total: int, gib: float = math.inf) -> None:
        self._read: Callable[[int], T] = read
        self._total = total
        self._kept: list[T] = []
        size = 0
        for index in range(total):
            item = read(index)
            size += sum(part.numel() for part in (item if isinstance(item, tuple) else (item,)))
            if size > gib * GIB:
                break
            self._kept.append(item)

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> T:
        return self._kept[index] if index < len(self._kept) else self._read(index)

    @property
    def all_kept(self) -> bool:
        return len(self._kept) == len(self)

    def many(self, indices: Sequence[int]) -> list[T]:
        """Several items, read on a few threads where files may have to be read."""
        if self.all_kept:
            return [self[index] for index in indices]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            return list(pool.map(self.__getitem__, indices))

    def counted(self) -> Sequence[int]:
        """Items that statistics are computed from: all in memory, or an even stride."""
        if self.all_kept or len(self) <= _COUNTED:
            return range(len(self))
        return even_stride(len(self), _COUNTED)


class CachedImages(Cached[Tensor]):
    """Images of a data set (labels unused) or a folder as uint8 (C, H, W), 255 = 1.0.

    Values that are not multiples of 1 / 255 are rounded.
    """

    def __init__(self, images: Samples | ImageFolder, gib: float) -> None:
        def read(index: int) -> Tensor:
            found = images[index]
            return _bytes(found if isinstance(found, np.ndarray) else found.x)

        super().__init__(read, len(images), gib)


class CachedSamples(Cached[tuple[Tensor, Tensor]]):
    """Images uint8 (C, H, W) as in ``CachedImages``, with labels uint8 (H, W), 255 = ignore."""

    def __init__(self, samples: Samples, gib: float) -> None:
        def read(index: int) -> tuple[Tensor, Tensor]:
            sample = samples[index]
            return _bytes(sample.x), torch.from_numpy(sample.labels)

        super().__init__(read, len(samples), gib)
        self.card = samples.card

    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel over all pixels counted, in [0, 1] units."""
        total = square = torch.zeros(self.card.channels, dtype=torch.float64)
        count = 0
        for index in self.counted():
            flat = self[index][0].flatten(1).to(torch.float64) / 255
            total, square = total + flat.sum(1), square + (flat**2).sum(1)
            count += flat.shape[1]
        mean = total / count
        # A constant channel has standard deviation 0; dividing by it would make NaN.
        std = (square / count - mean**2).clamp(min=1e-6).sqrt()
        return [round(m, 6) for m in mean.tolist()], [round(s, 6) for s in std.tolist()]

    def label_counts(self) -> LabelCounts:
        """Number of pixels of each label. Raises InputError where all pixels are ignored."""
        counts = LabelCounts(self.card)
        for index in self.counted():
            counts.add(self[index][1].numpy())
        counts.check()
        return counts


def _bytes(x: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.rint(x * 255).astype(np.uint8))


def prefetch(items: Iterable[Batch]) -> Iterator[Batch]:
    """Iterate over the items in order, up to two ahead of the caller, on a thread.

    An error in making an item is raised in its place. The thread stops when the caller stops early.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:
        ready = deque(thread.submit(next, source, _END) for _ in range(_DEPTH))
        try:
            while (item := ready.popleft().result()) is not _END:
                ready.append(thread.submit(next, source, _END))
                yield cast(Batch, item)
        finally:
            for future in ready:
                future.cancel()
