"""Names after --model: the forms, and everything else as one line that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from certiseg.errors import InputError
from certiseg.models.resolve import load_model
from plain_pointnet import PlainPointNet
from tiny_pointnet import some_clouds

SOURCE = """
from torch import nn

def build():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout())
    net.num_classes = 4
    return net

def plain():
    return lambda x: x

def clouds():
    def model(x):
        return x
    model.of = lambda category: lambda x: category
    model.num_classes = 2
    return model

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
    loaded = load_model("certiseg:mni152")
    assert loaded.num_classes == 3
    assert loaded.classes == ("background", "grey matter", "white matter")
    assert loaded.channels == 1
    assert loaded.palette is not None
    assert len(loaded.palette) == 3


def test_python_function_of_the_current_folder(module: str) -> None:
    loaded = load_model(f"python:{module}:build")
    assert isinstance(loaded.model, nn.Module)
    assert not loaded.model.training
    assert loaded.num_classes == 4
    assert load_model(f"python:{module}:plain").num_classes is None


def test_clouds_choose_a_model_by_category(module: str) -> None:
    loaded = load_model(f"python:{module}:clouds")
    assert (loaded.kind, loaded.num_classes) == ("clouds", 2)
    assert loaded.of("mug")(0) == "mug"
    with pytest.raises(InputError, match="samples with a category"):
        loaded.of(None)


def test_pictures_and_plain_functions_have_no_categories(module: str) -> None:
    pictures = load_model("certiseg:mni152")
    assert (pictures.kind, pictures.parts) == ("images", None)
    assert pictures.of(None) is pictures.model
    plain = load_model(f"python:{module}:plain")
    assert plain.kind is None
    # A model of clouds that needs no category is itself for all of them.
    assert plain.of("mug") is plain.model


def test_published_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "best_model.pth"
    torch.save({"model_state_dict": PlainPointNet(extra=3).state_dict()}, path)
    loaded = load_model(f"pointnet2:{path}")
    assert (loaded.kind, loaded.num_classes, loaded.channels) == ("clouds", 50, 6)
    assert loaded.parts is not None
    assert list(loaded.parts)[::15] == ["Airplane", "Table"]
    assert loaded.parts["Mug"] == (36, 37)
    assert sorted(label for labels in loaded.parts.values() for label in labels) == [*range(50)]
    with torch.inference_mode():
        labels = loaded.of("Table")(some_clouds(1, 520, 6)).argmax(1)
    assert set(labels.unique().tolist()) <= {47, 48, 49}


def test_published_checkpoint_of_other_classes(tmp_path: Path) -> None:
    torch.save(PlainPointNet(num_classes=7).state_dict(), tmp_path / "own.pth")
    with pytest.raises(InputError, match="50 classes of ShapeNet part, got 16 and 7"):
        load_model(f"pointnet2:{tmp_path / 'own.pth'}")


@pytest.mark.parametrize(
    ("tail", "word"),
    [
        ("{m}", "python:MODULE:FUNCTION"),
        ("{m}:", "python:MODULE:FUNCTION"),
        ("no_such_module_here:f", "importable module"),
        ("{m}:missing", "expected a function 'missing'"),
        ("{m}:number", "got int"),
        ("{m}:nothing", "got None; end the function with: return model"),
    ],
)
def test_python_errors(module: str, tail: str, word: str) -> None:
    with pytest.raises(InputError, match=word) as error:
        load_model("python:" + tail.format(m=module))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec", ["", "street", "certiseg", "net:x", "hrnt:city.pth"])
def test_other_words_list_the_forms(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        load_model(spec)
    for form in (
        "certiseg:NAME",
        "python:MODULE:FUNCTION",
        "Hugging Face",
        "certiseg train",
        "pointnet2:",
    ):
        assert form in str(error.value)


@pytest.mark.parametrize("ending", ["pt", "pth", "ckpt", "bin"])
def test_weights_without_their_code_are_one_line(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{ending}"
    torch.save(nn.Conv2d(3, 4, 1).state_dict(), path)
    with pytest.raises(InputError, match="without their code; build the model") as caught:
        load_model(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["onnx", "pt2", "safetensors", "pth"])
def test_a_file_that_is_not_there_is_said_to_be_missing(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{ending}"
    with pytest.raises(InputError, match="got no such file; check the path"):
        load_model(str(path))
    path.write_bytes(b"no model")  # there: another complaint
    with pytest.raises(InputError) as caught:
        load_model(str(path))
    assert "no such file" not in str(caught.value)
