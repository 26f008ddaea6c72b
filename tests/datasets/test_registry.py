"""One table of data sets by name: the page, the help and the readers agree; others add to it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from certiseg.cli.main import run
from certiseg.datasets.card import Card
from certiseg.datasets.registry import (
    BUNDLED,
    cloud_set,
    data_set,
    data_sets,
    names,
    open_clouds,
    open_images,
)
from certiseg.errors import InputError
from certiseg.hierarchies import load_hierarchy, shipped_hierarchies
from certiseg.models.loaded import LoadedModel
from certiseg.runs.samples import open_samples

LOADED = LoadedModel(model=nn.Identity(), name="m", num_classes=2, channels=3)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"
PICTURES = {name: entry for name, entry in BUNDLED.items() if entry.kind == "images"}

YARD = '''
"""Grey pictures, dark at the left and bright at the right, as another package brings them."""
import numpy as np
from certiseg.datasets.card import Card, Sample
from certiseg.datasets.registry import DataSet

CARD = Card("yard", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)), 3, "made up", "none")

class Yard:
    card = CARD
    def __len__(self): return 5
    def __getitem__(self, index):
        x = np.zeros((3, 8, 8), dtype=np.float32)
        x[..., 4:] = 1
        return Sample(f"yard-{index}", x, (x[0] > 0.5).astype(np.uint8))

def yard(root, split):
    assert (root / split).is_dir()
    return Yard()

YARD = DataSet(yard, root="pass the yard's folder")
WRONG = 7
'''


def _card(name: str) -> Card:
    read = BUNDLED[name].read
    assert isinstance(read, str)
    card: Card = importlib.import_module(read.partition(":")[0]).CARD
    return card


def test_the_page_has_a_row_for_each() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (\d+) \|", text, flags=re.MULTILINE))
    assert set(rows) == set(PICTURES)
    for name in PICTURES:
        card = _card(name)
        assert card.num_classes == int(rows[name])
        assert len(set(card.classes)) == card.num_classes
        assert all(0 <= part <= 255 for colour in card.palette for part in colour)
        assert card.source
        assert card.licence


def test_shipped_trees_have_the_classes_of_their_data_set() -> None:
    for name in shipped_hierarchies():
        assert load_hierarchy(name).classes == _card(name.replace("_", "-")).classes


@pytest.mark.parametrize("name", [name for name, entry in PICTURES.items() if entry.root])
def test_a_folder_of_something_else_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="expected") as error:
        open_images(name, tmp_path, "val", "or none")
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_names_and_roots_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected --data camvid, .*nuclei, a .yaml file, or x"):
        open_images("solids", None, "val", "or x")
    with pytest.raises(
        InputError, match="expected --data solids or shapenet or clouds, got 'camvid'"
    ):
        cloud_set("camvid")
    with pytest.raises(InputError, match="expected --root with --data camvid"):
        open_images("camvid", None, "val", "")
    with pytest.raises(InputError, match=r"no --root with --data mni152, .*with a package"):
        open_images("mni152", tmp_path, "val", "")
    with pytest.raises(InputError, match=r"no --root with --data x.yaml, .*stand in the file"):
        open_images("x.yaml", tmp_path, "val", "")
    with pytest.raises(InputError, match=r"no --root with --data solids, .*is generated"):
        open_clouds("solids", channels=3, root=tmp_path)
    with pytest.raises(InputError, match="no --skip-bad with --data solids"):
        open_clouds("solids", channels=3, skip_bad=True)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The site folder with a package that has a data set; what its entry point names is written
    by the test."""
    site = tmp_path / "site"
    (site / "yard-1.0.dist-info").mkdir(parents=True)
    (site / "yard_data.py").write_text(YARD)
    (site / "yard-1.0.dist-info" / "METADATA").write_text("Name: yard\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(site))
    data_sets.cache_clear()
    yield site
    data_sets.cache_clear()


def _names_entry(site: Path, text: str) -> None:
    points = site / "yard-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[certiseg.datasets]\n{text}\n")


def test_another_package_adds_a_data_set(installed: Path, tmp_path: Path) -> None:
    _names_entry(installed, "yard = yard_data:YARD\nvoc = yard_data:YARD")
    assert "yard" in names("images")
    assert data_set("voc", "images") is BUNDLED["voc"]
    (tmp_path / "data" / "val").mkdir(parents=True)
    samples = open_samples(LOADED, data="yard", root=tmp_path / "data", limit=3)
    assert len(samples) == 3
    assert samples[0].name == "yard-0"
    with pytest.raises(InputError, match=r"expected --root with --data yard, .*the yard's folder"):
        open_samples(LOADED, data="yard")
    (tmp_path / "data" / "train").mkdir()
    given = ["--data", "yard", "--root", str(tmp_path / "data"), "--sigma", "0.1", "--epochs", "1"]
    given += ["--widths", "4,6", "--blocks", "0,1", "-o", str(tmp_path / "model")]
    assert run(["train", *given]) == 0
    assert "PATH/TO/data" in (tmp_path / "model" / "CARD.md").read_text()


def test_an_entry_point_that_is_no_data_set(installed: Path) -> None:
    _names_entry(installed, "yard = yard_data:WRONG")
    with pytest.raises(InputError, match="DataSet at the entry point yard, got int"):
        names("images")
