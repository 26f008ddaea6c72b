"""--scales and --flip, and a checkpoint of HRNetV2, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import certiseg as cs
from certiseg.datasets.images import read_image
from certiseg.models import Scales
from certiseg.models.hrnet import load_hrnet
from plain_hrnet import random_state

Call = Callable[..., "object"]
MODEL = ("--model", "python:tiny_models:by_brightness")
RUN = ("--seed", 1, "-n", 60, "--batch-size", 20)


@pytest.fixture
def checkpoint(workplace: Path) -> Path:
    state = {f"model.{name}": value for name, value in random_state(19, width=2).items()}
    torch.save({**state, "loss.criterion.weight": torch.ones(19)}, workplace / "city.pth")
    return workplace / "city.pth"


def _record(text: str) -> dict:
    return json.loads(text.splitlines()[-1])


def test_certify_looks_at_the_scales_it_is_told(workplace: Path, call: Call) -> None:
    done = call(
        "certify", "bands.png", *MODEL, "-o", "out", *RUN, "--scales", "0.5,1", "--flip", "--json"
    )
    assert done.code == 0, done.err
    words = "python:tiny_models:by_brightness at scales 0.5, 1, mirrored too"
    record = _record(done.out)
    assert record["model"] == words
    assert words in record["statement"]
    plain = call("certify", "bands.png", *MODEL, "-o", "plain", *RUN, "--json")
    assert _record(plain.out)["model"] == "python:tiny_models:by_brightness"
    prints = [
        cs.Certificate.load(workplace / folder / "bands.cert.npz").votes.source.model
        for folder in ("out", "plain")
    ]
    assert prints[0] != prints[1]
    assert call("verify", "out/bands.cert.npz").code == 0


@pytest.mark.slow
def test_a_published_checkpoint_is_certified_as_by_the_library(
    workplace: Path, checkpoint: Path, call: Call
) -> None:
    done = call(
        "certify",
        "bands.png",
        "-m",
        "hrnet:city.pth",
        "-o",
        "out",
        *RUN,
        "--scales",
        "0.5",
        "--json",
    )
    assert done.code == 0, done.err
    assert (
        "note: city.pth: left out 1 entries that are not weights (loss.criterion.weight)"
        in done.err
    )
    cert = cs.Certificate.load(workplace / "out" / "bands.cert.npz")
    smooth = cs.Smoothed(Scales(load_hrnet(checkpoint), (0.5,)), cs.Gaussian(0.25))
    same = smooth.certify(read_image("bands.png"), num_samples=60, seed=1, batch_size=20)
    assert (same.votes.counts == cert.votes.counts).all()
    names = json.loads((workplace / "out" / "results.jsonl").read_text())["labels"]
    assert set(names) <= set(load_hrnet(checkpoint).classes)


def test_evaluate_and_plan_take_them_too(workplace: Path, call: Call) -> None:
    for folder, file in (("images", "bands.png"), ("labels", "truth.png")):
        (workplace / folder).mkdir()
        (workplace / folder / "a.png").write_bytes((workplace / file).read_bytes())
    data = ("--images", "images", "--labels", "labels", "--num-classes", 3, "--no-report")
    both = ("--non-robust", "python:tiny_models:by_brightness")
    done = call("evaluate", *MODEL, *both, *data, "-o", "eval", *RUN, "--scales", "0.5", "--flip")
    assert done.code == 0, done.err
    results = json.loads((workplace / "eval" / "results.json").read_text())
    name = "python:tiny_models:by_brightness at scale 0.5, mirrored too"
    assert (results["model"], results["non_robust"]) == (name, name)
    assert call("plan", "--size", "20x30", *MODEL, "--scales", "0.5", "--json").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--scales", "0"), ("scales in (0, 16], got [0.0]",)),
        (("--scales", "half"), ("numbers with commas", "--scales", "'half'")),
        (("-m", "certiseg:solids", "--flip"), ("a model of images", "--flip", "certiseg:solids")),
        (("-m", "python:tiny_models:labels_only", "--num-classes", 2, "--flip"), ("no average",)),
        (("-m", "hrnet:none.pth"), ("expected a checkpoint at none.pth",)),
    ],
)
def test_bad_input_is_one_line(
    workplace: Path, call: Call, options: tuple, words: tuple[str, ...]
) -> None:
    done = call("certify", "bands.png", *MODEL, "-o", "out", *RUN, *options)
    assert done.is_one_line_error(*words), done
    assert not (workplace / "out").exists()
    planned = call("plan", "--size", "20x30", "--scales", "0.5")
    assert planned.is_one_line_error("--model", "--scales")
