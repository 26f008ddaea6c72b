"""Tables of pictures and clouds: figures follow from the votes, an interrupted run goes on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.certifiers.sequential import sequential
from certiseg.certifiers.verify import verify
from certiseg.datasets.card import Card, Sample
from certiseg.errors import InputError
from certiseg.metrics.confusion import Confusion
from certiseg.models.loaded import LoadedModel
from certiseg.noise import Gaussian
from certiseg.runfolder.cells import CellStore, table_manifest
from certiseg.runs.executors.executor import Job, Progress, Results, Task
from certiseg.runs.reproduction.cell import Extras, at_scales
from certiseg.runs.reproduction.grid import GRIDS, METHODS, CloudGrid, Grid, Point, scales_of, words
from certiseg.runs.reproduction.lines import Replay, SharedDraws
from certiseg.runs.reproduction.tables import reproduce
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import Source, VoteCounts
from same_runs import content

CARD = Card(
    "made-up", ("dark", "middle", "bright"), ((0, 0, 0), (9, 9, 9), (99, 99, 99)), 3, "", ""
)
GRID = Grid(
    scales=((1.0,), (0.5,)),
    sigmas=(0.1, 0.2),
    points=(Point(0.75, 60), Point(0.9, 130)),
    alphas=(0.01, 0.001),
)


class ByBrightness(nn.Module):
    """Three classes, smoothed over 3 x 3 pixels."""

    num_classes = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.avg_pool2d(x.mean(1, keepdim=True), 3, 1, 1, count_include_pad=False)
        return torch.cat([0.35 - y, 0 * y, y - 0.65], 1)


class Pictures:
    """Bands of noise; broken: the picture that cannot be read the second time."""

    card = CARD

    def __init__(self, count: int = 3, broken: int | None = None) -> None:
        self.count, self.broken, self.read = count, broken, set[int]()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken and index in self.read:
            raise KeyboardInterrupt
        self.read.add(index)
        rng = np.random.default_rng(index)
        truth = (np.arange(24) * 3 // 24)[None].repeat(16, axis=0).astype(np.uint8)
        x = np.clip(truth / 2 + rng.normal(0, 0.1, (3, 16, 24)), 0, 1).astype(np.float32)
        truth[:2, :2] = 255
        return Sample(f"picture {index}", x, truth)


class Clouds(Pictures):
    """Clouds of three parts, in two categories."""

    card = replace(CARD, parts={"chair": (0, 1), "lamp": (1, 2)})

    def __getitem__(self, index: int) -> Sample:
        super().__getitem__(index)
        rng = np.random.default_rng(index)
        x = rng.normal(size=(3, 90)).astype(np.float32)
        truth = (x[0] > 0).astype(np.uint8) + index % 2
        return Sample(f"cloud {index}", x, truth, ("chair", "lamp")[index % 2])


class ByHeight(nn.Module):
    """Three classes of points."""

    num_classes = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x[:, :1]
        return torch.cat([-y, 0 * y, y], 1)


class Brighter(Pictures):
    """Other pictures under the same names."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return replace(sample, x=(sample.x / 2).astype(np.float32))


def loaded(model: Any = None, num_classes: int = 3) -> LoadedModel:
    return LoadedModel("brightness", model or ByBrightness().eval(), num_classes, channels=3)


def table(out: Path, samples: Pictures | None = None, **options: Any) -> list[dict[str, Any]]:
    options = {"grid": GRID, "seed": 5, **options}
    grid = options.pop("grid")
    models = dict.fromkeys(grid.sigmas, options.pop("model", None) or loaded())
    reproduce(grid, Pictures() if samples is None else samples, models, out, **options)
    return list(csv.DictReader((out / "table.csv").open()))


def stored(file: Path) -> list[VoteCounts]:
    with np.load(file, allow_pickle=False) as arrays:
        meta = json.loads(arrays["meta"].tobytes())
        return [
            VoteCounts(
                arrays[f"counts{number}"], part["trials"], Source.from_record(part["source"])
            )
            for number, part in enumerate(meta)
        ]


