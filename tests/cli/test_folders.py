"""Every command that writes a folder: alone in it, and over nothing that it did not write."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from certiseg.files.folders import locked
from made_runs import made_run

Call = Callable[..., Any]
MODEL = ("--model", "python:tiny_models:by_brightness", "-n", 60)
PAIR = ("--images", "images", "--labels", "labels")
CLASSES = ("--num-classes", 3)
VAL = ("--val-images", "images", "--val-labels", "labels")
TRAIN = ("--data", "folder", "--classes", 3, "--sigma", 0)
COMMANDS = {
    "certify": (("certify", "bands.png", *MODEL, "-o", "out"), "bands.overlay.png"),
    "evaluate": (("evaluate", *PAIR, *MODEL, *CLASSES, "-o", "out"), "table.csv"),
    "report": (("report", "run", "--figures", "out", "--images", 1), "0000-one.svg"),
    "plan": (("plan", "--size", "8x8", "-o", "out"), "plan.csv"),
    "study": (("study", "synthetic", "--quick", "--repetitions", 2, "-o", "out"), "gamma.png"),
    "bench": (("bench", "overhead", "--quick", "-o", "out"), "overhead.csv"),
    "demo": (("demo", "--clouds", "--images", 1, "-n", 60, "-o", "out"), "results.jsonl"),
    "train": (("train", *TRAIN, *PAIR, *VAL, "--epochs", 1, "-o", "out"), "card.json"),
    "reproduce": (
        ("reproduce", "shapenet-rotation", "--data", "solids", "--limit", 1, "-o", "out"),
        "table.tex",
    ),
}
"""What is called, and a file that it would write."""


@pytest.fixture
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("certiseg.runs.malloc.keep_freed_memory", lambda: False)
    made_run(workplace / "run", ("one",))
    for folder, name in (("images", "bands.png"), ("labels", "truth.png")):
        (workplace / folder).mkdir()
        Image.open(workplace / name).save(workplace / folder / "one.png")
    return workplace


@contextmanager
def held_by_another(folder: Path) -> Iterator[None]:
    """Another thread holds it, as good as another process: see tests/files/test_folders.py."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(folder):
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


def assert_refused(done: Any, *words: str) -> None:
    """As ``is_one_line_error``; progress may have ended in an empty line."""
    assert (done.code, done.out.strip(), done.err.count("\n")) == (2, "", 1), done
    assert all(word in done.err for word in words), done.err


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_commands_write_alone_and_over_nothing_of_others(place: Path, call: Call, name: str):
    command, file = COMMANDS[name]
    (place / "out").mkdir()
    with held_by_another(place / "out"):
        done = call(*command)
        assert_refused(done, f"process {os.getpid()} on", "out to be free")
    theirs = place / "out" / file
    theirs.write_text("theirs")
    overwrites = [(), ("--overwrite",)][: 1 if name in ("report", "demo") else 2]
    for more in overwrites:
        done = call(*command, *more)
        assert_refused(done, file, "move it away")
    theirs.unlink()
    (place / "link").symlink_to("out")
    linked = ["link" if word == "out" else word for word in command]
    assert_refused(call(*linked), "symbolic link", "link")
    # What was there before stays, and nothing else came.
    assert {path.name for path in (place / "out").iterdir()} <= {".certiseg-files"}


@pytest.mark.slow
def test_an_overwritten_run_leaves_what_it_did_not_write(place: Path, call: Call) -> None:
    command, _ = COMMANDS["evaluate"]
    assert call(*command, "--radius-map").code == 0
    out = place / "out"
    theirs = [out / "notes.txt", *(out / f / "9999-mine.json" for f in ("samples", "views"))]
    for path in theirs:
        path.write_text("theirs")
    assert call(*command).is_one_line_error("--overwrite")
    assert (out / "curve.csv").exists()
    assert call(*command, "--overwrite").code == 0
    assert not (out / "curve.csv").exists()
    assert {path.read_text() for path in theirs} == {"theirs"}
    # A file of theirs under the name of a sample, and a folder that leads elsewhere.
    record = out / "samples" / "0000-one.json"
    (out / "run.json").write_text("{")
    refused = call(*command, "--overwrite")
    assert refused.code == 2
    assert "0000-one.json" in refused.err.splitlines()[-1]
    assert "move it away" in refused.err.splitlines()[-1]
    for part in ("samples", "views", "certificates"):
        (out / part).rename(place / part)
        (out / part).symlink_to(place / part)
    done = call(*command, "--overwrite")
    assert done.code == 2
    assert "symbolic link out/samples" in done.err.splitlines()[-1]
    assert record.exists()


@pytest.mark.slow
def test_a_report_replaces_reports_alone(place: Path, call: Call) -> None:
    assert call("report", "run").code == 0
    assert call("report", "run").code == 0
    page = place / "report.html"
    page.write_text("<!doctype html><title>theirs</title>")
    assert call("report", "run").is_one_line_error("report.html", "move it away")
    assert "theirs" in page.read_text()
    (place / "link.html").symlink_to("report.html")
    assert call("report", "run", "-o", "link.html").is_one_line_error("symbolic link")
    assert call("report", "run", "-o", "images").is_one_line_error("images", "move it away")
    # What a run finds in the way of its page, it finds before it draws.
    (place / "out").mkdir()
    (place / "out" / "report.html").write_text("theirs")
    assert call(*COMMANDS["evaluate"][0]).is_one_line_error("report.html")


def test_certify_leaves_foreign_results_alone(place: Path, call: Call) -> None:
    (place / "out").mkdir()
    theirs = place / "out" / "results.jsonl"
    theirs.write_text('{"name": "theirs"}\n')
    done = call(*COMMANDS["certify"][0])
    assert done.is_one_line_error("results.jsonl", "move it away")
    assert theirs.read_text() == '{"name": "theirs"}\n'


def test_a_demonstration_replaces_no_evaluation(place: Path, call: Call) -> None:
    assert_refused(call("demo", "--clouds", "--images", 1, "-n", 60, "-o", "run"), "run.json")
    assert (place / "run" / "samples" / "0000-one.json").exists()
