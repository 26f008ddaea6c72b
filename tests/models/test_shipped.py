"""What ships: small, safe, described, and as good as its card says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import certiseg.models.shipped as module
from certiseg.errors import InputError
from certiseg.models.shipped import load_shipped, shipped
from certiseg.training.memory import hold
from certiseg.training.validate import validate

FOLDER = Path(module.__file__).parent / "weights"


def test_names() -> None:
    assert shipped() == ["camvid", "mni152"]


def test_no_other_files_and_no_pickle() -> None:
    assert {path.suffix for path in FOLDER.iterdir()} == {".safetensors", ".json"}


@pytest.mark.parametrize("name", shipped())
def test_small_and_described(name: str) -> None:
    assert (FOLDER / f"{name}.safetensors").stat().st_size <= 1_500_000
    model = load_shipped(name)
    card = model.card
    assert not model.training
    assert model.num_classes == len(card["classes"]) == len(card["palette"])
    assert card["training"]["sigma"] == 0.25
    assert card["training"]["command"].startswith("certiseg train --data ")
    for key in ("seed", "epochs", "torch", "machine", "seconds"):
        assert key in card["training"]
    for key in ("source", "licence", "train", "choice"):
        assert card["data"][key]
    for figures in (card["figures"]["clean"], card["figures"]["one_draw"]):
        assert 0.4 < figures["miou"] < figures["accuracy"] < 1
    text = (FOLDER / f"{name}.json").read_text()
    assert '"/' not in text  # no absolute path of the machine it was trained on


@pytest.mark.parametrize("name", shipped())
def test_runs_at_odd_sizes(name: str) -> None:
    model = load_shipped(name)
    with torch.inference_mode():
        logits = model(torch.rand(1, model.card["channels"], 37, 51))
    assert logits.shape == (1, model.num_classes, 37, 51)


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="camvid, mni152, got 'street'"):
        load_shipped("street")


@pytest.mark.skipif(importlib.util.find_spec("nilearn") is None, reason="nilearn not installed")
def test_card_figures_are_what_the_weights_do() -> None:
    from certiseg.datasets.mni152 import mni152

    model = load_shipped("mni152")
    figures = model.card["figures"]
    seed = figures["one_draw"]["noise_seed"]
    held = hold(mni152("val"))
    for sigma, stated in ((0.0, figures["clean"]), (0.25, figures["one_draw"])):
        found = validate(model, held, sigma, seed)
        # Other CPUs sum in another order, which moves single pixels at class borders.
        assert found.accuracy == pytest.approx(stated["accuracy"], abs=5e-4)
        assert found.miou == pytest.approx(stated["miou"], abs=1e-3)
