"""One table of data sets by name: the page, the help and the readers agree."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from certiseg.errors import InputError
from certiseg.hierarchies import load_hierarchy, shipped_hierarchies
from certiseg.runs.pictures import PACKAGED, PICTURES, ROOTED, open_pictures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


def test_the_page_has_a_row_for_each() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (\d+) \|", text, flags=re.MULTILINE))
    assert set(rows) == set(PICTURES)
    for name, reader in {**ROOTED, **PACKAGED}.items():
        card = importlib.import_module(reader.__module__).CARD
        assert card.num_classes == int(rows[name])
        assert len(set(card.classes)) == card.num_classes
        assert all(0 <= part <= 255 for colour in card.palette for part in colour)
        assert card.source
        assert card.licence


def test_shipped_trees_have_the_classes_of_their_data_set() -> None:
    for name in shipped_hierarchies():
        reader = ROOTED[name.replace("_", "-")]
        card = importlib.import_module(reader.__module__).CARD
        assert load_hierarchy(name).classes == card.classes


@pytest.mark.parametrize("name", ROOTED)
def test_a_folder_of_something_else_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="expected") as error:
        open_pictures(name, tmp_path, "val", "or none")
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)
