"""The report trusts no number that it can recompute: attacks on the folder of a run.

Every change of one value, and forgeries that go together, are named, or change nothing shown.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.segcertify import certify
from certiseg.cli.main import run as command
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.models.loaded import LoadedModel
from certiseg.report.charts import chart_table, charts
from certiseg.report.page.claim import claim, plan
from certiseg.report.page.payload import run_payload, shared_payload
from certiseg.report.summary import SampleSummary, summarise
from certiseg.runfolder import difference
from certiseg.runfolder.comparison import comparison_table
from certiseg.runfolder.folder import Keep, RunFolder
from certiseg.runfolder.layout import Layout
from certiseg.runfolder.manifest import read_manifest
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.record import read_record
from certiseg.runfolder.results import curve_csv, results
from certiseg.runfolder.run import Run, read_run
from certiseg.runs.evaluate import evaluate
from certiseg.runs.settings import Settings, Stopping
from made_runs import made_run
from tiny_runs import Bands

TREE = Hierarchy("traffic", ("road", "car", "sky"), ("ground",), (3, 3, -1, -1))
KINDS: dict[str, dict[str, Any]] = {
    "flat": {"settings": Settings(num_samples=200)},
    "map": {"settings": Settings(num_samples=200, radius_map=True)},
    "early stopping": {"settings": Settings(num_samples=200, stopping=Stopping())},
    "budget": {"settings": Settings(num_samples=200, correction="k-fwer", budget=0.01)},
    "groups": {"settings": Settings(num_samples=200, hierarchy=TREE)},
    "cells": {"settings": Settings(num_samples=200, grid=4, correction="k-fwer", budget=5)},
    "clouds": {"settings": Settings(num_samples=200, law="rotation"), "clouds": True},
}
NAMES = ("one", "two", "three")
WORDS = ("made_with", "model", "seconds")
"""What follows from nothing else: times and machines, and which model a record is of."""


def finished(out: Path, **options: Any) -> Path:
    """A run of which the second sample alone is kept, with its tables."""
    made_run(out, NAMES, keep=1, **options)
    manifest, layout = read_manifest(out), Layout(out)
    pooled = Pooled(manifest)
    for planned in manifest.samples:
        pooled.add(read_record(layout.sample(planned.file), manifest, planned))
    layout.results.write_text(json.dumps(results(pooled)))
    (out / "table.csv").write_text(comparison_table(pooled.rows()).csv(run=manifest.run))
    (out / "table.md").write_text(comparison_table(pooled.rows()).markdown())
    if pooled.curve is not None:
        (out / "curve.csv").write_text(curve_csv(pooled.curve))
    return out


def seen(folder: Path) -> tuple[Run, Any]:
    """The run, and all numbers that a page would show of it."""
    run, samples = read_run(folder), []

    def each(looked: SampleSummary) -> None:
        samples.append((shared_payload(looked), run_payload(looked)))

    found = summarise(run, run.title, np.linspace(0, 0.75, 31), each)
    drawn = [chart_table(chart) for chart in charts([found])]
    said = claim(run.manifest), plan(run.manifest), run.manifest.radius
    return run, json.dumps([comparison_table(run.rows()).records(), drawn, said, samples])


def named(run: Run) -> list[str]:
    return run.refuted + run.broken


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of a record by its place; of a list of numbers the first."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*at, key))
    elif isinstance(value, list) and value:
        numbers = isinstance(value[0], (int, float, str))
        for place in range(1 if numbers else min(len(value), 2)):
            yield from leaves(value[place], (*at, place))
    else:
        yield at, value


def others(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, 10**30, float("nan")) if value > 1 else (value + 1, bool(value))
    if isinstance(value, float):
        return (5.0, value / 2 or 1e-9)
    return (f"{value}x",) if isinstance(value, str) else (1,)


def changed(record: Any) -> Iterator[tuple[str, Any]]:
    for at, value in leaves(record):
        if any(word in WORDS for word in at):
            continue
        for other in others(value):
            again = copy.deepcopy(record)
            inside = again
            for key in at[:-1]:
                inside = inside[key]
            inside[at[-1]] = other
            yield f"{'.'.join(map(str, at))} = {other}", again


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_value_is_taken_at_its_word(tmp_path, kind):
    """Each value of the manifest, of a kept and another record and of results.json, changed."""
    root = finished(tmp_path / "run", **KINDS[kind])
    whole, expected = seen(root)
    assert named(whole) == []
    assert len(whole.done) == 3
    files = ["samples/0001-two.json", "samples/0002-three.json"]
    if kind in ("flat", "early stopping"):
        files += ["run.json", "results.json"]
    silent = []
    for file in files:
        text = (root / file).read_text()
        for what, record in changed(json.loads(text)):
            (root / file).write_text(json.dumps(record))
            try:
                run, shown = seen(root)
            except InputError:
                # The manifest is refused.
                continue
            assert all("\n" not in line for line in named(run))
            if not named(run) and (shown != expected or file != "run.json"):
                silent.append(f"{file}: {what}")
        (root / file).write_text(text)
    assert silent == []


def test_without_the_check_such_changes_pass(tmp_path, monkeypatch):
    """Negative control."""
    root = finished(tmp_path / "run")
    (root / "table.md").unlink()
    edit(root / "run.json", lambda record: record.update(radius=5.0))
    edit(root / "samples/0001-two.json", move_to_right)
    assert len(seen(root)[0].refuted) >= 2
    monkeypatch.setattr(difference, "_same", lambda stated, follows: True)
    assert named(seen(root)[0]) == []


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def move_to_right(record: dict[str, Any]) -> None:
    """All certified components right: no sum changes."""
    counts = record["certified"]["confusion"]["counts"]
    for label, row in enumerate(counts):
        right = sum(row[:-1])
        row[:-1] = [0] * (len(row) - 1)
        row[label] = right


def swap(root: Path, folder: str, ending: str) -> None:
    one, two = (root / folder / f"{stem}.{ending}" for stem in ("0000-one", "0001-two"))
    content = one.read_bytes(), two.read_bytes()
    one.write_bytes(content[1])
    two.write_bytes(content[0])


def rewrite(root: Path, **arrays: Callable[[np.ndarray], Any]) -> None:
    """Arrays of a view changed, and the record told of it."""
    path = root / "views/0001-two.npz"
    with np.load(path) as file:
        content = dict(file)
    for name, change in arrays.items():
        content[name] = content[name].copy()
        change(content[name])
    np.savez_compressed(path, **content)
    known = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(root / "samples/0001-two.json", lambda record: record.update(view=known))


def forge(root: Path, **changes: Any) -> None:
    """A certificate that verifies, of other draws or under other parameters, and its counts."""
    path = root / "certificates/0001-two.cert.npz"
    held = Certificate.load(path)
    given = {"tau": held.tau, "alpha": held.alpha, "noise": held.noise}
    given |= {name: changes.pop(name) for name in list(changes) if name in ("correction", "budget")}
    source = replace(held.votes.source, **changes)
    certify(replace(held.votes, source=source), **given).save(path)


def foreign(root: Path) -> None:
    """The whole sample of a run with another seed, in the place of its own."""
    made_run(root.parent / "other", settings=Settings(num_samples=200, seed=2))
    for file in ("samples/0001-two.json", "views/0001-two.npz", "certificates/0001-two.cert.npz"):
        shutil.copy(root.parent / "other" / file, root / file)


def listed_twice(root: Path) -> None:
    def again(record: dict[str, Any]) -> None:
        copied = {**record["samples"][1], "number": 3, "file": "0003-two"}
        record["samples"].append(copied)

    edit(root / "run.json", again)
    for file in ("samples/{}.json", "views/{}.npz", "certificates/{}.cert.npz"):
        shutil.copy(root / file.format("0001-two"), root / file.format("0003-two"))
    edit(root / "samples/0003-two.json", lambda record: record.update(number=3))


def invert(labels: np.ndarray) -> None:
    labels[10:, :10] = 2


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "certificates swapped": (
        lambda root: swap(root, "certificates", "cert.npz"),
        "0001-two.cert.npz: input stated as",
    ),
    "views swapped": (lambda root: swap(root, "views", "npz"), "0001-two.npz: the truth stated as"),
    "records swapped": (lambda root: swap(root, "samples", "json"), "two.json: number stated as 0"),
    "another run's sample": (foreign, "0001-two.json: seed stated as 2, 1 follows"),
    "another run's draws": (lambda root: forge(root, seed=2), "seed stated as 2, 1 follows"),
    "a seed of entropy": (
        lambda root: forge(root, seed_origin="entropy"),
        "origin of the seed stated as 'entropy', 'caller' follows",
    ),
    "another model": (lambda root: forge(root, model="f" * 64), "model stated as 'ffff"),
    "another key": (lambda root: forge(root, key="mine"), "key stated as 'mine'"),
    "other draws": (
        lambda root: forge(root, draws=((200, 400),)),
        "draws[0][0] stated as 200, 0 follows",
    ),
    "a budget that the run does not state": (
        lambda root: forge(root, correction="k-fwer", budget=300),
        "correction stated as 'k-fwer', 'holm' follows",
    ),
    "counts moved": (
        lambda root: edit(root / "samples/0001-two.json", move_to_right),
        "from its certificate and truth",
    ),
    "truth changed": (lambda root: rewrite(root, truth=invert), "the truth stated as"),
    "picture changed": (
        lambda root: rewrite(root, x=lambda x: x.fill(3)),
        "the input as it is shown stated as",
    ),
    "base labels changed": (
        lambda root: rewrite(root, base_clean=invert),
        "the labels of base, clean.counts[0][0] stated as",
    ),
    "listed twice": (listed_twice, "sample 3 is two again"),
    "a radius of 5.0": (
        lambda root: edit(root / "run.json", lambda record: record.update(radius=5.0)),
        "run.json: radius stated as 5.0, 0.16862",
    ),
    "cherry-picked": (
        lambda root: edit(root / "run.json", lambda r: r["samples"][0].update(kept=False)),
        "samples kept stated as [1, 2]",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_named_and_in_no_figure(tmp_path, attack):
    root = tmp_path / "run"
    made_run(root)
    whole, _ = seen(root)
    act, words = ATTACKS[attack]
    act(root)
    run, _ = seen(root)
    assert any(words in line for line in run.refuted), named(run)
    assert run.manifest.radius == whole.manifest.radius
    # What is left out is in no figure; what is left in says what it said.
    assert len(run.pooled.images) == len(run.done) <= 3
    assert all(image in whole.pooled.images for image in run.pooled.images)
    left = set(NAMES) - {image["name"] for image in run.pooled.images}
    assert all(any(f"-{name}." in line for line in named(run)) for name in left)
    assert set(run.left_out) <= left


@pytest.mark.parametrize(
    "change",
    [
        lambda bounds: bounds.update(accuracy=1.5),
        lambda bounds: bounds.update(mean_iou=True),
        lambda bounds: bounds.update(more=0.5),
        lambda bounds: bounds["area"][0].reverse(),
        lambda bounds: bounds["area"].pop(),
        lambda bounds: bounds["of"].update(alpha=1e-9),
        lambda bounds: bounds["of"].update(radius=5.0),
        lambda bounds: bounds.pop("of"),
    ],
)
def test_bounds_on_a_noisy_pass(tmp_path, change):
    """Draws are not kept: what can be told is what they are of, and that they are shares."""
    loaded = LoadedModel("threshold", lambda x: torch.cat([0.5 - x, x - 0.5], 1), 2, channels=1)
    settings = Settings(num_samples=60, seed=3, selection="split")
    options: dict[str, Any] = {"non_robust": loaded, "percentile": True, "keep": Keep(0)}
    evaluate(Bands(2), loaded, settings, tmp_path, **options)
    assert named(seen(tmp_path)[0]) == []
    (tmp_path / "results.json").unlink()
    edit(tmp_path / "samples/0001-band_1.json", lambda record: change(record["percentile"]))
    (line,) = named(seen(tmp_path)[0])
    assert "0001-band_1.json: " in line


def test_a_noisy_picture_that_changed_is_named(tmp_path):
    """Nothing follows from it but the digest in the record."""
    made_run(tmp_path / "run")
    text = (tmp_path / "run/samples/0001-two.json").read_text()
    rewrite(tmp_path / "run", noisy=lambda x: x.fill(0))
    (tmp_path / "run/samples/0001-two.json").write_text(text)
    (line,) = seen(tmp_path / "run")[0].refuted
    assert "0001-two.npz: the whole file stated as" in line


def test_nothing_is_pooled_where_no_certificate_bears_the_manifest_out(tmp_path):
    """Records of samples that are not kept would go on under another claim."""
    root = finished(tmp_path / "run")

    def claim_more(record: dict[str, Any]) -> None:
        record["settings"]["alpha"] = 1e-9

    edit(root / "run.json", claim_more)
    run, _ = seen(root)
    assert "run.json: run stated as" in run.refuted[0]
    assert "alpha stated as 0.001, 1e-09 follows from run.json" in run.refuted[1]
    assert "nothing is pooled" in run.refuted[2]
    assert run.rows() == []


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("table.csv", lambda text: text.replace("0.", "0.9", 1)),
        ("table.md", lambda text: text.replace("0.", "0.9", 1)),
        ("curve.csv", lambda text: text.replace("0.", "0.9", 5)),
        ("results.json", lambda text: text[:-9]),
        ("results.json", lambda text: text.replace('"car"', '"bus"')),
    ],
)
def test_tables_of_a_whole_run_follow_from_its_records(tmp_path, file, change):
    root = finished(tmp_path / "run", **KINDS["map"])
    (root / file).write_text(change((root / file).read_text()))
    (line,) = seen(root)[0].refuted
    assert f"{file}: " in line


def test_a_record_that_was_removed_from_a_finished_run(tmp_path):
    root = finished(tmp_path / "run")
    (root / "samples/0002-three.json").unlink()
    (line,) = seen(root)[0].refuted
    assert "results.json: states figures of 3 samples, those of 2 follow" in line


@pytest.mark.slow
def test_named_on_the_page_and_on_the_terminal(tmp_path, capsys):
    made_run(tmp_path / "run")
    edit(tmp_path / "run/run.json", lambda record: record.update(radius=5.0))
    swap(tmp_path / "run", "certificates", "cert.npz")
    page = tmp_path / "report.html"
    assert command(["report", str(tmp_path / "run"), "-o", str(page)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("does not follow: ") and " stated as " in line for line in lines)
    text = page.read_text()
    assert text.index("Not all of this run holds") < text.index('class="claim"')
    assert text.count("Left out of all figures") == 2
    assert "0.1686" in text
    assert text.count("5.0,") == 1


def test_a_run_goes_on_only_with_samples_that_hold(tmp_path):
    root = tmp_path / "run"
    made_run(root)
    folder = RunFolder(root)
    folder.record = json.loads((root / "run.json").read_text())
    assert [folder.done(number) for number in range(3)] == [True, True, True]
    swap(root, "certificates", "cert.npz")
    edit(root / "samples/0002-three.json", lambda record: record.update(seed=7))
    assert [folder.done(number) for number in range(3)] == [False, False, False]
