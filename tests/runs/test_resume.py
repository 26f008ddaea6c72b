"""An interrupted run goes on: the same files as of one that was never interrupted, or a refusal."""

from __future__ import annotations

import importlib
import json
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import Sample
from certiseg.errors import ClaimError, InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder import store
from certiseg.runfolder.folder import Keep, RunFolder
from certiseg.runfolder.identity import run_id
from certiseg.runfolder.run import read_run
from certiseg.runs.attacked import Attacks
from certiseg.runs.evaluate import evaluate, seed_of
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings, Stopping
from same_runs import content, of_samples
from tiny_runs import Bands, opened, write_models

SETTINGS = Settings(num_samples=60, seed=3)
KEEP = Keep(2, certificates=True)
TOTAL = 4
DEAD = 2**31 - 1
"""A number that no process has."""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_models(tmp_path, monkeypatch)


def run(out: str, settings: Settings = SETTINGS, **options: Any) -> None:
    samples = options.pop("samples", Bands(TOTAL))
    loaded = options.pop("loaded", None) or opened()
    evaluate(samples, loaded, settings, Path(out), **{"keep": KEEP, **options})


def stop_at_write(monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> None:
    """The power fails at this write below a folder of the run, before or after it."""
    writes, write = 0, store.atomic_write

    def failing(path: Path, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes != number or after:
            write(path, data)
        if writes == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(store, "atomic_write", failing)


# The manifest; four samples of record and certificate, two of them with a view.
WRITES = 11


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.slow
def test_wherever_it_stops_the_files_are_those_of_a_whole_run(monkeypatch, after):
    run("whole")
    expected = content(Path("whole"))
    # Tables, results, and the list of what certiseg wrote.
    assert len(expected) == WRITES + 4
    for number in range(1, WRITES + 1):
        out = f"cut {number}"
        with monkeypatch.context() as patch:
            stop_at_write(patch, number, after)
            with pytest.raises(KeyboardInterrupt):
                run(out)
        run(out, resume=True)
        assert content(Path(out)) == expected


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        (replace(SETTINGS, radius_map=True), {}),
        (replace(SETTINGS, stopping=Stopping(min_gain=0.01, looks=3)), {}),
        (replace(SETTINGS, selection="split", selection_samples=5), {"percentile": True}),
        (SETTINGS, {"attacks": Attacks((0.1,), steps=2, draws=1)}),
    ],
    ids=["map", "early stopping", "split and percentile", "attacks"],
)
def test_methods(monkeypatch, settings, options):
    run("whole", settings, **options)
    with monkeypatch.context() as patch:
        stop_at_write(patch, 6, False)
        with pytest.raises(KeyboardInterrupt):
            run("cut", settings, **options)
    run("cut", settings, resume=True, **options)
    assert content(Path("cut")) == content(Path("whole"))


def test_samples_that_are_done_are_not_done_again(monkeypatch):
    with monkeypatch.context() as patch:
        stop_at_write(patch, 7, True)
        with pytest.raises(KeyboardInterrupt):
            run("out")
    done = {p: p.stat().st_mtime_ns for p in of_samples(Path("out"))}
    run("out", resume=True)
    records = [p for p in done if p.suffix == ".json"]
    assert len(records) == 2
    assert all(p.stat().st_mtime_ns == done[p] for p in records)


def test_a_seed_from_entropy_goes_on_and_stays_one(monkeypatch):
    """Theory T15: inputs, model and settings were fixed before it was drawn."""
    entropy = replace(SETTINGS, seed=None)
    with monkeypatch.context() as patch:
        stop_at_write(patch, 7, True)
        with pytest.raises(KeyboardInterrupt):
            run("out", entropy)
    begun = json.loads(Path("out/run.json").read_text())
    assert (begun["seed_origin"], begun["settings"]["seed"]) == ("entropy", None)
    run("out", entropy, resume=True)
    paths = sorted(Path("out/certificates").iterdir())
    sources = [Certificate.load(path).votes.source for path in paths]
    assert len(sources) == TOTAL
    assert {s.seed for s in sources} == {begun["seed"]}
    # Of what was drawn afterwards nobody but the record can say where the seed came from.
    assert [s.seed_origin for s in sources] == ["entropy", "entropy", "record", "record"]
    said = [Certificate.load(path).statement() for path in paths]
    assert ["said by the run's record to come from" in words for words in said] == [
        s.seed_origin == "record" for s in sources
    ]
    # Beginning anew draws another.
    run("anew", entropy)
    assert json.loads(Path("anew/run.json").read_text())["seed"] != begun["seed"]


