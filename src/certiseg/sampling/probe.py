"""The probe: tests that the model treats each draw independently of the others (theory T1)."""

from __future__ import annotations

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import CellType, FunctionType
from typing import Any, Generic, NamedTuple

import numpy as np
import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.outputs.decide import Posterior
from certiseg.outputs.decision import Decision
from certiseg.outputs.low_resolution import LowResolutionLogits
from certiseg.sampling.base_model import BaseModel, Read, Reader, forward
from certiseg.sampling.draw import Draws

# Tolerance on relative changes of scores when the rest of the batch changes, in float32, tf32 and
# lower precision, and the share of components that may change more, since rounding can flip single
# labels. Measured: at most 8e-6 in float32, but 3e-4 for a torchvision network with random weights
# (theory T1); before such a model is refused, ``Nudge`` measures how much it amplifies rounding.
_TOLERANCE, _TF32_TOLERANCE, _LOW_TOLERANCE, _SHARE = 1e-3, 0.05, 0.2, 0.01
_TIMES_NUDGED, _MOST_ENLARGED = 100.0, 0.05
_FLOOR, _LOW_FLOOR = 0.01, 0.05
"""Weight, in the size of scores, of the offset common to all classes: it affects their rounding but
not the label."""
_COMPONENTS = 2**14
_MASKED = 100.0
_DRAWS = 5
_TRIES = 8


