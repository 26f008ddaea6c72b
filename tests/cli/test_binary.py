"""`--binary` and `--multi-label`: models with one channel, and with channels that overlap."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import certiseg as cs

Call = Callable[..., Any]
MODELS = """
import torch
import certiseg as cs
from tiny_models import smooth_brightness


def likely(x):
    return smooth_brightness(x).clamp(0, 1)


def probability():
    return likely


def logit():
    return lambda x: 8 * (smooth_brightness(x) - 0.5)


def declared():
    return cs.Binary(likely)


def maps():
    return lambda x: torch.cat([likely(x), 1 - likely(x) / 2], 1)
"""


@pytest.fixture(autouse=True)
def models(workplace: Path) -> None:
    (workplace / "binary_models.py").write_text(MODELS)


def certified(call: Call, name: str, *options: object) -> tuple[dict[str, Any], cs.Certificate]:
    model = f"python:binary_models:{name}"
    done = call("certify", "bands.png", "-m", model, *options, "--seed", 3, "-o", name)
    assert done.code == 0, done.err
    certificate = cs.Certificate.load(Path(name) / "bands.cert.npz")
    cs.verify(certificate)
    (record,) = map(json.loads, (Path(name) / "results.jsonl").read_text().splitlines())
    return record, certificate


def test_a_probability_and_its_logit_certify_the_same(call: Call) -> None:
    record, certificate = certified(call, "probability", "--binary", "probability")
    assert set(record["labels"]) == {"background", "foreground"}
    assert min(record["labels"].values()) > 0
    assert "exceeds 0.5" in record["statement"]
    for name, options in (("logit", ("--binary", "logit")), ("declared", ())):
        other, again = certified(call, name, *options)
        assert other["labels"] == record["labels"]
        assert np.array_equal(again.labels, certificate.labels)


def test_the_threshold_is_on_the_probability(call: Call) -> None:
    record, _ = certified(call, "probability", "--binary", "probability:0.2")
    assert "exceeds 0.2, else 0" in record["statement"]
    assert record["labels"]["foreground"] > 300


def test_overlapping_maps(workplace: Path, call: Call) -> None:
    record, certificate = certified(call, "maps", "--binary", "probability", "--multi-label")
    counts = {
        f"map {k}": {
            name: int((labels == value).sum())
            for value, name in enumerate(("background", "foreground"))
        }
        for k, labels in enumerate(certificate.labels)
    }
    assert record["labels"] == counts
    assert (record["size"], certificate.labels.shape) == ([20, 30], (2, 20, 30))
    assert "2 overlapping binary maps of 20 x 30" in record["statement"]
    done = call("verify", "maps/bands.cert.npz")
    assert done.code == 0
    with Image.open(workplace / "maps" / "bands.overlay.png") as picture:
        assert picture.width > 2 * 400  # one beside the other
    record, _ = certified(
        call, "maps", "--binary", "probability", "--multi-label", "--radius-map", "--overwrite"
    )
    assert (workplace / "maps" / "bands.radius.png").is_file()


def test_a_single_map_has_one_name(call: Call) -> None:
    Path("lung.txt").write_text("lung\n")
    declared = ("--binary", "probability", "--multi-label")
    record, _ = certified(call, "probability", *declared, "--names", "lung.txt")
    assert set(record["labels"]) == {"lung"}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("probability", (), ("--binary",)),
        ("probability", ("--num-classes", 2), ("--binary",)),
        ("logit", ("--binary", "probability"), ("[0, 1]", "--binary logit")),
        ("maps", ("--binary", "probability"), ("one channel", "--multi-label")),
        ("probability", ("--multi-label",), ("expected --binary with --multi-label",)),
        ("probability", ("--binary", "sigmoid"), ("probability, logit", "sigmoid")),
        ("probability", ("--binary", "probability", "--num-classes", 3), ("--num-classes 2",)),
        ("declared", ("--binary", "logit"), ("source states",)),
        ("probability", ("--scales", "0.5"), ("--binary",)),
        (
            "maps",
            ("--binary", "probability", "--multi-label", "--names", "three.txt"),
            ("a name for each of 2 overlapping maps, got 3",),
        ),
        (
            "probability",
            ("--binary", "probability", "--names", "one.txt"),
            ("expected 2 names", "got 1"),
        ),
        ("probability", ("--names", "one.txt"), ("at least 2 classes, got 'a' alone",)),
        (
            "probability",
            ("--binary", "probability", "--multi-label", "--names", "empty.txt"),
            ("got 0 lines; name 1 to 254 classes or maps",),
        ),
        (
            "probability",
            ("--binary", "probability", "--resize", "8x8", "--windows", 8),
            ("expected --resize or --windows",),
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    name: str, options: tuple[object, ...], words: tuple[str, ...], call: Call
) -> None:
    for number, file in enumerate(("empty.txt", "one.txt", "two.txt", "three.txt")):
        Path(file).write_text("a\nb\nc\n"[: 2 * number])
    model = f"python:binary_models:{name}"
    done = call("certify", "bands.png", "-m", model, *options, "-o", "out")
    assert done.is_one_line_error(*words), done.err


def test_a_commitment_fixes_the_threshold(call: Call) -> None:
    model = ("bands.png", "-m", "python:binary_models:probability")
    done = call("certify", *model, "--binary", "probability", "--commit", "c.json")
    assert done.code == 0, done.err
    other = ("--binary", "probability:0.4", "--commitment", "c.json", "-o", "out")
    assert call("certify", *model, *other).is_one_line_error("committed to")
    same = ("--binary", "probability", "--commitment", "c.json", "-o", "out")
    done = call("certify", *model, *same)
    assert done.code == 0, done.err
    assert call("verify", "out/bands.cert.npz", "--commitment", "c.json").code == 0


def test_evaluate_reads_it_and_refuses_overlapping_maps(workplace: Path, call: Call) -> None:
    for name in ("images", "labels"):
        (workplace / name).mkdir()
    values = np.linspace(0, 255, 30).astype(np.uint8) * np.ones((20, 1), np.uint8)
    Image.fromarray(np.stack([values] * 3, -1)).save("images/a.png")
    Image.fromarray((values > 127).astype(np.uint8)).save("labels/a.png")
    data = ("--images", "images", "--labels", "labels", "--no-report", "-o", "eval")
    model = ("-m", "python:binary_models:probability", "--binary", "probability")
    done = call("evaluate", *model, *data)
    assert done.code == 0, done.err
    record = json.loads((workplace / "eval" / "results.json").read_text())
    assert "foreground" in json.dumps(record)
    manifest = json.loads((workplace / "eval" / "run.json").read_text())
    declared = {"output": "probability", "threshold": 0.5, "multi_label": False}
    assert (manifest["binary"], manifest["non_robust_binary"]) == (declared, None)
    (workplace / "binary_models.py").write_text(
        MODELS + "\n\ndef many():\n    return cs.Binary(maps(), multi_label=True)\n"
    )
    sys.modules.pop("binary_models")
    done = call("evaluate", "-m", "python:binary_models:many", *data[:-1], "many")
    assert done.is_one_line_error("overlapping maps"), done.err


def test_other_commands_take_it(call: Call) -> None:
    model = ("-m", "python:binary_models:probability", "--binary", "probability")
    done = call("plan", "--size", "20x30", *model, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["request"]["num_classes"] == 2
    done = call("bench", "overhead", *model, "--quick", "--turns", 1, "--json")
    assert done.code == 0, done.err
