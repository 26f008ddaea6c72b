"""An even sample over categories, where a list in the order of its categories would give one."""

from __future__ import annotations

import numpy as np
import pytest

from certiseg.datasets.solids import solids
from certiseg.datasets.subset import Subset, even_categories, subsample
from certiseg.errors import InputError

CARD = solids("val").card
NAMES = tuple(CARD.parts)


class Named:
    """Clouds that have a category and nothing else."""

    card = CARD

    def __init__(self, categories: list[str]) -> None:
        self.categories = categories

    def __len__(self) -> int:
        return len(self.categories)

    def category(self, index: int) -> str:
        return self.categories[index]

    def __getitem__(self, index: int) -> str:
        return f"{self.categories[index]} {index}"


def ordered(*sizes: int) -> Named:
    return Named([name for name, size in zip(NAMES, sizes, strict=True) for _ in range(size)])


def counts(clouds: Named, chosen: Subset) -> dict[str, int]:
    met = [clouds.category(i) for i in chosen.indices]
    return {name: met.count(name) for name in NAMES}


def test_a_list_in_the_order_of_its_categories_is_sampled_evenly():
    """Negative control in the same test: its first hundred are of one category, and an even stride
    favours the large ones."""
    clouds = ordered(300, 150, 250, 20, 400)
    chosen = even_categories(clouds, 100)
    assert isinstance(chosen, Subset)
    assert set(counts(clouds, chosen).values()) == {20}
    assert chosen.note == "100 of 1120 clouds, spread evenly over 5 categories"
    assert set(clouds.categories[:100]) == {NAMES[0]}
    strided = counts(clouds, subsample(clouds, 100))
    assert max(strided.values()) > 10 * min(strided.values())


def test_small_categories_give_what_they_have():
    clouds = ordered(3, 50, 1, 50, 50)
    assert list(counts(clouds, even_categories(clouds, 31)).values()) == [3, 9, 1, 9, 9]
    # The remainder goes round in the card's order.
    assert list(counts(clouds, even_categories(clouds, 32)).values()) == [3, 10, 1, 9, 9]


@pytest.mark.parametrize("limit", range(1, 60, 7))
def test_any_order_any_limit(limit):
    rng = np.random.default_rng(limit)
    clouds = Named([NAMES[i] for i in rng.integers(0, 5, 60)])
    chosen = even_categories(clouds, limit)
    assert len(chosen) == limit
    assert chosen.indices == sorted(set(chosen.indices))
    assert chosen[0] == clouds[chosen.indices[0]]
    of = counts(clouds, chosen)
    sizes = {name: clouds.categories.count(name) for name in NAMES}
    short = max(of.values())
    assert all(of[name] >= min(short - 1, sizes[name]) for name in NAMES)


def test_within_a_category_at_an_even_stride():
    clouds = Named([NAMES[0]] * 100)
    assert even_categories(clouds, 4).indices == [12, 37, 62, 87]


def test_what_is_said():
    clouds = Named(list(NAMES) * 2)
    assert even_categories(clouds, 3).note == "3 of 10 clouds, spread evenly over 3 of 5 categories"
    assert even_categories(clouds, None) is clouds
    assert even_categories(clouds, 10) is clouds
    with pytest.raises(InputError, match="at least 1"):
        even_categories(clouds, 0)


def test_generated_clouds_know_their_category():
    chosen = even_categories(solids("test"), 10)
    assert [chosen[i].category for i in range(10)] == [
        solids("test").category(i) for i in chosen.indices
    ]