@pytest.mark.slow
def test_figures_follow_from_the_stored_votes(tmp_path: Path) -> None:
    rows = table(tmp_path / "out", extras=Extras(keep_votes=True))
    noise, samples = Gaussian(0.1), Pictures()
    total: dict[str, Confusion] = {}
    for number in range(3):
        (file,) = (tmp_path / "out" / "votes").glob(f"{number:04d}-*-scale1-sigma0.1.npz")
        first, short, rest = stored(file)
        assert (first.trials, short.trials, rest.trials) == (10, 60, 70)
        level: dict[str, Any] = {"noise": noise, "tau": 0.9, "alpha": 0.01}
        long = short + rest
        made = {
            "SegCertify, holm": certify(long, selection_votes=first, **level),
            "SegCertify, bonferroni": certify(
                long, selection_votes=first, correction="bonferroni", **level
            ),
            "pooled, holm": certify(first + long, **level),
            "pooled, budget 0.1%": certify(
                first + long, correction="k-fwer", budget=0.001, **level
            ),
        }
        for certificate in made.values():
            verify(certificate)
        labels = {name: certificate.labels for name, certificate in made.items()}
        mapped = radius_map(first + long, noise=noise, alpha=0.01)
        labels["pooled, radius map"] = mapped.at(noise.radius(0.9))
        for name, own in labels.items():
            part = Confusion.count(samples[number].labels, own, 3)
            total[name] = total[name] + part if name in total else part
    found = {
        row["model"]: row
        for row in rows
        if (row["scale"], row["sigma"], row["tau"], row["alpha"]) == ("1", "0.1", "0.9", "0.01")
    }
    assert set(found) == {*total, "pooled, early stopping"}
    for name, confusion in total.items():
        for figure in ("accuracy", "miou", "abstention", "abstention_all", "certified_accuracy"):
            assert float(found[name][figure]) == pytest.approx(getattr(confusion, figure))
        assert float(found[name]["radius"]) == noise.radius(0.9)
        assert (found[name]["n"], found[name]["n0"]) == (
            ("130", "10") if name.startswith("SegCertify") else ("140", "0")
        )
    assert 0 < float(found["pooled, holm"]["abstention"]) < 1


def test_fewer_draws_are_the_first_of_more(tmp_path: Path) -> None:
    grid = replace(GRID, scales=((1.0,),), sigmas=(0.1,))
    table(tmp_path / "out", grid=grid, extras=Extras(keep_votes=True))
    (file,) = (tmp_path / "out" / "votes").glob("0001-*.npz")
    first, short, rest = stored(file)
    draws = [part.source.draws for part in (first, short, rest) if part.source is not None]
    assert draws == [((0, 10),), ((10, 70),), ((70, 140),)]
    smoothed = Smoothed(ByBrightness().eval(), Gaussian(0.1))
    x = Pictures()[1].x
    alone = smoothed.vote(x, 60, first_draw=10, seed=5, batch_size=7)
    assert np.array_equal(short.counts, alone.counts)
    assert not np.array_equal(
        short.counts, smoothed.vote(x, 60, first_draw=11, seed=5, batch_size=7).counts
    )


def test_early_stopping_on_made_draws_is_that_on_live_ones() -> None:
    smoothed = Smoothed(ByBrightness().eval(), Gaussian(0.1))
    x = Pictures()[0].x
    parts, drawn = [], 0
    for stop in GRID.ends(16 * 24):
        parts.append(smoothed.vote(x, stop - drawn, first_draw=drawn, seed=5))
        drawn = stop
    made = SharedDraws(parts, [1.0] * len(parts))
    options: dict[str, Any] = {
        "noise": Gaussian(0.1), "num_samples": 140, "tau": 0.9, "alpha": 0.01, "min_gain": 0.001,
    }  # fmt: skip
    replayed = sequential(Replay(made), **options)
    live = sequential(smoothed.source(x, seed=5), **options)
    assert np.array_equal(replayed.labels, live.labels)
    assert np.array_equal(replayed.votes.counts, live.votes.counts)
    assert replayed.looks is not None
    verify(replayed)
    assert made.seconds(10) == 1.0
    assert made.seconds(140) == len(parts)


def without_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    whole = table(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        table(tmp_path / "out", Pictures(broken=1))
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 4
    assert "the first 1 so far" in (tmp_path / "out" / "table.md").read_text()
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "cells").iterdir()}
    rows = table(tmp_path / "out")
    assert without_time(rows) == without_time(whole)
    assert all(file.stat().st_mtime_ns == moment for file, moment in before.items())
    assert json.loads((tmp_path / "out" / "results.json").read_text())["done"] == 3


CLOUD_GRID = CloudGrid(
    scales=((1.0,),),
    sigmas=(0.1, 0.2),
    points=(Point(0.75, 60), Point(0.9, 130)),
    alphas=(0.01,),
    selection=20,
    methods=("paper", "pooled"),
)


