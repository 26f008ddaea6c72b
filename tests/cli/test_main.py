"""How a call of the command line ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certiseg import __version__
from certiseg.cli import ending, main
from certiseg.errors import ClaimError, InputError

Call = Callable[..., Any]


@pytest.mark.parametrize(
    "command", [(), ("demo",), ("certify",), ("evaluate",), ("train",), ("verify",)]
)
def test_help(call: Call, command: tuple[str, ...]) -> None:
    done = call(*command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(" ".join(("Usage: certiseg", *command)))


def test_help_loads_no_torch() -> None:
    code = (
        "import sys; from certiseg.cli.main import run; code = run(['certify', '--help']);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_version_and_bare_call(call: Call) -> None:
    assert call("--version").out == f"certiseg {__version__}\n"
    bare = call()
    assert bare.code == 0
    assert "verify" in bare.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("polish",), "polish"),
        (("certify",), "files"),
        (("certify", "a.png"), "--model"),
        (("certify", "a.png", "--model", "m"), "--out"),
        (("certify", "a.png", "--nonsense"), "--nonsense"),
        (("verify",), "files"),
    ],
)
def test_usage_error_is_one_line(call: Call, arguments: tuple[str, ...], word: str) -> None:
    assert call(*arguments).is_one_line_error(word)


def failing(error: BaseException) -> Any:
    """A function that raises the error, in no file of the user's."""
    made: dict[str, Any] = {"error": error}
    exec("def fail(**_):\n    raise error", made)
    return made["fail"]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("expected a,\n got b"), 2, "error: expected a, got b"),
        (ClaimError("no"), 1, "error: no"),
        (
            KeyboardInterrupt(),
            130,
            "error: interrupted; files already written are whole",
        ),
        (
            OSError(28, "No space left on device", "x.png"),
            2,
            "error: expected to read and write files, got No space left on device at x.png; "
            "correct it and call again, files already written are whole",
        ),
    ],
)
def test_errors_end_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    monkeypatch.setattr(main, "app", failing(error))
    done = call("demo")
    assert (done.code, done.out, done.err.strip()) == (code, "", line)


def test_other_errors_are_one_line_and_the_traceback_is_one_option_away(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw must not look like a failed claim (exit 1), as a traceback would."""
    monkeypatch.setattr(main, "app", failing(ZeroDivisionError("by zero")))
    result = call("demo")
    assert result.code == 2
    assert "unexpected ZeroDivisionError: by zero" in result.err
    assert "Traceback" not in result.err
    for shown in (call("demo", "--traceback"), call("--traceback", "demo")):
        assert (shown.code, shown.err.splitlines()[0][:9]) == (2, "Traceback")
        assert shown.err.splitlines()[-1] == result.err.strip()
    monkeypatch.setenv(ending.TRACEBACK, "1")
    assert "Traceback" in call("demo").err


def test_the_console_script_returns_the_code(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "certiseg.cli.main", "verify", tmp_path / "none.npz"]
    assert subprocess.run(script, capture_output=True).returncode == 2


def test_ctrl_c_inside_a_command_is_said(call: Callable[..., Any], monkeypatch: Any) -> None:
    """typer turns it into an exit code of its own, without a word."""

    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("certiseg.runs.plan.plan", interrupt)
    done = call("plan", "--size", "8x8")
    assert done.code == 130
    assert done.err.startswith("error: interrupted")
