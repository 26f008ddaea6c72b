"""``VoteCounts``: how often each component got each label; ``Source``: provenance of the draws."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.files.fields import (
    RECORD,
    TEXT,
    TRUTH,
    Fields,
    checked,
    dict_of,
    hexadecimal,
    list_of,
    number,
    one_of,
    optional,
    whole,
)
from certiseg.noise import Noise, noise_from_record, noise_record
from certiseg.stats.pvalues import MOST_TRIALS

ABSTAIN = -1
Selection = Literal["pooled", "split"]
"""Candidate labels are chosen by the draws that test them (pooled) or by others (split)."""
_BLOCK, _BLOCK_OF_TOP = 2**16, 2**18
"""Components at a time; the fastest for each task on 2 cores with 32 MiB of cache."""
ORIGINS = ("entropy", "record", "caller")
"""Origins of a seed, the most trustworthy first (theory T15)."""
SEED_BITS = 128
_MAY_DIFFER = ("draws", "seed_origin", "batch_sizes", "own_randomness", "left_out")
"""Fields in which parts of one experiment may differ."""


@dataclass(frozen=True)
class Source:
    """Provenance of votes: enough to repeat the draws, and to detect draws counted twice.

    seed_origin: "entropy", "record" or "caller" (theory T15). key: identifies the input among those
    of the seed. draws: half-open ranges of draw numbers, sorted and disjoint. model, input: SHA-256
    fingerprints. input_shape: without a batch axis. value_range: input domain, None for any value.
    not_covered: parts of the model that its fingerprint does not include. code: SHA-256 by file of
    the user's code that made the model. engine: generator, device, precision and library versions.
    batch_sizes: of the passes, ascending; the position of a draw in its batch is random (theory
    T1). own_randomness: the model draws random numbers itself, so that votes cannot be repeated.
    windows: for a model whose labels depend on windows of the input alone (theory T17), the sides
    of their cores and a margin, or for sliding windows their sides and steps. binary: how labels
    follow from a binary output; None for the largest score, or labels. left_out: windows were left
    out of later draws once they were settled, so that their components have fewer votes (theory
    T7).
    """

    noise: Noise
    seed: int
    seed_origin: str
    key: str
    draws: tuple[tuple[int, int], ...]
    model: str
    model_name: str
    input: str
    input_shape: tuple[int, ...]
    value_range: tuple[float, float] | None
    not_covered: tuple[str, ...] = ()
    code: dict[str, str] = field(default_factory=dict)
    engine: dict[str, str] = field(default_factory=dict)
    batch_sizes: tuple[int, ...] = ()
    own_randomness: bool = False
    windows: tuple[int, ...] | None = None
    binary: BinaryOutput | None = None
    left_out: bool = False

    def __post_init__(self) -> None:
        self.noise.check_shape(self.input_shape)
        last = 0
        for start, stop in self.draws:
            if not last <= start < stop:
                raise InputError(
                    f"expected ascending, disjoint ranges of draws, got {self.draws}; "
                    "a draw counts once"
                )
            last = stop
        if self.windows is not None:
            axes, given = len(self.input_shape) - 1, len(self.windows)
            *sides, last = self.windows
            if given not in (axes + 1, 2 * axes) or min(*sides, last + (given == axes + 1)) < 1:
                raise InputError(
                    f"expected sides of windows for each axis of {self.input_shape} and a margin, "
                    f"or steps, got {self.windows}"
                )
        if self.left_out and self.windows is None:
            raise InputError(
                "expected windows with draws that leave some out, got none; the record is damaged"
            )
        if self.value_range is not None:
            low, high = self.value_range
            if not -math.inf < low < high < math.inf:
                raise InputError(
                    f"expected a domain [low, high] of finite numbers, got {self.value_range}; "
                    "value_range None allows any value"
                )

    def joined(self, other: Source) -> Source:
        """Union of both sets of draws. Raises InputError unless they are disjoint parts of one
        experiment.

        The seed's origin is the less trustworthy of the two: a seed from entropy that is passed
        again to continue counts as the caller's.
        """
        changed = [
            f.name
            for f in fields(self)
            if f.name not in _MAY_DIFFER and getattr(self, f.name) != getattr(other, f.name)
        ]
        if changed:
            raise InputError(
                "expected votes of the same model, input, noise and seed, got different "
                f"{', '.join(changed)}; add only votes of one smoothed model at one input"
            )
        ranges = sorted(self.draws + other.draws)
        merged: list[tuple[int, int]] = []
        for start, stop in ranges:
            if merged and start < merged[-1][1]:
                raise InputError(
                    f"expected disjoint draws, got draw {start} twice; give each part its own "
                    "first_draw, a draw counts once"
                )
            if merged and start == merged[-1][1]:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        return replace(
            self,
            draws=tuple(merged),
            seed_origin=max(self.seed_origin, other.seed_origin, key=ORIGINS.index),
            batch_sizes=tuple(sorted({*self.batch_sizes, *other.batch_sizes})),
            own_randomness=self.own_randomness or other.own_randomness,
            left_out=self.left_out or other.left_out,
        )

    def record(self) -> dict[str, Any]:
        """Serialize to plain JSON values."""
        plain: dict[str, Any] = json.loads(
            json.dumps({**asdict(self), "noise": noise_record(self.noise)})
        )
        for name, absent in (("binary", None), ("left_out", False)):
            if plain[name] == absent:
                del plain[name]
        return plain

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Source:
        """Inverse of record. Raises InputError for what ``record`` cannot have written."""
        extra = {name: kind for name, kind in _EXTRA.items() if name in record}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in checked(record, {**_SOURCE, **extra}, "a source").items()
        }
        if "binary" in extra:
            values["binary"] = BinaryOutput.from_record(values["binary"])
        values["noise"] = noise_from_record(values["noise"])
        values["draws"] = tuple(map(tuple, values["draws"]))
        return Source(**values)


_DRAW, _SIDE = whole(0, 2**63), whole(1, 2**63)
_SOURCE: Fields = {
    "noise": RECORD,
    "seed": whole(0, 2**SEED_BITS - 1),
    "seed_origin": one_of(*ORIGINS),
    "key": TEXT,
    "draws": list_of(list_of(_DRAW, 2, 2), 1, MOST_TRIALS),
    "model": hexadecimal(64),
    "model_name": TEXT,
    "input": hexadecimal(64),
    "input_shape": list_of(_SIDE, 1, 16),
    "value_range": optional(list_of(number(-math.inf, math.inf), 2, 2)),
    "not_covered": list_of(TEXT, 0, 10_000),
    "code": dict_of(hexadecimal(64)),
    "engine": dict_of(TEXT),
    "batch_sizes": list_of(whole(1, 2**63), 0, MOST_TRIALS),
    "own_randomness": TRUTH,
    "windows": optional(list_of(whole(0, 2**63), 2, 16)),
}
_EXTRA: Fields = {"binary": RECORD, "left_out": TRUTH}
"""Schema of a stored source, and of its fields that are stored only if they differ from the
default; each field of ``Source`` needs an entry."""


@dataclass(frozen=True, eq=False)
class VoteCounts:
    """Vote counts of ``trials`` independent draws. Parts of one experiment are summed: ``a + b``.

    Args:
        counts: ints (*components, C); counts[i, c] = draws in which component i got label c.
        trials: number of draws, at least 1.
        source: provenance, or None for counts from elsewhere. With sources, a sum that would count
            a draw twice or mix experiments raises InputError.

    Raises:
        InputError: unless the counts of each component sum to trials, or to less where the source
            says that windows were left out (``drawn``).

    Example:
        >>> votes = VoteCounts([[7, 3], [2, 8]], 10) + VoteCounts([[5, 5], [1, 9]], 10)
        >>> votes.trials, votes.mode().tolist()
        (20, [0, 1])
    """

    counts: NDArray[np.integer]
    trials: int
    source: Source | None = None

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.dtype.kind not in "iu":
            raise InputError(f"expected integer counts, got {counts.dtype}; pass votes, not shares")
        if counts.ndim < 1 or counts.size == 0:
            raise InputError(
                f"expected counts of shape (*components, C), got {counts.shape}; "
                "the last axis holds the classes"
            )
        trials = _checked_trials(self.trials)
        left_out = self.source is not None and self.source.left_out
        if not _add_up(counts.reshape(-1, counts.shape[-1]), trials, left_out):
            raise InputError(
                f"expected every component's counts to add up to {trials} trials, got others; "
                "each draw gives each component exactly one label"
            )
        if self.source is not None:
            drawn = sum(stop - start for start, stop in self.source.draws)
            if drawn != trials:
                raise InputError(
                    f"expected {trials} draws in the source, got {drawn}; the record is damaged"
                )
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "trials", trials)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the components, without the class axis."""
        return self.counts.shape[:-1]

    @property
    def num_classes(self) -> int:
        return int(self.counts.shape[-1])

    @property
    def num_components(self) -> int:
        """N, the number of hypotheses."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def drawn(self) -> NDArray[np.int64]:
        """Number of draws of each component; an array without axes if it is the same for all."""
        if self.source is None or not self.source.left_out:
            return np.array(self.trials)
        return np.asarray(self.counts.sum(axis=-1, dtype=np.int64))

    @property
    def eta(self) -> float:
        """Total variation distance of the draws from the noise distribution (theory T12).

        0.0 without a source: the caller answers for the draws.
        """
        return 0.0 if self.source is None else self.source.noise.eta(self.source.input_shape)

    def mode(self) -> NDArray[np.intp]:
        """Most frequent label per component (the smallest label on a tie)."""
        return self.top()[0].astype(np.intp)

    def top(self) -> tuple[NDArray[np.signedinteger], NDArray[np.integer]]:
        """Most frequent label of each component (the smallest label on a tie), and its vote count.

        Labels are int16 or wider, vote counts have the dtype of ``counts``. Works class by class on
        blocks that fit the cache, several times faster than argmax over a short last axis.
        """
        counts = self.counts.reshape(-1, self.num_classes)
        narrow = np.dtype(labels_dtype(self.num_classes))
        labels: NDArray[np.signedinteger] = np.empty(len(counts), narrow)
        hits = np.empty(len(counts), counts.dtype)
        small = np.dtype(np.uint8 if self.num_classes <= 2**8 else narrow)
        for start, rows in _blocks(counts, _BLOCK_OF_TOP):
            size = rows.shape[1]
            best, chosen = hits[start : start + size], np.zeros(size, small)
            better, changed = np.empty(size, np.bool_), np.empty(size, small)
            best[:] = rows[0]
            for label in range(1, self.num_classes):
                # Labels ascend, so the maximum is the last one that beat all before it.
                np.greater(rows[label], best, out=better)
                np.maximum(best, rows[label], out=best)
                np.multiply(better.view(np.uint8), small.type(label), out=changed)
                np.maximum(chosen, changed, out=chosen)
            labels[start : start + size] = chosen
        return labels.reshape(self.shape), hits.reshape(self.shape)

    def hits(self, labels: ArrayLike) -> NDArray[np.int64]:
        """Vote count of the given label of each component."""
        chosen = np.asarray(labels)
        if chosen.shape != self.shape:
            raise InputError(
                f"expected labels of shape {self.shape}, got {chosen.shape}; "
                "both sets of votes must be of the same components"
            )
        picked = np.take_along_axis(self.counts, chosen[..., None].astype(np.intp), axis=-1)
        return picked[..., 0].astype(np.int64)

    def __add__(self, other: VoteCounts) -> VoteCounts:
        if not isinstance(other, VoteCounts):
            return NotImplemented
        if self.counts.shape != other.counts.shape:
            raise InputError(
                f"expected votes of shape {self.counts.shape}, got {other.counts.shape}; "
                "add only votes of the same components and classes"
            )
        source = None
        if self.source is not None and other.source is not None:
            source = self.source.joined(other.source)
        trials = _checked_trials(self.trials + other.trials)
        # "unsafe" concerns the operands' dtypes alone: the sums fit the result's.
        dtype = counts_dtype(trials)
        counts = np.add(self.counts, other.counts, dtype=dtype, casting="unsafe")
        return _valid(counts, trials, source)

    def copy(self) -> VoteCounts:
        """A copy that shares no memory."""
        return _valid(self.counts.copy(), self.trials, self.source)


class VoteSource(Protocol):
    """Supplies draws of one model, input and noise to sequential methods."""

    def sizes(self) -> tuple[int, int]:
        """Numbers of components and of classes, without a draw. Called once, before ``more``."""

    def more(self, draws: int) -> VoteCounts:
        """Votes of ``draws`` new draws only, independent of all earlier ones."""


@runtime_checkable
class WindowSource(Protocol):
    """A ``VoteSource`` of which windows can be left out (theory T7)."""

    def sizes(self) -> tuple[int, int]:
        """See ``VoteSource.sizes``."""

    def windows(self) -> NDArray[np.integer] | None:
        """Number of the window that alone labels each component, 0, 1, ...; its shape ends the
        shape of the components. None if no window can be left out."""

    def more(self, draws: int, left_out: Collection[int] = ()) -> VoteCounts:
        """See ``VoteSource.more``. Components of the windows left out have no votes."""


def _blocks(
    counts: NDArray[np.integer], most: int = _BLOCK
) -> Iterator[tuple[int, NDArray[np.integer]]]:
    """Yield index of the first component and counts (C, block), contiguous in each class.

    counts: (N, C). most: components at a time. Yields views if classes come first in memory, as in
    ``Smoothed.vote``, otherwise copies of small blocks.
    """
    are_first = counts.strides[0] == counts.itemsize
    block = most if are_first else _BLOCK
    for start in range(0, len(counts), block):
        rows = counts[start : start + block].T
        yield start, rows if are_first else np.ascontiguousarray(rows)


def _add_up(counts: NDArray[np.integer], trials: int, left_out: bool) -> bool:
    """Return True if all counts (N, C) lie in [0, trials] and each component's sum to trials, or
    with left_out to at most trials."""
    agree = np.less_equal if left_out else np.equal
    # The range is checked first, so that the sum cannot overflow.
    wide = np.uint16 if trials * counts.shape[1] < 2**16 else np.int64
    return all(
        int(rows.min()) >= 0
        and int(rows.max()) <= trials
        and bool(np.all(agree(rows.sum(axis=0, dtype=wide), trials)))
        for _, rows in _blocks(counts)
    )


def _valid(counts: NDArray[np.integer], trials: int, source: Source | None) -> VoteCounts:
    """VoteCounts without validation, for counts derived from valid ones."""
    votes = object.__new__(VoteCounts)
    for name, value in (("counts", counts), ("trials", trials), ("source", source)):
        object.__setattr__(votes, name, value)
    return votes


def _checked_trials(trials: object) -> int:
    whole = isinstance(trials, (int, np.integer)) and not isinstance(trials, bool)
    number: int = int(trials) if whole else 0  # type: ignore[call-overload]
    if not 1 <= number <= MOST_TRIALS:
        raise InputError(
            f"expected trials >= 1 and at most {MOST_TRIALS}, got {trials!r}; "
            "pass the number of draws"
        )
    return number


def counts_dtype(trials: int) -> np.dtype[Any]:
    """Narrowest integer dtype shared with PyTorch that holds ``trials``."""
    for dtype in (np.uint8, np.int16, np.int32):
        if trials <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int64)


def labels_dtype(num_classes: int) -> type[np.int16] | type[np.int32]:
    """Narrowest signed dtype for labels and ABSTAIN."""
    return np.int16 if num_classes <= np.iinfo(np.int16).max else np.int32