def test_a_given_seed_stays_the_callers():
    run("out")
    run("out", resume=True)
    certificate = Certificate.load(next(Path("out/certificates").iterdir()))
    assert certificate.votes.source.seed_origin == "caller"


def test_a_finished_run_is_left_as_it_is_and_a_folder_without_a_run_is_begun():
    run("out", resume=True)
    before = content(Path("out"))
    run("out", resume=True)
    assert content(Path("out")) == before


def _other_model() -> LoadedModel:
    torch.manual_seed(0)
    return replace(opened(), model=torch.nn.Conv2d(1, 2, 1).eval(), origin=None)


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"tau": 0.8}, {}, ("tau 0.8 instead of 0.75",)),
        ({"seed": 4}, {}, ("seed 4 instead of 3",)),
        ({"seed": None}, {}, ("seed null instead of 3",)),
        ({"num_samples": 70}, {}, ("num_samples 70 instead of 60",)),
        ({"radius_map": True}, {}, ("method radius_map instead of segcertify",)),
        ({}, {"percentile": True}, ("percentile true instead of false",)),
        ({}, {"attacks": Attacks((0.1,))}, ("attacks", "instead of null")),
        ({}, {"samples": Bands(5)}, ("5 samples instead of 4",)),
        ({}, {"samples": Bands(4, shift=1)}, ("other content of sample band 0", "more")),
        ({}, {"loaded": _other_model}, ("another model under its name",)),
        ({}, {"non_robust": _other_model}, ("non_robust python:",)),
        ({}, {"keep": Keep(3)}, ("other samples to keep",)),
    ],
)
def test_what_another_run_asks_is_refused_in_one_line(settings, options, words):
    run("out")
    before = content(Path("out"))
    given = {k: v() if callable(v) else v for k, v in options.items()}
    with pytest.raises(InputError) as caught:
        run("out", replace(SETTINGS, **settings), resume=True, **given)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "--overwrite" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert content(Path("out")) == before


def test_an_edited_model_is_another(tmp_path):
    """What a closure holds has no fingerprint; the file that makes it has."""
    run("out")
    path = tmp_path / "tiny_run_models.py"
    path.write_text(path.read_text() + "\n# edited\n")
    with pytest.raises(InputError, match="another model under its name"):
        run("out", resume=True)


def test_an_edited_module_is_another(tmp_path, monkeypatch):
    """Layers print alike and hold the same weights whatever their forward does with them."""
    path = tmp_path / "edited_net.py"
    source = (
        "import torch\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.cat([0.5 - x, x - 0.5], 1)\n\ndef net():\n    return Net().eval()\n"
    )
    path.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))

    def net() -> LoadedModel:
        sys.modules.pop("edited_net", None)
        importlib.invalidate_caches()
        return open_model("python:edited_net:net", num_classes=2, channels=1)

    run("out", loaded=net())
    run("out", resume=True, loaded=net())
    path.write_text(source.replace("0.5 - x, x - 0.5", "x - 0.5, 0.5 - x"))
    with pytest.raises(InputError, match="another model under its name"):
        run("out", resume=True, loaded=net())
    sys.modules.pop("edited_net", None)


def test_a_run_of_an_earlier_version_is_refused():
    run("out")
    path = Path("out/run.json")
    record = {k: v for k, v in json.loads(path.read_text()).items() if k != "seed"}
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"run\.json.*--overwrite"):
        run("out", resume=True)
    path.write_text("{")
    with pytest.raises(InputError, match=r"run\.json"):
        run("out", resume=True)


