"""What is printed is never interpreted: not by rich, not by the terminal."""

from __future__ import annotations

import ast
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.errors import MarkupError
from rich.table import Table as RichTable

from certiseg.cli.training_bar import training_bar
from certiseg.report.certified import certified_table
from certiseg.runs.progress import RunBar
from certiseg.screen import Screen, harmless
from certiseg.table import Column, Table

_FOREIGN = ("[/red]", "[bold]b[/bold]", "[link=file:///x]y[/link]", ":smile:", "a\x1b[2Jb\x9b1m")


def printed(console: type[Console], thing: object) -> str:
    to = io.StringIO()
    console(file=to, width=120, force_terminal=True, color_system=None).print(thing)
    return to.getvalue()


@pytest.mark.parametrize("name", _FOREIGN)
def test_names_stand_as_they_are_in_lines_cells_heads_and_titles(name: str) -> None:
    table = RichTable(title=name, caption=name)
    table.add_column(name)
    table.add_row(name)
    for thing, times in ((name, 1), (table, 4)):
        shown = printed(Screen, thing)
        assert shown.count(harmless(name)) == times
        assert not re.search(r"[\x07\x1b]\[2J|\x9b", shown)


def test_a_class_with_a_closing_tag_ends_no_run() -> None:
    record = {"name": "[red]x", "size": [2, 2], "abstention": 0.0, "radius": 0.1, "seconds": 1.0}
    table = certified_table([{**record, "labels": {"[/red]": 4}}])
    for console in (Screen, Console):
        assert "[red]x" in printed(console, table)
        assert "[/red] 100%" in printed(console, table)
    with pytest.raises(MarkupError):  # negative control
        printed(Console, "[/red]")


@pytest.mark.parametrize("name", _FOREIGN)
def test_tables_are_literal_in_any_console(name: str) -> None:
    """Also in one of the user's own, which interprets text."""
    table = Table([Column("a", name, text=True), Column("b", "b")], [{"a": name, "b": 1}] * 2)
    titled = replace(table, title=name, notes=(name,))
    assert printed(Console, titled.rich()).count(harmless(name)) == 5
    assert printed(Console, titled.rich(transposed=True)).count(harmless(name)) == 4


@pytest.mark.parametrize("name", _FOREIGN)
def test_progress_is_literal(name: str) -> None:
    bar = RunBar(True, 3, 0, what=name)
    training = training_bar()
    training.add_task(name, total=3)
    for shown in (bar._bar, training):
        shown.disable = False
        task = shown.tasks[0]
        for column in shown.columns:
            cell = column(task)
            text = getattr(cell, "plain", "")
            assert (
                not text
                or "description" not in getattr(column, "text_format", "")
                or (text == name)
            )


def test_one_line_stays_one_line() -> None:
    assert harmless("a\nb\r\x1b[1m\u202ec é中") == "a\\nb\\r\\x1b[1m\\u202ec é中"


@pytest.mark.parametrize("word", ["Progress", "TextColumn", "Typer"])
@pytest.mark.slow
def test_whoever_shows_text_says_that_it_is_literal(word: str) -> None:
    """Bars are on a Screen, columns that show a field and helps of commands have no markup."""
    source = Path(__file__).parents[1] / "src" / "certiseg"
    needed = {
        "Progress": "console=",
        "TextColumn": r"markup=False|^TextColumn\('[a-z ]*'\)$",
        "Typer": "rich_markup_mode=None",
    }
    found = 0
    for path in source.rglob("*.py"):
        for call in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(call)
            if ast.unparse(call.func).rpartition(".")[2] == word:
                assert re.search(needed[word], text), (path, text)
                found += 1
    assert found >= 2


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_else_makes_a_console_for_what_comes_from_outside() -> None:
    """sampling/progress.py shows numbers alone."""
    source = Path(__file__).parents[1] / "src" / "certiseg"
    makers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))
    }
    assert makers == {"sampling/progress.py"}
