"""Items made ahead: all, in order, errors where they belong, no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from certiseg.training.loading import prefetch


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