def test_a_given_seed_cannot_be_passed_off_as_entropy():
    """Theory T15: seed and origin are bound to what the run fixed."""
    run("out")
    path = Path("out/run.json")
    text = path.read_text()
    for edit in (
        {"seed_origin": "entropy"},
        {"settings": {**json.loads(text)["settings"], "seed": None}},
        {"seed": 4},
        {"run": "0" * 32},
    ):
        path.write_text(json.dumps({**json.loads(text), **edit}))
        with pytest.raises(ClaimError, match=r"stated as .* follows"):
            run("out", resume=True)
    path.write_text(json.dumps({**json.loads(text), "command": "another"}))
    with pytest.raises(InputError, match="expected a manifest of format"):
        run("out", resume=True)
    # Whoever makes the identity anew can: then the record alone says it, and so do certificates.
    forged = {**json.loads(text), "seed_origin": "entropy"}
    forged["settings"]["seed"] = None
    path.write_text(json.dumps({**forged, "run": run_id(forged)}))
    run("out", replace(SETTINGS, seed=None), resume=True)
    (certificate, *_) = sorted(Path("out/certificates").iterdir())
    source = Certificate.load(certificate).votes.source
    assert (source.seed, source.seed_origin) == (3, "record")
    # Negative control: while the seed stands in the settings it's the caller's, whatever is said.
    said = json.loads(text)
    assert [type(seed_of({**said, "seed_origin": "entropy"}, resumed)) for resumed in (0, 1)] == [
        int,
        int,
    ]


def test_a_record_of_another_run_is_not_pooled():
    """Of the same data and seed, so that nothing but the identity tells them apart."""
    run("out")
    run("other", replace(SETTINGS, sigma=0.3))
    expected = content(Path("out"))
    name = "samples/0001-band_1.json"
    other = Path("other", name).read_bytes()
    Path("out", name).write_bytes(other)
    read = read_run(Path("out"))
    assert [read.take(planned) for planned in read.manifest.samples][1] is None
    assert "0001-band_1.json: run stated as" in read.refuted[0]
    run("out", resume=True)
    assert content(Path("out")) == expected
    folder = RunFolder(Path("out"))
    folder.record = json.loads(Path("out/run.json").read_text())
    folder.pooled()
    Path("out", name).write_bytes(other)
    with pytest.raises(ClaimError, match=r"0001-band_1\.json: run stated as"):
        folder.pooled()


def test_what_is_written_names_its_run():
    run("out")
    identity = json.loads(Path("out/run.json").read_text())["run"]
    records = [json.loads(p.read_text()) for p in Path("out/samples").iterdir()]
    assert {record["run"] for record in records} == {identity}
    assert json.loads(Path("out/results.json").read_text())["run"] == identity
    assert f"Run: {identity}." in Path("out/table.md").read_text()
    assert Path("out/table.csv").read_text().splitlines()[1].startswith(f"{identity},")
    run("same")
    run("other", replace(SETTINGS, seed=4))
    same, other = (json.loads(Path(p, "run.json").read_text())["run"] for p in ("same", "other"))
    assert same == identity != other


def test_records_that_cannot_be_used_are_made_anew():
    run("out")
    expected = content(Path("out"))
    one, two, three = sorted(Path("out/samples").iterdir())[:3]
    one.write_text(one.read_text()[:-30])
    two.write_text(two.read_text().replace('"seed": 3', '"seed": 4'))
    three.unlink()
    left = f".certiseg-{DEAD}-0123456789abcdef.tmp"
    Path("out", left).write_text("left by a killed process")
    Path("out/samples", left).write_text("left by a killed process")
    run("out", resume=True)
    assert content(Path("out")) == expected


class Changing(Bands):
    """The second picture changes once all have been checked."""

    reads = 0

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        sample = super().__getitem__(index)
        if self.reads > self.total and index == 1:
            return replace(sample, x=sample.x + np.float32(1e-6))
        return sample


def test_data_that_change_during_the_run_end_it():
    """The seed is in the folder: an input made with knowledge of it must not be certified."""
    with pytest.raises(InputError, match="band 1 as it was when the run began"):
        run("out", samples=Changing(TOTAL))
    assert len(list(Path("out/samples").iterdir())) == 1
    run("out", resume=True)


class Counted(Bands):
    """Knows how many of its samples are alive."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.given: list[weakref.ref[Sample]] = []
        self.most = 0

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        self.given.append(weakref.ref(sample))
        self.most = max(self.most, sum(given() is not None for given in self.given))
        return sample


class Hoarding(Counted):
    """Negative control: keeps what it gave."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.kept: list[Sample] = []

    def __getitem__(self, index: int) -> Sample:
        self.kept.append(super().__getitem__(index))
        return self.kept[-1]


def test_few_samples_are_held_at_a_time():
    # One in work, one being read.
    samples, hoard = Counted(8), Hoarding(8)
    run("out", samples=samples)
    run("hoard", samples=hoard)
    assert samples.most <= 3
    assert hoard.most == 16
