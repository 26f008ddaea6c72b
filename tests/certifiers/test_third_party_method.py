"""A method of another package: one record and one registration, and all else works with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

import certiseg as cs
from certiseg.certificates import method as registry
from certiseg.certificates.method import Method, method_named, register
from certiseg.cli.main import run
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.evidence import open_kept
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.layout import Layout
from certiseg.runfolder.manifest import read_manifest
from certiseg.runfolder.record import read_record
from certiseg.runs.certify import certify_images
from certiseg.runs.evaluate import evaluate
from certiseg.runs.settings import Settings
from certiseg.stats.binomial import upper_tail
from made_runs import Made

NOISE = cs.Gaussian(0.25)


@dataclass(frozen=True, kw_only=True)
class AtMost(Method):
    """Bonferroni over at most so many components, those with most votes; all others abstain.

    Sound for chosen components too: every component is tested at alpha / N."""

    name: ClassVar[str] = "at_most"
    title: ClassVar[str] = "AtMost"
    tau: float = 0.75
    alpha: float = 1e-3
    most: int = 100

    def __post_init__(self) -> None:
        if self.most < 1:
            raise cs.InputError(f"expected most >= 1, got {self.most}")

    def certify(self, votes, *, noise, selection_votes=None) -> cs.Certificate:
        labels, hits = votes.top()
        stray = upper_tail(hits, votes.trials, 1.0 - self.tau)
        late = hits < self.tau * (votes.trials - 1) + 1
        pvalues = upper_tail(hits, votes.trials, self.tau) + np.where(late, 1.0, stray)
        passed = pvalues * votes.num_components <= self.alpha
        passed &= hits >= np.sort(hits, axis=None)[-min(self.most, hits.size)]
        return cs.Certificate(
            method=self.name,
            labels=np.where(passed, labels, cs.ABSTAIN).astype(np.int16),
            radius=noise.radius(self.tau),
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            tau=self.tau,
            parameters={"most": self.most},
        )

    @classmethod
    def tested_by(cls, certificate: cs.Certificate) -> str:
        most: Mapping[str, Any] = certificate.parameters or {}
        return f" by AtMost (at most {most['most']})"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    assert register(AtMost) is AtMost


@pytest.fixture
def made() -> cs.Certificate:
    votes = cs.VoteCounts([[100, 0], [99, 1], [1, 99], [60, 40]], 100)
    return AtMost(most=2).certify(votes, noise=NOISE)


def test_it_is_stated_stored_and_verified(made: cs.Certificate, tmp_path: Path) -> None:
    assert "tested with 100 draws by AtMost (at most 2), candidates and test" in made.statement()
    made.save(tmp_path / "a.npz")
    again = cs.Certificate.load(tmp_path / "a.npz")
    assert again.parameters == {"most": 2}
    cs.verify(again)
    for forged in (
        replace(made, parameters={"most": 1}),
        replace(made, parameters={"most": 0}),
        replace(made, parameters={"least": 2}),
        replace(made, parameters=None),
        replace(made, labels=made.labels * 0),
    ):
        with pytest.raises(cs.ClaimError):
            cs.verify(forged)


def test_a_name_is_taken_once() -> None:
    for name in ("at_most", "segcertify"):
        with pytest.raises(cs.InputError, match="taken"):
            register(type("Other", (AtMost,), {"name": name}))
    with pytest.raises(cs.InputError, match="known method"):
        method_named("nobody's")


def _loaded() -> LoadedModel:
    def model(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0], x[:, 1], x[:, 2]], 1)

    return LoadedModel("brightest", model, 3, channels=3, kind="images")


def test_smoothed_and_certify_run_it(tmp_path: Path) -> None:
    settings = Settings(num_samples=60, seed=1, custom=AtMost(most=4))
    assert settings.method == "at_most"
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[:, :5, 0] = pixels[:, 5:, 1] = 255
    Image.fromarray(pixels).save(tmp_path / "halves.png")
    (record,) = certify_images([tmp_path / "halves.png"], _loaded(), settings, tmp_path / "out")
    assert record["method"] == "at_most"
    stored = cs.Certificate.load(tmp_path / "out" / "halves.cert.npz")
    cs.verify(stored)
    x = np.moveaxis(pixels, -1, 0).astype(np.float32) / 255
    again = cs.Smoothed(_loaded().model, NOISE, 3).certify_with(x, AtMost(most=4), 60, seed=1)
    assert np.array_equal(again.labels, stored.labels)


def test_evaluate_runs_it_and_its_folder_is_read_back(tmp_path: Path) -> None:
    settings = Settings(num_samples=60, seed=1, custom=AtMost(most=40))
    evaluate(Made(["one"]), _loaded(), settings, tmp_path, keep=Keep(None))
    read, layout = read_manifest(tmp_path), Layout(tmp_path)
    assert read.settings["custom"] == {
        "name": "at_most",
        "parameters": {"tau": 0.75, "alpha": 1e-3, "most": 40},
    }
    assert read.certifier == AtMost(most=40)
    (planned,) = read.samples
    kept = open_kept(layout, read, read_record(layout.sample(planned.file), read, planned))
    assert kept.certificate.method == "at_most"


def test_the_page_about_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/extend.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(snippet, "page", "exec", dont_inherit=True), {"__name__": "page"})
    assert "100 draws by Unanimous" in capsys.readouterr().out


def _typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, str]:
    """Exit code and error of `certiseg certify` with these options."""
    (folder / "brightest_models.py").write_text("def build():\n    return lambda x: x * 1\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[:, :5, 0] = pixels[:, 5:, 1] = 255
    Image.fromarray(pixels).save(folder / "halves.png")
    model = ("--model", "python:brightest_models:build", "-n", "60", "--seed", "1")
    code = run(["certify", "halves.png", *model, "-o", "out", *options])
    return code, capsys.readouterr().err


def test_the_command_line_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parameters that are options come from these, others stand after the name."""
    options = ("--method", "at_most:most=40", "--alpha", "0.01")
    assert _typed(tmp_path, monkeypatch, capsys, *options)[0] == 0
    stored = cs.Certificate.load(tmp_path / "out" / "halves.cert.npz")
    assert (stored.method, stored.alpha, stored.parameters) == ("at_most", 0.01, {"most": 40})
    cs.verify(stored)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--method", "nobodys"), "expected a known method, got 'nobodys'"),
        (("--method", "at_most:least=2"), "KEY among most, got 'least=2'"),
        (("--method", "at_most:alpha=0.5"), "KEY among most, got 'alpha=0.5'"),
        (("--method", "at_most:40"), "expected KEY=VALUE"),
        (("--method", "at_most:most=0"), "expected most >= 1"),
        (("--method", "at_most:most=many"), "expected the parameters of at_most"),
        (("--method", "segcertify"), "expected another package's method"),
        (("--method", "at_most", "--radius-map"), "expected one method"),
        (("--method", "at_most", "--correction", "bonferroni"), "expected no correction"),
    ],
)
def test_what_the_command_line_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    part: str,
) -> None:
    code, said = _typed(tmp_path, monkeypatch, capsys, *options)
    assert code == 2
    assert part in " ".join(said.split())


