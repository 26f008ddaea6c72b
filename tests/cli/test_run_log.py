"""The log of a run as lines of JSON, and the status file in its folder."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certiseg.cli import run_log
from certiseg.cli.ending import Ended
from certiseg.errors import InputError
from certiseg.runs.progress import RunBar

Call = Callable[..., Any]


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def status(out: Path) -> dict[str, Any]:
    found = json.loads((out / "status.json").read_text())
    assert found["format"] == "certiseg-status-1"
    assert found["pid"] == os.getpid()
    assert found["started"] <= found["updated"]
    return found


def work(inputs: int = 3, error: BaseException | None = None) -> None:
    with RunBar(False, inputs, 10) as bar:
        for _ in range(inputs):
            bar.draws(10)
            bar.finish()
    if error is not None:
        raise error


def test_a_run_from_its_start_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "EVERY", 0.0)
    log = tmp_path / "log.jsonl"
    with run_log.logged_run(tmp_path, log):
        assert log.read_text() == ""
        assert not (tmp_path / "status.json").exists()
        work()
        assert status(tmp_path)["state"] == "running"
    said = lines(log)
    assert [line["event"] for line in said] == ["start", *["progress"] * 6, "end"]
    assert [line["done"] for line in said] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [line["draws"] for line in said] == [0, 10, 10, 20, 20, 30, 30, 30]
    assert {(line["what"], line["total"]) for line in said} == {("inputs", 3)}
    assert said[0]["seconds_left"] is None
    assert said[-2]["seconds_left"] == 0
    assert said[-1]["per_second"] > 0
    last = status(tmp_path)
    assert (last["state"], last["exit_code"], last["done"]) == ("finished", 0, 3)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (InputError("expected a,\n got b"), "failed", 2),
        (ZeroDivisionError("by zero"), "failed", 2),
        (KeyboardInterrupt(), "interrupted", 130),
        (Ended(15), "interrupted", 143),
    ],
)
def test_how_it_ended(tmp_path: Path, error: BaseException, state: str, code: int) -> None:
    with pytest.raises(type(error)), run_log.logged_run(tmp_path, tmp_path / "log.jsonl"):
        work(1, error)
    found = status(tmp_path)
    assert (found["state"], found["exit_code"]) == (state, code)
    assert found["message"]
    end = lines(tmp_path / "log.jsonl")[-1]
    assert (end["event"], end["state"], end["exit_code"]) == ("end", state, code)


def test_a_refused_call_leaves_the_status_of_the_run(tmp_path: Path) -> None:
    with run_log.logged_run(tmp_path, None):
        work()
    for _ in range(2):
        with pytest.raises(InputError), run_log.logged_run(tmp_path, tmp_path / "log.jsonl"):
            raise InputError("no such model")
    assert status(tmp_path)["state"] == "finished"
    assert [line["message"] for line in lines(tmp_path / "log.jsonl")] == 2 * ["no such model"]


def test_nobody_elses_file_is_replaced_or_appended_to(tmp_path: Path) -> None:
    for text in ("{}", "[" * 10**5, '{"format": "other"}'):
        (tmp_path / "status.json").write_text(text)
        with pytest.raises(InputError, match="another file"), run_log.logged_run(tmp_path, None):
            work()
        assert (tmp_path / "status.json").read_text() == text
    with (
        pytest.raises(InputError, match="a log of certiseg"),
        run_log.logged_run(tmp_path, tmp_path / "status.json"),
    ):
        work()
    with pytest.raises(InputError, match="--log-json"), run_log.logged_run(tmp_path, tmp_path):
        work()


def test_a_disk_that_takes_no_more_news_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_log, "EVERY", 0.0)
    monkeypatch.setattr(run_log, "atomic_write", full)
    with run_log.logged_run(tmp_path, None):
        work()
    assert capsys.readouterr().err.splitlines() == [
        "note: status and log are no longer written: [Errno 28] No space left on device"
    ]


def test_of_several_ranks_the_first_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in "10":
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", rank)
        with run_log.logged_run(tmp_path, tmp_path / "log.jsonl"):
            work()
        assert (tmp_path / "log.jsonl").exists() == (tmp_path / "status.json").exists()
        assert (tmp_path / "status.json").exists() == (rank == "0")


def test_certify(workplace: Path, call: Call) -> None:
    model = ("-m", "python:tiny_models:by_brightness")
    given = ("certify", "bands.png", *model, "-o", "out", "-n", 70, "--log-json", "log.jsonl")
    assert call(*given).code == 0
    found = status(workplace / "out")
    assert (found["state"], found["done"], found["draws"]) == ("finished", 1, 70)
    assert call(*given).code == 2  # earlier results
    events = [(line["event"], line["exit_code"]) for line in lines(workplace / "log.jsonl")]
    assert events == [("start", None), ("end", 0), ("end", 2)]