def test_an_interrupted_table_of_clouds_goes_on(tmp_path: Path) -> None:
    """The files are those of one that was never interrupted; another run's are left alone."""
    options: dict[str, Any] = {"grid": CLOUD_GRID, "model": loaded(ByHeight().eval())}
    table(tmp_path / "whole", Clouds(), **options)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        table(out, Clouds(broken=1), **options)
    assert "the first 1 so far" in (out / "table.md").read_text()
    done = {file: file.stat().st_mtime_ns for file in (out / "cells").iterdir()}
    assert len(done) == 2
    for change in ({"seed": 6}, {"grid": replace(CLOUD_GRID, compared=("holm",))}):
        with pytest.raises(InputError, match="of another"):
            table(out, Clouds(), **{**options, **change})
    table(out, Clouds(), **options)
    assert all(file.stat().st_mtime_ns == moment for file, moment in done.items())
    found, whole = content(out), content(tmp_path / "whole")
    assert set(found) == set(whole)
    for name in found:
        if name.endswith(".json"):
            assert undigested(found[name]) == undigested(whole[name]), name
    assert found["table.csv"] == whole["table.csv"]
    results = json.loads((out / "results.json").read_text())
    assert results["done"] == results["clouds"] == 3
    assert results["seeds"]["cloud 0"] == {"0.1": 5, "0.2": 5}


def undigested(record: dict[str, Any]) -> dict[str, Any]:
    """Without the digest, which is over the times too."""
    return {name: value for name, value in record.items() if name != "digest"}


def test_a_table_of_pictures_takes_no_clouds(tmp_path: Path) -> None:
    for samples, grid, message in (
        (Clouds(), GRID, "expected images, got clouds"),
        (Pictures(), CLOUD_GRID, "expected clouds, got images"),
    ):
        with pytest.raises(InputError, match=message):
            table(tmp_path / "out", samples, grid=grid)


class Threads:
    """A toy executor: two threads, each with a worker."""

    size = 2

    def work(self, job: Job, tasks: Iterable[Task], advance: Progress) -> Results:
        with ThreadPoolExecutor(self.size) as threads:
            given = [(t, threads.submit(job.worker().do, t, advance)) for t in tasks]
            # The last first: tables do not depend on the order in which cells are done.
            for task, future in reversed(given):
                yield task, future.result()


@pytest.mark.slow
def test_another_executor_makes_the_same_table(tmp_path: Path) -> None:
    rows = table(tmp_path / "out", executor=Threads())
    assert without_time(rows) == without_time(table(tmp_path / "serial"))


@pytest.mark.slow
def test_another_run_is_not_mixed_in(tmp_path: Path) -> None:
    out = tmp_path / "out"
    grid = replace(GRID, scales=((1.0,),), sigmas=(0.1,))
    table(out, Pictures(1), grid=grid)
    other = ByBrightness().eval()
    other.register_buffer("more", torch.ones(1))
    for change, word in (
        ({"seed": 6}, "seed"),
        ({"grid": replace(grid, alphas=(0.01,))}, "grid"),
        ({"model": loaded(other)}, "models"),
        ({"samples": Pictures(2)}, "images"),
        ({"samples": Brighter(1)}, "contents"),
    ):
        options: dict[str, Any] = {"samples": Pictures(1), "grid": grid, **change}
        with pytest.raises(InputError, match=f"of another {word}"):
            table(out, **options)
    rows = table(out, Pictures(1), grid=grid, seed=6, overwrite=True)
    assert rows != []
    (record,) = (out / "cells").iterdir()
    record.write_text("{")
    with pytest.raises(InputError, match="remove the file"):
        table(out, Pictures(1), grid=grid, seed=6)
    record.unlink()
    table(out, Pictures(1), grid=grid, seed=6)
    identity = json.loads((out / "run.json").read_text())["run"]
    assert json.loads(record.read_text())["run"] == identity
    assert json.loads((out / "results.json").read_text())["run"] == identity
    assert f"Run {identity}." in (out / "table.md").read_text()
    record.write_text(record.read_text().replace(identity, "0" * 32))
    with pytest.raises(InputError, match="expected this run's record"):
        table(out, Pictures(1), grid=grid, seed=6)
    # Without a seed two runs draw each their own.
    names = [tmp_path / name for name in ("one", "two")]
    for name in names:
        table(name, Pictures(1), grid=grid, seed=None)
    assert len({json.loads((name / "run.json").read_text())["run"] for name in names}) == 2


