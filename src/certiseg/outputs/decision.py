"""One label per component and draw of a batch, counted tile by tile."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from certiseg.binary import BinaryOutput
from certiseg.compiled import compiled
from certiseg.errors import InputError
from certiseg.outputs.low_resolution import LowResolutionLogits
from certiseg.outputs.upsampled_loop import count_upsampled

# Bytes of logits per tile: on a CPU about its caches, on a GPU enough to keep it busy.
_TILE = {"cpu": 2**23, "cuda": 2**28}
_STEPS = 8
_ROWS = 32
_MOST_CLASSES = 2**16
_SINGLE_OR_DOUBLE = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Decision:
    """Exactly one label per component and draw of a batch.

    scores: logits (B, C, *out), possibly of low resolution, for models that return logits; given:
    int64 labels (B, *out), for models that return labels. Exactly one of them is not None.

    Logits are decided when they are counted, one tile at a time, so that one-hot labels at full
    size are never held. tile: bytes of logits per tile (at least 8 steps of rows); the labels do
    not depend on it. context: the model's autocast, in which low-resolution logits are upsampled.
    binary: the declaration of a binary output.
    """

    num_classes: int
    scores: Tensor | LowResolutionLogits | None = None
    given: Tensor | None = None
    tile: int | None = None
    context: contextlib.AbstractContextManager[object] = field(
        default_factory=contextlib.nullcontext, repr=False
    )
    binary: BinaryOutput | None = None

    @property
    def size(self) -> torch.Size:
        """Shape of the components."""
        return torch.Size(self._shape[2:] if self.given is None else self._shape[1:])

    @property
    def draws(self) -> int:
        """B, the number of draws in the batch."""
        return self._shape[0]

    @property
    def _shape(self) -> tuple[int, ...]:
        held = self.scores if self.given is None else self.given
        assert held is not None
        return tuple(held.shape)

    @property
    def _device(self) -> torch.device:
        held = self.scores.logits if isinstance(self.scores, LowResolutionLogits) else self.scores
        either = self.given if held is None else held
        assert either is not None
        return either.device

    def rows(self, places: list[int]) -> Decision:
        """The draws at these indices of the batch, in this order."""
        scores, given = self.scores, self.given
        return replace(
            self,
            scores=None if scores is None else scores[places],
            given=None if given is None else given[places],
        )

    def new_counts(self, dtype: torch.dtype) -> Tensor:
        """Zeros (C, *out) on the decision's device."""
        return torch.zeros((self.num_classes, *self.size), dtype=dtype, device=self._device)

    def labels(self) -> Tensor:
        """Labels, int64 (B, *out)."""
        if self.given is not None:
            return self.given
        found = torch.zeros((self.draws, *self.size), dtype=torch.int32, device=self._device)
        for draws, rows, won in self._won():
            place = found[(draws, *rows)]
            for label in range(1, self.num_classes):
                place += won[:, label] * label
        return found.long()

    def equal(self, labels: Tensor) -> Tensor:
        """For each draw, bool (B,): whether its whole output equals labels, int64 (*out)."""
        if self.given is not None:
            return torch.eq(self.given, labels).flatten(1).all(dim=1)
        same = torch.ones(self.draws, dtype=torch.bool, device=self._device)
        for draws, rows, won in self._won():
            wanted = labels[rows].expand(len(won), 1, *won.shape[2:])
            same[draws] &= won.gather(1, wanted).flatten(1).all(dim=1)
        return same

    def add_to(self, counts: Tensor) -> None:
        """Add the labels of every draw to counts, ints (C, *out), in place."""
        if self.given is not None:
            # Within a draw each component adds to one cell, so no atomic additions are needed.
            flat = counts.view(self.num_classes, -1)
            for labels in self.given:
                cells = labels.reshape(1, -1)
                flat.scatter_(0, cells, flat.gather(0, cells).add_(1))
            return
        for _, rows, won in self._won(self._counted(counts)):
            place = counts[(slice(None), *rows)]
            # For one draw this is a single pass over memory.
            place.add_(won[0] if len(won) == 1 else won.sum(dim=0, dtype=counts.dtype))

    def _counted(self, counts: Tensor) -> list[tuple[int, slice]] | None:
        """Count in a compiled loop, by as many threads as PyTorch uses, and return the draws and
        rows that it leaves open. None if it does not apply, and nothing was counted."""
        scores = self.scores
        if (
            not isinstance(scores, LowResolutionLogits)
            or not scores.weights_are_exact
            or (scores.logits.device.type, scores.logits.dtype) != ("cpu", torch.float32)
            or torch.is_autocast_enabled("cpu")
            or self.num_classes >= _MOST_CLASSES
            or (loop := compiled(count_upsampled)) is None
        ):
            return None
        logits, step = scores.logits.detach().numpy(), scores.step or 1
        left = np.zeros((self.draws, logits.shape[2]), np.bool_)
        parts = [(first, first + _ROWS) for first in range(0, logits.shape[2], _ROWS)]
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(lambda rows: loop(logits, counts.numpy(), rows, left), parts))
        edges = np.flatnonzero(np.diff(left, axis=1, prepend=False, append=False))
        width = left.shape[1] + 1
        return [
            (first // width, slice(first % width * step, last % width * step))
            for first, last in edges.reshape(-1, 2).tolist()
        ]

    def _won(
        self, left: list[tuple[int, slice]] | None = None
    ) -> Iterator[tuple[slice, tuple[slice, ...], Tensor]]:
        """Tiles that cover every draw: slice of draws, slice of rows (none for outputs without
        rows), and bool (b, C, *tile), True at the winning label.

        left: cover these rows alone, each of one draw.
        """
        scores, (batch, *rest) = self.scores, self._shape
        assert scores is not None
        room = self.tile or _TILE.get(self._device.type, _TILE["cpu"])
        with torch.inference_mode(), self.context:
            rows = self._rows(room)
            if left is None and rows is None:
                count = max(1, room // (4 * math.prod(rest)))
                for first in range(0, batch, count):
                    draws = slice(first, min(first + count, batch))
                    yield draws, (), winners(_full(scores[draws]))
                return
            if left is None:
                left = [(draw, slice(0, rest[1])) for draw in range(batch)]
            for draw, some in left:
                one = slice(draw, draw + 1)
                for start in range(some.start, some.stop, rows or rest[1]):
                    band = slice(start, min(start + (rows or rest[1]), some.stop))
                    yield one, (band,), winners(_band(scores, one, band))

    def _rows(self, room: int) -> int | None:
        """Number of rows per tile within `room` bytes; None if a draw fits whole or cannot be
        cut."""
        assert self.scores is not None
        step = self.scores.step if isinstance(self.scores, LowResolutionLogits) else 1
        _, classes, *size = self._shape
        if len(size) != 2 or step is None:
            return None
        # Each band computes one extra low-resolution row on either side, too expensive for thin
        # bands.
        fitting = max(_STEPS, room // (4 * classes * size[1] * step)) * step
        return fitting if fitting < size[0] else None


def _full(scores: Tensor | LowResolutionLogits) -> Tensor:
    return scores.full() if isinstance(scores, LowResolutionLogits) else scores


def _band(scores: Tensor | LowResolutionLogits, draw: slice, rows: slice) -> Tensor:
    if isinstance(scores, LowResolutionLogits):
        return scores[draw].band(rows.start, rows.stop)
    return scores[draw, :, rows]


def winners(logits: Tensor) -> Tensor:
    """Bool (b, C, *out), True at the first of the highest logits.

    Raises InputError for NaN, and where infinity leaves the decision open: all logits of a
    component are -inf, or several are +inf. A class masked by -inf beside finite logits simply does
    not win.
    """
    if logits.device.type == "cpu" and logits.dtype not in _SINGLE_OR_DOUBLE:
        logits = logits.float()  # exact
    # Maxima over channels-last logits are slow.
    logits = logits.contiguous()
    top = logits.amax(dim=1, keepdim=True)
    lowest, highest = top.aminmax()
    if bool(highest.isnan()):
        raise InputError(
            "expected finite logits, got NaN; check the model's weights and its precision"
        )
    if bool(lowest == -torch.inf):
        raise InputError(
            "expected a finite logit for each component, got -inf for all classes of one; leave "
            "one class unmasked, and check the model's precision"
        )
    if logits.device.type == "cpu":
        # NumPy's comparison with a broadcast operand is several times faster than PyTorch's.
        equal = np.equal(logits.numpy(), top.numpy())
        won, found = torch.from_numpy(equal), int(np.count_nonzero(equal))
    else:
        won = logits == top
        found = int(won.count_nonzero())
    if found != top.numel():
        if bool(highest == torch.inf) and bool(((top == torch.inf) & (won.sum(1, True) > 1)).any()):
            raise InputError(
                "expected one highest logit, got +inf for several classes of a component; check "
                "the model's precision"
            )
        narrow = torch.uint8 if logits.shape[1] < 256 else torch.int32
        won &= won.cumsum(dim=1, dtype=narrow) == 1
    return won
