"""Help in sections: each option once, each section of options that exist."""

from __future__ import annotations

import inspect
import re

import pytest

from certiseg.cli.certify import certify
from certiseg.cli.evaluate import evaluate
from certiseg.cli.main import run
from certiseg.cli.sections import SECTIONS


def test_each_name_is_a_parameter_and_stands_in_one_section() -> None:
    names = [name for section in SECTIONS.values() for name in section]
    assert len(names) == len(set(names))
    known = {*inspect.signature(certify).parameters, *inspect.signature(evaluate).parameters}
    assert set(names) <= known


@pytest.mark.parametrize("command", [certify, evaluate])
def test_help_shows_every_option_once(command, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command.__name__, "--help"]) == 0
    out = capsys.readouterr().out.split("\nExamples:\n")[0]
    titles = re.findall(r"^(\S.*):$", out, re.MULTILINE)
    assert titles == [t for t in ("Arguments", "Options", *SECTIONS) if t in titles]
    own = _parameters(command)
    assert {title for title, names in SECTIONS.items() if own & set(names)} <= set(titles)
    shown = re.findall(r"^  (?:-\w, )?--([\w-]+)", out, re.MULTILINE)
    # Arguments have no dashes; help is of no function.
    assert len(shown) == len(set(shown)) == len(_parameters(command))
    assert "report" in shown or command is certify


def _parameters(command) -> set[str]:
    return {*inspect.signature(command).parameters, "help"} - {"files"}
