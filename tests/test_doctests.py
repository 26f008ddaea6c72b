"""Docstrings of public names have Google's sections; their examples run and print what they say."""

from __future__ import annotations

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import certiseg

SOURCE = Path(certiseg.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(import_module(name))
    assert results.failed == 0


@pytest.mark.parametrize("name", sorted(certiseg.__all__))
def test_public_names_are_documented(name: str) -> None:
    """A summary, every parameter or attribute by its name, what is raised, an example."""
    public = getattr(certiseg, name)
    if not (inspect.isclass(public) or inspect.isfunction(public)):
        return
    text = inspect.getdoc(public) or ""
    assert re.match(r"[A-Z][^.:]*[.:]", text), "a summary"
    if inspect.isclass(public) and (issubclass(public, Exception) or public.__bases__ != (object,)):
        return
    sections = dict(re.findall(r"^(\w+):\n((?:(?: .*)?\n?)+)", text, re.MULTILINE))
    if inspect.isfunction(public):
        given = list(inspect.signature(public).parameters)
        assert {"Args", "Raises"} <= set(sections)
    else:
        given = [n for n in inspect.signature(public).parameters if not n.startswith("_")]
    said = sections.get("Args", "") + sections.get("Attributes", "")
    missing = [n for n in given if not re.search(rf"^    (\w+, )*{n}(, \w+)*:", said, re.MULTILINE)]
    assert missing == []
