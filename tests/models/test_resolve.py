"""Names after --model: the four forms, and everything else as one line that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from certiseg.errors import InputError
from certiseg.models.resolve import resolve_model

SOURCE = """
from torch import nn

def build():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout())
    net.num_classes = 4
    return net

def plain():
    return lambda x: x

def nothing():
    return None

number = 5
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "h1_toy_models.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return "h1_toy_models"


def test_shipped() -> None:
    loaded = resolve_model("certiseg:mni152")
    assert loaded.num_classes == 3
    assert loaded.classes == ("background", "grey matter", "white matter")
    assert loaded.channels == 1
    assert loaded.palette is not None
    assert len(loaded.palette) == 3


def test_python_function_of_the_current_folder(module: str) -> None:
    loaded = resolve_model(f"python:{module}:build")
    assert isinstance(loaded.model, nn.Module)
    assert not loaded.model.training
    assert loaded.num_classes == 4
    assert resolve_model(f"python:{module}:plain").num_classes is None


@pytest.mark.parametrize(
    ("tail", "word"),
    [
        ("{m}", "python:MODULE:FUNCTION"),
        ("{m}:", "python:MODULE:FUNCTION"),
        ("no_such_module_here:f", "importable module"),
        ("{m}:missing", "expected a function 'missing'"),
        ("{m}:number", "got int"),
        ("{m}:nothing", "got NoneType"),
    ],
)
def test_python_errors(module: str, tail: str, word: str) -> None:
    with pytest.raises(InputError, match=word) as error:
        resolve_model("python:" + tail.format(m=module))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec", ["", "street", "certiseg", "weights.pt", "hf:nvidia/segformer"])
def test_other_words_list_the_forms(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        resolve_model(spec)
    for form in ("certiseg:NAME", "python:MODULE:FUNCTION", "Hugging Face", "certiseg train"):
        assert form in str(error.value)