@pytest.mark.filterwarnings("ignore::certiseg.errors.Hint")  # two classes have no label
def test_python_passes_it_to_runs() -> None:
    data = [(np.full((3, 4, 4), 0.5, np.float32), np.zeros((4, 4), int))]
    found = cs.evaluate(_loaded(), data, method=AtMost(most=3, tau=0.6), num_samples=60, seed=1)
    assert read_manifest(found.out).certifier == AtMost(most=3, tau=0.6)
    (certificate,) = cs.certify_all(_loaded(), [data[0]], method=AtMost(most=3), num_samples=60)
    assert certificate.parameters == {"most": 3}


def test_two_methods_are_refused() -> None:
    both = Settings(custom=AtMost(), radius_map=True)
    with pytest.raises(cs.InputError, match="--radius-map and AtMost"):
        both.check_options()


def test_settings_state_what_the_method_does() -> None:
    """Reports and tables read alpha and tau of the settings; the method tests by its own."""
    for wrong in ({"alpha": 0.5}, {"correction": "bonferroni"}, {"budget": 3}):
        with pytest.raises(cs.InputError):
            _ = Settings(custom=AtMost(), **wrong).certifier
    given = {"alpha": 1e-3, "tau": 0.75, "correction": "holm", "selection": "pooled"}
    built_in = {"name": "segcertify", "parameters": {"alpha": 0.5, "tau": 0.5}}
    for custom in (built_in, {}, 7, "segcertify", {"name": "at_most", "parameters": {"x": 1}}):
        with pytest.raises(cs.InputError):
            registry.method_of({**given, "custom": custom})


def test_a_claim_cannot_be_raised_after_the_fact() -> None:
    """Parameters do not stand in for fields of the certificate, and alpha is compared."""
    votes = cs.VoteCounts([[100, 0], [99, 1]], 100)
    made = AtMost(alpha=0.5).certify(votes, noise=NOISE)
    cs.verify(made)
    with pytest.raises(cs.ClaimError):
        cs.verify(replace(made, parameters={**(made.parameters or {}), "alpha": 0.5}, alpha=1e-9))


def test_an_entry_point_is_of_the_method_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        @staticmethod
        def load() -> object:
            return AtMost

    monkeypatch.setattr(registry, "entry_points", lambda **_: [Entry])
    with pytest.raises(cs.InputError, match="of that name"):
        method_named("another")
