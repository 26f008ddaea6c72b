"""`certiseg plan`: what is printed, and bad calls in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certiseg.noise import Gaussian

Call = Callable[..., Any]


def test_table(call: Call) -> None:
    done = call("plan", "--size", "1024x2048", "-n", 110)
    assert (done.code, done.err) == (0, "")
    # The numbers of theory T14.
    for part in ("1024 x 2048 pixels", "67.6%", "82.0%", "92.9%", "99.8%", "107/110", "10000"):
        assert part in done.out
    assert "time" not in done.out


def test_json_of_a_wanted_radius(call: Call) -> None:
    done = call("plan", "--points", 2048, "--radius", 0.17, "--num-classes", 13, "--json")
    assert done.err == ""
    record = json.loads(done.out)
    request = record["request"]
    assert request["size"] == [2048]
    assert request["num_classes"] == 13
    assert request["radius"] >= 0.17
    assert request["radius"] == Gaussian(0.25).radius(request["tau"])
    assert [row["selection"] for row in record["rows"]] == ["split", "pooled", "pooled"]


def test_too_few_draws_are_said_not_refused(call: Call) -> None:
    done = call("plan", "--size", "1024x2048", "-n", 20, "--grid", 2, "--budget", "0.2%")
    assert done.code == 0
    assert "grid 2, k = 0.2% *" in done.out
    assert done.out.count("too few") == 7


def test_files(tmp_path: Path, call: Call) -> None:
    done = call("plan", "--size", "64x64", "-o", tmp_path / "out")
    assert done.code == 0
    assert str(tmp_path / "out") in done.out.replace("\n", "")
    assert len(list((tmp_path / "out").glob("[!.]*"))) == 4
    again = call("plan", "--size", "64x64", "-o", tmp_path / "out")
    assert again.is_one_line_error("no earlier results")


def test_time_of_a_model(workplace: Path, call: Call) -> None:
    done = call("plan", "--size", "20x30", "--model", "python:tiny_models:by_brightness")
    assert (done.code, done.err) == (0, "")
    assert "time: " in done.out


def test_advice_for_a_time_budget(workplace: Path, call: Call) -> None:
    model = ("--model", "python:tiny_models:by_brightness")
    done = call("plan", "--size", "20x30", *model, "--seconds", 2)
    assert (done.code, done.err) == (0, "")
    assert "within 2 seconds" in done.out
    assert "advice: -n " in done.out
    assert "advice: " in call("plan", "--size", "20x30", *model, "--seconds", 1e-6).out
    record = json.loads(call("plan", "--size", "20x30", *model, "--seconds", 2, "--json").out)
    assert record["offers"][0]["precision"] == "float32"


def test_the_model_says_how_many_classes(call: Call) -> None:
    done = call("plan", "--size", "32x32", "--model", "certiseg:camvid", "--json")
    record = json.loads(done.out)
    assert record["request"]["num_classes"] == 11
    assert record["seconds"] == pytest.approx(100 * record["seconds_per_pass"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--size or --points"),
        (("--size", "8x8", "--points", "64"), "--size or --points"),
        (("--size", "8"), "HEIGHTxWIDTH"),
        (("--size", "-3x8"), "HEIGHTxWIDTH"),
        (("--size", "0x8"), "HEIGHTxWIDTH"),
        (("--size", "8x8", "--tau", "0.6", "--radius", "0.1"), "--tau or --radius"),
        (("--size", "8x8", "--tau", "0.4"), "expected tau"),
        (("--size", "8x8", "--radius", "9"), "within reach"),
        (("--size", "8x8", "--sigma", "0"), "sigma > 0"),
        (("--size", "8x8", "--alpha", "1"), "expected alpha"),
        (("--size", "8x8", "-n", "0"), "draws (-n)"),
        (("--size", "8x8", "--num-classes", "1"), "classes"),
        (("--size", "8x8", "--grid", "0"), "grid"),
        (("--size", "8x8x8", "--grid", "2"), "an image with a grid, got 8 x 8 x 8 voxels"),
        (("--size", "8x8x8x8"), "DEPTHxHEIGHTxWIDTH of a volume"),
        (("--points", "8", "--grid", "2"), "an image with a grid, got 8 points"),
        (("--size", "8x8", "--budget", "65"), "budget"),
        (("--size", "8x8", "--budget", "0"), "budget"),
        (("--size", "8x8", "--budget", "some"), "--budget"),
        (("--points", "8", "--model", "certiseg:camvid"), "an image or a volume to time"),
        (("--size", "8x8", "--model", "nothing"), "expected a model"),
    ],
)
def test_bad_calls(
    tmp_path: Path, monkeypatch, call: Call, arguments: tuple[str, ...], word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("plan", *arguments, "-o", "out").is_one_line_error(word)
    assert list(tmp_path.iterdir()) == []


def test_a_volume_has_as_many_hypotheses_as_voxels(call: Call) -> None:
    done = call("plan", "--size", "96x96x96", "--num-classes", "3", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["rows"]
    assert {row["components"] for row in rows} == {96**3}
    # 96 x 96 x 96 as points: the same numbers.
    again = call("plan", "--points", str(96**3), "--num-classes", "3", "--json")
    assert json.loads(again.out)["rows"] == rows
    assert "96 x 96 x 96 voxels" in call("plan", "--size", "96x96x96").out


def test_options_of_a_model_need_one(call):
    done = call("plan", "--size", "8x8", "--scales", "0.5")
    assert done.is_one_line_error("expected --model with --scales, got none")
    assert call("plan", "--size", "8x8", "--num-classes", 3).code == 0
