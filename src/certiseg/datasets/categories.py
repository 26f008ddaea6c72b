"""An even sample over the categories of a set of clouds."""

from __future__ import annotations

from typing import Protocol

from certiseg.datasets.card import Samples
from certiseg.datasets.folder import Thinned, check_limit, even_stride


class Clouds(Samples, Protocol):
    """Samples that tell the category of each without reading it."""

    def category(self, index: int) -> str: ...


def even_categories(samples: Clouds, limit: int | None) -> Clouds | Thinned:
    """At most `limit` clouds, of each category as many as of any other, as far as it has them.

    Seats go round the categories one by one, in the card's order; within a category they lie at an
    even stride. The order of the set stays. The set itself where that is no fewer.
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
    return Thinned(samples, chosen, note)