@pytest.mark.slow
def test_emulation_is_marked_everywhere_and_changes_no_sound_line(tmp_path: Path) -> None:
    grid = replace(GRID, scales=((1.0,),), sigmas=(0.2,))
    extras = Extras(shared_batches=(4, 24), reference_draws=200, keep_votes=True)
    plain = table(tmp_path / "plain", grid=grid, extras=Extras(keep_votes=True))
    rows = table(tmp_path / "out", grid=grid, extras=extras)
    out = tmp_path / "out"
    marked = [row for row in rows if row["unsound"] == "True"]
    assert len(marked) == 2 * 2 * 2 * 2
    for row in marked:
        assert row["model"].startswith("UNSOUND")
        assert row["shared_batch"] in ("4", "24")
        assert row["certified_accuracy"] == row["certified_miou"] == ""
    sound = [row for row in rows if row["unsound"] == "False"]
    assert without_time(sound) == without_time(plain)
    assert "UNSOUND: lines so marked" in (out / "table.md").read_text()
    captions = [x for x in (out / "table.tex").read_text().splitlines() if r"\caption" in x]
    assert captions
    assert all("UNSOUND" in caption for caption in captions)
    results = json.loads((out / "results.json").read_text())
    assert results["unsound"] is True
    assert json.loads((tmp_path / "plain" / "results.json").read_text())["unsound"] is False
    # The only arrays are the sound votes; nothing of the emulation can be loaded as evidence.
    arrays = sorted(path.relative_to(out) for path in out.rglob("*.npz"))
    assert arrays == sorted(
        path.relative_to(tmp_path / "plain") for path in (tmp_path / "plain").rglob("*.npz")
    )
    for path in arrays:
        for own, same in zip(stored(out / path), stored(tmp_path / "plain" / path), strict=True):
            assert np.array_equal(own.counts, same.counts)
    assert not [path for path in out.rglob("[!.]*") if ".cert" in path.name]
    false = list(csv.DictReader((out / "false.csv").open()))
    assert {row["unsound"] for row in false} == {"True", "False"}
    assert {row["images"] for row in false} == {"3"}


class Seen(nn.Module):
    """Remembers the sizes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(x.shape[-2:]))
        return x


def test_a_model_sees_pictures_at_its_scales() -> None:
    for scales, base_size, sizes in (
        ((1.0,), None, [(12, 20)]),
        ((0.25,), None, [(3, 5)]),
        ((0.5, 1.0), None, [(6, 10), (12, 20)]),
        ((1.0,), 40, [(24, 40)]),
        ((0.25,), 40, [(6, 10)]),
    ):
        seen = Seen().eval()
        there = at_scales(loaded(seen), scales, base_size)
        assert there.of(None)(torch.rand(2, 3, 12, 20)).shape == (2, 3, 12, 20)
        assert seen.sizes == sizes
    assert there.name == "brightness at scale 0.25 of 40 pixels"
    assert at_scales(loaded(), (1.0,)).model.__class__ is ByBrightness


def test_grids_name_what_they_go_through() -> None:
    assert scales_of("0.25,0.5+1") == ((0.25,), (0.5, 1.0))
    assert [words(scales) for scales in scales_of("0.25,0.5+1")] == ["0.25", "0.5+1"]
    for grid in GRIDS.values():
        assert grid.draws == 510
        assert grid.methods == METHODS
        # The largest picture of the paper, at the smaller level.
        grid.check(2048 * 1024)
        assert set(grid.ends(2048 * 1024)) >= {10, 110, 510}
    assert GRIDS["camvid"].within(100).draws == 110


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": ()}, "scales above 0"),
        ({"scales": ((0.0,),)}, "scales above 0"),
        ({"scales": ((1.0,), (1.0,))}, "once"),
        ({"sigmas": ()}, "at least one sigma"),
        ({"sigmas": (-1.0,)}, "sigma"),
        ({"methods": ("papre",)}, "--methods"),
    ],
)
def test_bad_grids(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(GRID, **change)


def test_too_few_draws_are_refused_before_the_first(tmp_path: Path) -> None:
    for methods in METHODS:
        grid = replace(GRID, points=(Point(0.9, 3),), methods=(methods,))
        with pytest.raises(InputError, match="384 components"):
            table(tmp_path / "out", grid=grid)
    with pytest.raises(InputError, match="3 classes of made-up"):
        table(tmp_path / "out", model=loaded(nn.Conv2d(3, 4, 1).eval(), 4))
    with pytest.raises(InputError, match="at least one sample"):
        table(tmp_path / "out", Pictures(0))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    asked = table_manifest({"seed": 1}, [])
    with pytest.raises(InputError, match="of another format"):
        CellStore(tmp_path).resume(asked)
    (tmp_path / "run.json").rename(tmp_path / "table.csv")
    with pytest.raises(InputError, match="no other file in the way"):
        CellStore(tmp_path).begin(asked)
