"""Evenly spread subsets of a data set, with no bias to its ends or categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from certiseg.datasets.card import Sample, Samples, note_of, reading_of, skipped_of
from certiseg.errors import InputError


class Subset:
    """Some samples of a data set. note: which ones, after the note of the whole data set."""

    def __init__(self, samples: Samples, indices: Sequence[int], note: str) -> None:
        self.indices = list(indices)
        self.note = "; ".join(filter(None, (note_of(samples), note)))
        self.skipped = skipped_of(samples)
        self.card, self.chosen = samples.card, reading_of(samples)
        self._samples = samples

    @property
    def remarks(self) -> Mapping[str, Mapping[str, str]]:
        """Remarks of the whole data set on the files read so far."""
        found: Mapping[str, Mapping[str, str]] = getattr(self._samples, "remarks", {})
        return found

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self.indices[index]]


def subsample(samples: Samples, limit: int | None) -> Samples:
    """At most `limit` samples at an even stride; the data set itself if it is not larger."""
    check_limit(limit)
    total = len(samples)
    if limit is None or limit >= total:
        return samples
    note = f"{limit} of {total} samples, at an even stride"
    return Subset(samples, even_stride(total, limit), note)


def even_stride(total: int, limit: int) -> list[int]:
    """The middle index of each of `limit` equal intervals."""
    return [(2 * i + 1) * total // (2 * limit) for i in range(limit)]


def check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise InputError(
            f"expected a limit of at least 1 sample, got {limit}; leave it out for all"
        )


class Clouds(Samples, Protocol):
    """Samples that tell the category of each without reading it."""

    def category(self, index: int) -> str: ...


def even_categories(samples: Clouds, limit: int | None) -> Clouds | Subset:
    """At most `limit` clouds, equally many of each category as far as possible.

    Places are given to the categories in turn, in the card's order; within a category clouds are
    taken at an even stride. The order of the data set is kept. The data set itself if it is not
    larger.
    Lists of published data are often in the order of their categories: of such a list the first
    hundred clouds are of one category.
    """
    check_limit(limit)
    if limit is None or limit >= len(samples):
        return samples
    members: dict[str, list[int]] = {name: [] for name in samples.card.parts or ()}
    for index in range(len(samples)):
        members.setdefault(samples.category(index), []).append(index)
    seats = dict.fromkeys(members, 0)
    left = limit
    while left:
        for name in [name for name in members if seats[name] < len(members[name])][:left]:
            seats[name] += 1
            left -= 1
    chosen = sorted(
        indices[i]
        for name, indices in members.items()
        for i in even_stride(len(indices), seats[name])
    )
    met, there = sum(map(bool, seats.values())), sum(map(bool, members.values()))
    over = f"{there}" if met == there else f"{met} of {there}"
    note = f"{limit} of {len(samples)} clouds, spread evenly over {over} categories"
    return Subset(samples, chosen, note)
