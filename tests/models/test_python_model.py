"""python:MODULE:FUNCTION: the files that made a model are part of its certificates."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import certiseg as cs
from certiseg.cli.main import run
from certiseg.models.python_model import origin_of
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings

FILES = {
    "o1_models.py": (
        "import json, torch\nfrom o1_parts import layers, tail as last\n"
        "from o1_parts.deep.er import by\ndef build():\n    from o1_late import change\n"
        "    return lambda x: change(layers(x)) * by\n"
    ),
    "o1_late.py": "def change(x):\n    return x\n",
    "o1_unused.py": "",
    "o1_parts/__init__.py": "",
    "o1_parts/layers.py": "",
    "o1_parts/tail.py": "from . import other\nfrom .deep import *\n",
    "o1_parts/other.py": "from ..o1_late import no\n",
    "o1_parts/deep/__init__.py": "",
    "o1_parts/deep/er.py": "import o1_models\nby = 2\n",
}
FILES["o1_parts/__init__.py"] = "def layers(x):\n    return x\ntail = 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("o1_")]:
        del sys.modules[name]


def test_all_files_of_the_folder_that_it_imports_count(folder: Path) -> None:
    loaded = open_model("python:o1_models:build")
    assert loaded.origin is not None
    assert loaded.origin.files == {
        name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in FILES.items()
        if name != "o1_unused.py"
    }
    (folder / "o1_unused.py").write_text("1")
    assert origin_of("python:o1_models:build") == loaded.origin
    (folder / "o1_parts/deep/er.py").write_text("by = 3")
    assert origin_of("python:o1_models:build") != loaded.origin


def test_installed_modules_are_told_by_their_version() -> None:
    origin = origin_of("python:torch.nn.functional:relu")
    assert origin is not None
    assert len(origin.files) == 1


def test_other_models_have_no_files() -> None:
    assert origin_of("certiseg:camvid") is None
    assert origin_of("python:sys:exit") == type(origin_of("python:sys:exit"))("python:sys:exit")  # type: ignore[misc]


def test_the_certificate_names_them_and_verify_shows_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(sigma=0.25, num_samples=40, seed=1)
    smoothed = settings.smoothed(open_model("python:o1_models:build"))
    x = torch.rand(3, 4, 5)
    certificate = smoothed.certify(x, 40, seed=1)
    source = certificate.votes.source
    assert source is not None
    digest = hashlib.sha256(FILES["o1_models.py"].encode()).hexdigest()
    assert source.code["o1_models.py"] == digest
    assert source.not_covered == ()
    certificate.save(folder / "x.cert.npz")
    assert run(["verify", str(folder / "x.cert.npz")]) == 0
    assert f'"o1_models.py" {digest[:12]}, ' in capsys.readouterr().out
    again = cs.Certificate.load(folder / "x.cert.npz").votes
    assert again.source == source
    # Another text of the same function: what it computes is the same, the file is not.
    (folder / "o1_late.py").write_text("# said\ndef change(x):\n    return x\n")
    other = settings.smoothed(open_model("python:o1_models:build")).vote(
        x, 40, seed=1, first_draw=40
    )
    assert other.source is not None
    assert other.source.model == source.model
    with pytest.raises(cs.InputError, match="different code"):
        again + other
