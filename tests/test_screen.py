"""What is printed is never interpreted: not by rich, not by the terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.errors import MarkupError
from rich.table import Table

from certiseg.report.certified import certified_table
from certiseg.screen import Screen, harmless

_FOREIGN = ("[/red]", "[bold]b[/bold]", "[link=file:///x]y[/link]", ":smile:", "a\x1b[2Jb\x9b1m")


def printed(console: type[Console], thing: object) -> str:
    to = io.StringIO()
    console(file=to, width=120, force_terminal=True, color_system=None).print(thing)
    return to.getvalue()


@pytest.mark.parametrize("name", _FOREIGN)
def test_names_stand_as_they_are_in_lines_cells_heads_and_titles(name: str) -> None:
    table = Table(title=name, caption=name)
    table.add_column(name)
    table.add_row(name)
    for thing, times in ((name, 1), (table, 4)):
        shown = printed(Screen, thing)
        assert shown.count(harmless(name)) == times
        assert not re.search(r"[\x07\x1b]\[2J|\x9b", shown)


def test_a_class_with_a_closing_tag_ends_no_run() -> None:
    record = {"name": "[red]x", "size": [2, 2], "abstention": 0.0, "radius": 0.1, "seconds": 1.0}
    table = certified_table([{**record, "labels": {"[/red]": 4}}])
    assert "[red]x" in printed(Screen, table)
    assert "[/red] 100%" in printed(Screen, table)
    with pytest.raises(MarkupError):  # negative control
        printed(Console, table)


def test_one_line_stays_one_line() -> None:
    assert harmless("a\nb\r\x1b[1m\u202ec é中") == "a\\nb\\r\\x1b[1m\\u202ec é中"


def test_nothing_else_makes_a_console_for_what_comes_from_outside() -> None:
    """sampling/progress.py shows numbers alone."""
    source = Path(__file__).parents[1] / "src" / "certiseg"
    makers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))
    }
    assert makers == {"sampling/progress.py"}