class Probe(Generic[Read]):
    """Two extra passes per range of draws that detect a model which mixes draws.

    ``alone``: a copy of the model made beforehand (or the model, if it cannot be copied) must give
    the second draw, in a batch of its own, the same output as the model in its batch. ``finish``:
    after the last draw the model must give the first draws the same outputs as before, now in a
    batch with an input unlike any draw. If either fails, a few more passes distinguish rounding
    (few components, different ones for different draws) and independent randomness of the model in
    each row from mixing. precision: as recorded (``BaseModel.precision``). own_randomness: True if
    such randomness was found.
    """

    def __init__(
        self, model: BaseModel, stream: Draws, draws: range, read: Reader[Read], precision: str
    ) -> None:
        # Not compiled, which would compile once more for each batch size.
        self._model = replace(
            model, engine=replace(model.engine, compile=False, cuda_graphs=False), _compiled=None
        )
        self.copy = replace(self._model, call=copied(model.call))
        self._read: Reader[Read] = read
        self._stream, self._draws = stream, draws
        low = _TF32_TOLERANCE if precision.endswith("in tf32") else _LOW_TOLERANCE
        exact = precision in ("float32", "float64")
        self._tolerance = _TOLERANCE if exact else low
        self._floor = _FLOOR if exact else _LOW_FLOOR
        self._kept: dict[int, Tensor] = {}
        self._alone: Tensor | None = None
        self.own_randomness = False

    def alone(self) -> Read:
        """Pass the second draw (the first if it is the only one) through the copy."""
        output = self._pass(self.copy, self._input(self._draws[:2][-1]))
        if len(self._draws) > 1:
            self._alone = _scores(output, 0)
        return output

    def seen(self, draws: range, output: Read, size: int) -> None:
        """Compare the model's output for the next draws, from a batch of this size."""
        for row, draw in enumerate(draws):
            if draw - self._draws.start < _DRAWS:
                self._kept[draw] = _scores(output, row)
        second = self._draws.start + 1
        if self._alone is not None and second in self._kept:
            if _furthest(self._apart(self._alone, self._kept[second])) > self._tolerance:
                self._judge(
                    second, self._alone, size, lambda d: self._pass(self.copy, self._input(d))
                )
            self._alone, self.copy = None, self._model

    def finish(self, size: int) -> None:
        """Pass the first draws through the model again, beside another input if size > 1."""

        def again(draw: int) -> Read:
            return self._pass(self._model, self._beside([draw], size))

        if self.own_randomness:
            return
        draws = sorted(self._kept)[: max(1, size - 1)]
        output = self._pass(self._model, self._beside(draws, size))
        for draw, row in zip(draws, range(-len(draws), 0), strict=True):
            now = _scores(output, row)
            if _furthest(self._apart(now, self._kept[draw])) > self._tolerance:
                self._judge(draw, now, size, again)
                return

    def _beside(self, draws: Sequence[int], size: int) -> Tensor:
        """A batch of these draws' inputs, after one unlike any where that is within the size."""
        inputs: list[Tensor] = [self._input(draw) for draw in draws]
        return torch.cat([_unlike(inputs[0]), *inputs][-size:])

    def _judge(self, draw: int, now: Tensor, size: int, passed: Callable[[int], Read]) -> None:
        """Raise InputError unless rounding or independent randomness explains a changed output.

        now: differing scores of the draw. passed: repeats the pass in which it differed.
        """
        one = self._input(draw)
        if not self._is_last_bits(draw, one, now, passed):
            self._check_own_randomness(one, size)
            self.own_randomness = True

    def _is_last_bits(
        self, draw: int, one: Tensor, now: Tensor, passed: Callable[[int], Read]
    ) -> bool:
        """True if rounding explains the differences: few components, not the same in all draws."""
        nudged = torch.nextafter(one, one.flip(-1))
        before, moved, after = (self._row_scores(x, seeded=True) for x in (one, nudged, one))
        nudge = Nudge(self._apart(before, moved), self._apart(before, after))
        self._tolerance = max(self._tolerance, nudge.explains(_most))
        furthest = max(self._tolerance, nudge.explains(_furthest))
        others = [other for other in self._kept if other != draw]
        found = [self._apart(_scores(passed(o), -1), self._kept[o]) for o in others]
        changed = [_most(apart) > self._tolerance for apart in found]
        found.append(self._apart(now, self._kept[draw]))
        wrong = torch.stack([apart > furthest for apart in found]).sum(dim=0)
        few = not bool((wrong >= max(2, (len(found) + 1) // 2)).any())
        many = _most(found[-1]) > self._tolerance
        return few and (not many or (bool(others) and 2 * sum(changed) < len(changed)))

    def _check_own_randomness(self, one: Tensor, size: int) -> None:
        """Raise InputError unless the model is random, independently in each row of a batch."""
        scores, far = self._row_scores, _unlike(one)
        first = scores(one)
        if not any(self._differ(first, scores(one)) for _ in range(_TRIES)):
            raise InputError(
                "expected a model that treats each draw of a batch alone, got another output for "
                "a draw passed without its batch; remove what mixes the batch or is kept from "
                "pass to pass (statistics or attention over axis 0, caches, calibration)"
            )
        held = scores(one, seeded=True)
        scores(far)
        if self._differ(held, scores(one, seeded=True)):
            raise InputError(
                "expected a model whose randomness comes from torch.manual_seed, np.random.seed or "
                "random.seed, got another output for the same draw under the same seeds; remove "
                "what it keeps from pass to pass, and generators of its own"
            )
        if size == 1:
            return
        same = self._pass(self.copy, torch.cat([one] * min(size, _TRIES)))
        rows = [_scores(same, row) for row in range(same.draws)]
        if not any(self._differ(rows[0], other) for other in rows):
            raise InputError(
                "expected randomness of the model's own in each row of a batch, got one random "
                "choice for all rows; make it for each row"
            )
        for row, other in ((0, (one, far)), (1, (far, one))):
            pair = scores(one, one, row=row, seeded=True)
            if self._differ(pair, scores(*other, row=row, seeded=True)):
                raise InputError(
                    "expected a model that treats each draw of a batch alone, got another "
                    "output for a draw beside another input, its randomness held still; remove "
                    "what mixes the batch"
                )

    def _row_scores(self, *rows: Tensor, row: int = 0, seeded: bool = False) -> Tensor:
        """The copy's scores for one row of a batch of these inputs."""
        with same_randomness(rows[0].device) if seeded else contextlib.nullcontext():
            return _scores(self._pass(self.copy, torch.cat(rows)), row)

    def _input(self, draw: int) -> Tensor:
        return self._stream.get(range(draw, draw + 1))

    def _pass(self, model: BaseModel, batch: Tensor) -> Read:
        return forward(model, batch, self._read)

    def _apart(self, one: Tensor, other: Tensor) -> Tensor:
        return apart(one, other, self._floor)

    def _differ(self, one: Tensor, other: Tensor) -> bool:
        return differ(one, other, self._tolerance, self._floor)


def _unlike(draw: Tensor) -> Tensor:
    """An input unlike any draw."""
    return 2 * draw.flip(-1)


def _scores(output: Decision | Posterior, row: int) -> Tensor:
    """Scores (C, n) of a draw, or labels (1, n) without scores, at n <= 2^14 components."""
    if isinstance(output, Posterior):
        held = output.values[row]
    elif output.given is not None:
        held = output.given[row][None]
    else:
        scores = output.scores
        assert scores is not None
        held = (scores.logits if isinstance(scores, LowResolutionLogits) else scores)[row]
    flat = held.reshape(len(held), -1)
    return flat[:, :: flat.shape[1] // _COMPONENTS | 1].clone()


def differ(one: Tensor, other: Tensor, tolerance: float, floor: float = _FLOOR) -> bool:
    """True if more than 1 % of the components of scores (C, n) differ by more than tolerance."""
    return _most(apart(one, other, floor)) > tolerance


def _most(apart: Tensor) -> float:
    """The 99 % quantile."""
    return float(apart.sort().values[-1 - int(_SHARE * len(apart))])


def _furthest(apart: Tensor) -> float:
    """The maximum."""
    return float(apart.max())


class Nudge(NamedTuple):
    """Change of each component's scores (n,) when the last bit of the input changes (moved), and
    when nothing changes (still).

    A network that amplifies the rounding of its input amplifies that of its sums too.
    """

    moved: Tensor
    still: Tensor

    def explains(self, measure: Callable[[Tensor], float]) -> float:
        """Largest distance that rounding explains: a multiple of the change by the nudge, bounded;
        0 if the output changes about as much without a nudge. measure: of distances (n,)."""
        moved = measure(self.moved)
        if measure(self.still) > moved / 2:
            return 0.0
        return min(_TIMES_NUDGED * moved, _MOST_ENLARGED)


def apart(one: Tensor, other: Tensor, floor: float = _FLOOR) -> Tensor:
    """Distance (n,) of two score maps (C, n) by component, relative to the size of the scores.

    Scores are taken relative to the largest, since a common offset does not change the label; it
    affects rounding, so that a share ``floor`` of it counts as size. All classes are compared, as
    any might become the largest in another batch, except those masked out far below the two
    largest. For labels (1, n) the distance is 0 or infinity.
    """
    if one.dtype == torch.int64:
        return torch.where(one == other, 0.0, torch.inf)[0]
    top = other.float().topk(min(2, len(other)), dim=0)[0]
    shared = top.abs().amax(dim=0)
    masked = top[-1] - _MASKED * (shared + shared.median())
    now, then = (scores.float().maximum(masked) for scores in (one, other))
    now, then = now - now.amax(dim=0), then - then.amax(dim=0)
    same = (now == then) | (now.isnan() & then.isnan())
    gap = (top[0] - top[-1]).median()
    size = then.abs() + gap + floor * (shared + shared.median())
    found = ((now - then).abs() / size).nan_to_num(torch.inf, torch.inf)
    return found.masked_fill(same, 0.0).amax(dim=0)


def copied(model: Any) -> Any:
    """A deep copy of the model; the model itself if it cannot be copied.

    Functions are copied with closure and defaults, unlike by ``copy.deepcopy``.
    """
    model = getattr(model, "_orig_mod", model)  # of a compiled model, its uncompiled module
    try:
        if isinstance(model, FunctionType):
            cells = tuple(CellType(copied(c.cell_contents)) for c in model.__closure__ or ())
            held = None if model.__defaults__ is None else tuple(map(copied, model.__defaults__))
            twin = FunctionType(model.__code__, model.__globals__, model.__name__, held, cells)
            twin.__kwdefaults__ = copy.deepcopy(model.__kwdefaults__)
            return twin
        return copy.deepcopy(model)
    except Exception:  # copying can raise anything
        return model


@contextlib.contextmanager
def same_randomness(device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and random; restore their states afterwards."""
    held, held_by_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(held)
            np.random.set_state(held_by_numpy)  # noqa: NPY002
