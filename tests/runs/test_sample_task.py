"""Samples divided into tasks: every draw once, and whoever makes them the same certificate."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.runs.attacked import Attacks
from certiseg.runs.experiment import Finished
from certiseg.runs.sample_task import (
    Merger,
    PartialVotes,
    SampleJob,
    SampleTask,
    SampleWorker,
    divided,
    shared,
)
from certiseg.runs.settings import Settings, Stopping
from certiseg.sampling.keys import FreshSeed
from same_runs import timeless
from tiny_runs import Bands, opened, write_models

TREE = Hierarchy("two of three", ("a", "b", "c"), ("b or c",), (-1, 3, 3, -1))

BANDS = Bands(7)
PLAIN = Settings(num_samples=60, seed=FreshSeed(3), batch_size=4)


@pytest.fixture
def job(tmp_path, monkeypatch) -> SampleJob:
    write_models(tmp_path, monkeypatch)
    return SampleJob({"base": opened(), "non-robust": opened()}, None, PLAIN, BANDS.card)


def whole(number: int) -> SampleTask:
    return SampleTask(number, BANDS[number], view=True, certificate=True)


def ignore(draws: int) -> None:
    pass


def alike(one: Finished, other: Finished) -> bool:
    return (timeless(one.record), one.files) == (timeless(other.record), other.files)


@pytest.mark.parametrize(("draws", "parts"), [(60, 4), (61, 4), (100, 3), (9, 4), (25, 4)])
def test_ranges_hold_every_draw_once(draws, parts):
    ranges = [task.draws for task in shared(whole(0), draws, parts)]
    covered = [draw for start, stop in ranges for draw in range(start, stop)]
    assert covered == list(range(draws))
    assert len(ranges) == max(1, min(parts, draws // 10))


@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        replace(PLAIN, seed=5),
        replace(PLAIN, selection="split", selection_samples=12),
        replace(PLAIN, correction="k-fwer", budget=3),
        replace(PLAIN, radius_map=True),
        replace(PLAIN, grid=2),
    ],
    ids=["pooled", "caller's seed", "split", "budget", "map", "grid"],
)
def test_parts_in_any_order_are_the_sample(job, settings):
    """Bit for bit: record, view and certificate file."""
    job = replace(job, settings=settings)
    worker, merger = SampleWorker(job), Merger(job)
    expected = worker.do(whole(2), ignore)
    parts = list(shared(whole(2), settings.num_samples, 4))
    random.Random(0).shuffle(parts)
    done = [merger.add(task, SampleWorker(job).do(task, ignore)) for task in parts]
    assert done[:-1] == [None] * 3
    assert alike(done[-1], expected)


def test_another_split_of_other_draws_is_noticed(job):
    """Negative control of the comparison, and of adding up."""
    worker, other = (
        SampleWorker(job),
        SampleWorker(replace(job, settings=replace(PLAIN, seed=FreshSeed(4)))),
    )
    assert not alike(worker.do(whole(2), ignore), other.do(whole(2), ignore))
    first, second = shared(whole(2), 60, 2)
    merger = Merger(job)
    merger.add(first, worker.do(first, ignore))
    with pytest.raises(InputError, match="different seed"):
        merger.add(second, other.do(second, ignore))
    with pytest.raises(InputError, match="draw 0 twice"):
        merger.add(first, worker.do(first, ignore))


def numbers(
    job: SampleJob, workers: int, large: int = 10**6, total: int = 7, small: int = 0
) -> list[int]:
    return [task.number for task in divided(range(total), whole, job, workers, large, small)]


def test_the_last_samples_are_shared_out_where_they_do_not_go_round(job):
    assert numbers(job, 1) == list(range(7))
    assert numbers(job, 2) == [0, 1, 2, 3, 4, 5, 6, 6]
    assert numbers(job, 3) == [0, 1, 2, 3, 4, 5, 6, 6, 6]
    assert numbers(job, 4, total=2) == [0] * 4 + [1] * 4
    # Batches of small samples depend on the number of draws.
    assert numbers(job, 2, small=10**6) == list(range(7))
    # 8 x 14 components and more are called large here.
    assert numbers(job, 2, large=8 * 17) == [0, 1, 2, 3, 4, 5, 5, 6, 6]


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": replace(PLAIN, stopping=Stopping(min_gain=0.01))},
        {"settings": replace(PLAIN, hierarchy=TREE, thresholds=(0.0,), selection="split")},
        {"percentile": True},
        {"attacks": Attacks((0.1,))},
    ],
    ids=["early stopping", "AdaptiveCertify", "percentile", "attacks"],
)
def test_what_needs_more_than_votes_is_never_shared(job, changes):
    assert numbers(replace(job, **changes), 4) == list(range(7))


def test_samples_are_read_as_their_tasks_are_asked_for(job):
    read = []

    def make(number: int) -> SampleTask:
        read.append(number)
        return whole(number)

    handed = divided(range(7), make, job, 2)
    next(handed)
    next(handed)
    assert read == [0, 1]


def test_a_part_tells_its_draws(job):
    made: list[int] = []
    first, _ = shared(whole(0), 60, 2)
    part = SampleWorker(job).do(first, made.append)
    assert isinstance(part, PartialVotes)
    assert sum(made) == 30
