"""Attacks in an evaluation: never below what is certified, in every file, and checked when read."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.cli.numbers import norms_of
from certiseg.datasets.solids import solids
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.run import Run, read_run
from certiseg.runs.attacked import Attacks
from certiseg.runs.evaluate import evaluate
from certiseg.runs.settings import Settings
from tiny_runs import Bands

SETTINGS = Settings(num_samples=60, seed=3)
ATTACKS = Attacks((0.1, 6.0), steps=6, draws=2)


def threshold(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([0.5 - x, x - 0.5], 1)


def _read(folder: Path) -> Run:
    """The run, all its records checked."""
    found = read_run(folder)
    for planned in found.manifest.samples:
        found.take(planned)
    found.finish()
    return found


def _wrong(run: Run) -> list[str]:
    return [*run.refuted, *run.broken]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("attacked") / "run"
    loaded = LoadedModel("threshold", threshold, 2, channels=1)
    evaluate(Bands(2), loaded, SETTINGS, out, non_robust=loaded, attacks=ATTACKS, keep=Keep(0))
    return out


def test_inside_the_radius_the_smoothed_model_stays_above_what_is_certified() -> None:
    number = torch.Generator().manual_seed(0)
    data = []
    for _ in range(2):
        truth = torch.rand((6, 7), generator=number) > 0.6
        data.append((torch.where(truth, 0.85, 0.15)[None], truth))
    radius = SETTINGS.noise.radius(SETTINGS.tau)
    found = cs.evaluate(
        threshold,
        data,
        num_samples=100,
        seed=3,
        attack=(np.nextafter(radius, 0), 4.0),
        attack_steps=10,
        attack_draws=2,
    )
    held = found.confusions["certified"]
    assert found.attacked is not None
    assert held.certified_accuracy > 0.5
    for norm in (0.0, np.nextafter(radius, 0)):
        counts = found.attacked.counts["smoothed model"][norm]
        assert counts.accuracy >= held.certified_accuracy
        assert (counts.class_accuracy >= held.certified_class_accuracy).all()
    # A norm of 4 breaks both models: the comparison can fail.
    for model in ("smoothed model", "base model"):
        assert found.attacked.counts[model][4.0].accuracy < held.certified_accuracy


def test_all_files_say_the_same(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    rows = list(csv.DictReader((run / "attacks.csv").open()))
    assert [(r["model"], float(r["epsilon"])) for r in rows] == [
        (model, epsilon)
        for model in ("non-robust model", "base model", "smoothed model")
        for epsilon in (0.0, 0.1, 6.0)
    ]
    assert [float(r["accuracy"]) for r in rows] == [a["accuracy"] for a in results["attacks"]]
    by_model = {row["model"]: row["accuracy"] for row in results["rows"]}
    assert by_model["base, clean"] == float(rows[3]["accuracy"])
    assert [len(entry["iou"]) for entry in results["attacks"]] == [2] * 9


def test_the_same_seed_gives_the_same_counts(run: Path, tmp_path: Path) -> None:
    loaded = LoadedModel("threshold", threshold, 2, channels=1)
    evaluate(
        Bands(2), loaded, SETTINGS, tmp_path / "b", non_robust=loaded, attacks=ATTACKS, keep=Keep(0)
    )
    for name in ("samples/0000-band_0.json", "samples/0001-band_1.json"):
        first, second = (json.loads((at / name).read_text()) for at in (run, tmp_path / "b"))
        assert first["attacks"] == second["attacks"]


def _more_right(attacks: list[dict[str, Any]]) -> None:
    counts = attacks[0]["confusion"]["counts"]
    counts[0] = [sum(counts[0]), 0, 0]
    counts[1] = [sum(counts[1]), 0, 0]


def _nested(depth: int) -> list[Any]:
    return [1] if depth == 0 else [_nested(depth - 1)]


@pytest.mark.parametrize(
    "change",
    [
        lambda attacks: attacks.pop(),
        lambda attacks: attacks.reverse(),
        lambda attacks: attacks[1].update(epsilon=0.2),
        lambda attacks: attacks[1].update(norm=0.2),
        lambda attacks: attacks[0].update(model="another"),
        lambda attacks: attacks[4]["confusion"]["counts"][0].reverse(),
        lambda attacks: attacks[1].update(epsilon=float("nan")),
        lambda attacks: attacks.append(attacks[-1]),
        lambda attacks: attacks[0]["confusion"].update(allowed_by_class=[[0], [0]]),
        lambda attacks: attacks[0]["confusion"].update(allowed=1),
        lambda attacks: attacks[0]["confusion"].update(counts=_nested(60)),
        lambda attacks: attacks[5]["confusion"]["counts"].__setitem__(0, [2**63 - 1] * 3),
        lambda attacks: attacks[2].update(norm=0.0),
        lambda attacks: attacks[6].update(confusion=attacks[8]["confusion"]),
        _more_right,
    ],
)
def test_a_record_that_contradicts_the_plan_or_itself_is_refused(
    run: Path, tmp_path: Path, change: Any
) -> None:
    for path in run.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(run)
            copy.parent.mkdir(exist_ok=True, parents=True)
            copy.write_bytes(path.read_bytes())
    assert not _wrong(_read(tmp_path))
    at = tmp_path / "samples/0001-band_1.json"
    record = json.loads(at.read_text())
    change(record["attacks"])
    at.write_text(json.dumps(record))
    assert any("band_1" in line for line in _wrong(_read(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "attacks", "words"),
    [
        (Settings(law="rotation"), ATTACKS, "Gaussian noise"),
        (replace(SETTINGS, grid=2), ATTACKS, "--grid"),
    ],
)
def test_what_attacks_cannot_do_is_refused_before_anything_is_drawn(
    tmp_path: Path, settings: Settings, attacks: Attacks, words: str
) -> None:
    loaded = LoadedModel("threshold", threshold, 2, channels=1)
    with pytest.raises(InputError, match=words):
        evaluate(Bands(1), loaded, settings, tmp_path / "out", attacks=attacks)
    assert not (tmp_path / "out").exists()


def test_a_model_without_gradients_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    loaded = LoadedModel("blind", lambda x: threshold(x.detach()), 2, channels=1)
    with pytest.raises(InputError, match="with gradients"):
        evaluate(Bands(1), loaded, SETTINGS, tmp_path / "out", attacks=ATTACKS)
    assert not (tmp_path / "out").exists()


def test_an_input_where_every_loss_is_flat_is_left_as_it_is(tmp_path: Path) -> None:
    """The first image has gradients, and the second one none, by any loss."""

    def model(x: torch.Tensor) -> torch.Tensor:
        steep = (x > 0.9).all().item()
        return threshold(x.round() if steep else x)

    truth = torch.tensor([[0, 1], [1, 1]])
    data = [(torch.full((1, 2, 2), value), truth) for value in (0.8, 0.95)]
    found = cs.evaluate(model, data, num_samples=60, seed=0, attack=[0.1], out=tmp_path / "out")
    assert found.attacked is not None
    record = json.loads(next((tmp_path / "out/samples").glob("0001*")).read_text())
    assert [each["norm"] for each in record["attacks"] if each["model"] == "base model"] == [0, 0]


@pytest.mark.parametrize("number", [1, np.float32(0.5), 0.5, [1], torch.tensor([0.25, 0.5])])
def test_norms_are_numbers_of_any_kind(number: Any, tmp_path: Path) -> None:
    x = torch.tensor([[0.1, 0.9]])
    options: dict[str, Any] = {"num_samples": 60, "seed": 0, "out": tmp_path / "out"}
    found = cs.evaluate(threshold, [(x[None], x > 0.5)], attack=number, **options)
    assert found.attacked is not None
    resumed = cs.evaluate(threshold, [(x[None], x > 0.5)], attack=number, resume=True, **options)
    assert resumed.attacked is not None
    assert resumed.attacked.rows() == found.attacked.rows()


@pytest.mark.parametrize(
    "epsilons",
    [(), (0.5, 0.1), (0.1, 0.1), (0.0,), (float("nan"),), (1e10,), ("a",), range(1, 102)],
)
def test_other_norms_are_refused(epsilons: Any) -> None:
    with pytest.raises(InputError, match=r"epsilon|at most"):
        Attacks(epsilons)


def test_norms_in_units_of_the_radius_lie_strictly_inside() -> None:
    assert norms_of("--attack", "0.1, 0.5R,R,2R", 0.2) == (0.1, 0.1, np.nextafter(0.2, 0), 0.4)
    for text in ("", "R,", "xR", "-1", "0R", "inf"):
        with pytest.raises(InputError, match="expected norms"):
            norms_of("--attack", text, 0.2)


def test_a_larger_norm_is_never_better_for_a_model(run: Path) -> None:
    pooled = _read(run).pooled
    assert pooled.attacked is not None
    for by_norm in pooled.attacked.counts.values():
        shares = [counts.accuracy for counts in by_norm.values()]
        assert shares == sorted(shares, reverse=True)


@pytest.mark.slow
def test_point_clouds_are_attacked_on_their_coordinates(tmp_path: Path) -> None:
    loaded = cs.load_model("certiseg:solids-gaussian")
    samples = solids("test", points=256, normals=False, count=1)
    settings = Settings(law="coordinates", num_samples=60, seed=3)
    found = evaluate(
        samples, loaded, settings, tmp_path / "out", attacks=Attacks((0.5,), steps=3, draws=1)
    )
    assert found.attacked is not None
    clean, attacked = found.attacked.counts["base model"].values()
    assert attacked.accuracy < clean.accuracy


def test_from_python(tmp_path: Path) -> None:
    x = torch.tensor([[0.1, 0.9], [0.2, 0.8]])
    found = cs.evaluate(
        threshold,
        [(x[None], x > 0.5)],
        num_samples=60,
        seed=0,
        out=tmp_path / "out",
        attack=[0.05],
    )
    assert found.attacked is not None
    assert list(found.attacked.counts) == ["base model", "smoothed model"]
    assert found.attacked.counts["base model"][0.05].accuracy == 1.0
    page = found.report(tmp_path / "page.html").read_text()
    assert "Between certificate and attack" in page
    assert "Certificate and attack, class by class" in page
