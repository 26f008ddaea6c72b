"""Data on their way: the same whether in memory or read again, and made ahead in their order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import certiseg.training.loading as loading
from certiseg.datasets.card import Sample
from certiseg.datasets.folder import folder_card
from certiseg.errors import InputError
from certiseg.training.loading import GIB, CachedImages, CachedSamples, prefetch
from certiseg.training.settings import check_memory

SIZE = 8 * 10


class Counted:
    """Six pictures of 80 pixels; counts how often each is read."""

    card = folder_card("toy", "3", channels=1)

    def __init__(self) -> None:
        self.read = [0] * 6

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Sample:
        self.read[index] += 1
        labels = np.full((8, 10), index % 3, dtype=np.uint8)
        return Sample(str(index), np.full((1, 8, 10), index / 255, dtype=np.float32), labels)


@pytest.mark.parametrize("kept", [0, 1, 3, 6])
def test_the_first_are_kept_and_the_others_read_again(kept: int) -> None:
    samples = Counted()
    held = CachedSamples(samples, 2 * SIZE * kept / GIB)
    assert held.all_kept == (kept == 6)
    before = list(samples.read)
    for _ in range(2):
        for index, (image, labels) in enumerate(held.many([5, 0, 3, 1, 2, 4])):
            expected = [5, 0, 3, 1, 2, 4][index]
            assert image.dtype == labels.dtype == torch.uint8
            assert (image == expected).all()
            assert (labels == expected % 3).all()
    again = [now - then for now, then in zip(samples.read, before, strict=True)]
    assert again == [0] * kept + [2] * (6 - kept)


def test_figures_are_those_of_data_in_memory() -> None:
    whole, streamed = CachedSamples(Counted(), 1), CachedSamples(Counted(), 0)
    assert streamed.statistics() == whole.statistics()
    counted = [held.label_counts().of_classes.tolist() for held in (streamed, whole)]
    assert counted == [[160, 160, 160]] * 2


def test_statistics_of_many_are_of_an_even_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_COUNTED", 3)
    assert list(CachedSamples(Counted(), 0).counted()) == [1, 3, 5]
    assert list(CachedSamples(Counted(), 1).counted()) == [0, 1, 2, 3, 4, 5]


def test_pictures_alone() -> None:
    for gib in (0, 1):
        pictures = CachedImages(Counted(), gib)
        assert [int(pictures[i][0, 0, 0]) for i in range(6)] == list(range(6))


def test_no_amount_of_memory() -> None:
    for gib in (-1.0, float("nan")):
        with pytest.raises(InputError, match="--memory 0 or more"):
            check_memory(gib)


def test_items_in_order() -> None:
    assert list(prefetch(range(20))) == list(range(20))
    assert list(prefetch([])) == []


def test_some_are_made_before_they_are_asked_for() -> None:
    made: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    stream = prefetch(items())
    assert next(stream) == 0
    assert third.wait(10)
    # One is with the caller, two are ready or in the making.
    assert len(made) <= 3
    stream.close()


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken picture")

    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken picture"):
        next(stream)


def test_a_caller_that_leaves_stops_the_thread() -> None:
    before = threading.active_count()
    for item in prefetch(iter(range(1000))):
        if item == 3:
            break
    del item
    assert threading.active_count() <= before
