"""The examples in the help name options and commands that there are."""

from __future__ import annotations

import re

import pytest

from certiseg.cli.examples import EXAMPLES
from certiseg.cli.main import run


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_are_shown_and_name_what_there_is(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    out, shown = capsys.readouterr().out.split("\nExamples:\n")
    assert [line.removeprefix("  ") for line in shown.splitlines()] == list(EXAMPLES[command])
    known = set(re.findall(r"(?<![\w-])--?[\w-]+", out))
    whole = shown.replace("\\\n", " ")
    for line in whole.strip().splitlines():
        words = line.split()
        assert words[:2] == ["certiseg", command]
        if command != "bench":
            assert {word for word in words if word.startswith("-")} <= known


def test_completion_knows_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_CERTISEG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "certiseg ver")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit, match="0"):
        run([])
    assert capsys.readouterr().out.split() == ["verify"]
