"""Weights and card on disk: the round trip, and files that do not belong together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from certiseg.errors import InputError
from certiseg.models.networks import TrainedModel
from certiseg.models.pointnet.parts import TrainedClouds
from certiseg.models.serialization import (
    KIND,
    Trained,
    load_folder,
    load_trained,
    to_bytes,
)
from tiny_pointnet import TINY, some_clouds

CARD: dict[str, Any] = {
    "kind": KIND,
    "architecture": {
        "in_channels": 1,
        "num_classes": 3,
        "widths": [4, 6],
        "blocks": [0, 1],
        "mean": [0.5],
        "std": [0.25],
    },
    "classes": ["a", "b", "c"],
    "palette": [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
    "channels": 1,
}


CLOUD_CARD: dict[str, Any] = {
    "kind": KIND,
    "architecture": {"class": "certiseg.models.pointnet.network.PointNet2", **TINY.record()},
    "classes": ["a", "b", "c", "d", "e"],
    "palette": [[0, 0, 0]] * 5,
    "channels": 3,
    "categories": ["mug", "lamp", "cube"],
    "parts": {"cube": [4], "lamp": [2, 3], "mug": [0, 1]},
}


def _written(folder: Path) -> TrainedModel:
    model = TrainedModel(CARD).eval()
    _write(folder, model, CARD)
    return model


def _write(folder: Path, model: Trained, fields: dict[str, Any]) -> None:
    data = to_bytes(model.network)
    card = {**fields, "weights": {"sha256": hashlib.sha256(data).hexdigest()}}
    (folder / "model.safetensors").write_bytes(data)
    (folder / "card.json").write_text(json.dumps(card))


def test_round_trip_through_half_precision(tmp_path: Path) -> None:
    model = _written(tmp_path)
    loaded = load_folder(tmp_path)
    assert not loaded.training
    assert loaded.num_classes == 3
    for name, value in model.network.state_dict().items():
        again = loaded.network.state_dict()[name]
        assert again.dtype == value.dtype
        expected = value.half().float() if value.is_floating_point() else value
        torch.testing.assert_close(again, expected, rtol=0, atol=0)
    x = torch.rand(1, 1, 9, 11)
    torch.testing.assert_close(load_folder(tmp_path / "model.safetensors")(x), loaded(x))


def test_clouds_come_back_with_their_categories(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = TrainedClouds(CLOUD_CARD).eval()
    _write(tmp_path, model, CLOUD_CARD)
    loaded = load_folder(tmp_path)
    assert isinstance(loaded, TrainedClouds)
    assert not loaded.training
    assert loaded.categories == ("mug", "lamp", "cube")
    assert loaded.parts == {"mug": (0, 1), "lamp": (2, 3), "cube": (4,)}
    assert loaded.network.plan == TINY
    x = some_clouds(1, 60)
    # Half precision changes the third decimal.
    torch.testing.assert_close(loaded.of("lamp")(x), model.of("lamp")(x), rtol=0, atol=1e-2)


def test_an_architecture_of_another_version_is_named(tmp_path: Path) -> None:
    card = {**CLOUD_CARD, "architecture": {"class": "certiseg.models.voxels.Net"}}
    model = TrainedClouds(CLOUD_CARD).eval()
    _write(tmp_path, model, card)
    with pytest.raises(InputError, match=r"got 'certiseg.models.voxels.Net'"):
        load_folder(tmp_path)


def test_edited_weights_are_noticed(tmp_path: Path) -> None:
    _written(tmp_path)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="from different trainings"):
        load_folder(tmp_path)


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    _written(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    card["architecture"]["widths"] = [4, 8]
    with pytest.raises(InputError, match="fit the card's architecture") as error:
        load_trained(card, (tmp_path / "model.safetensors").read_bytes(), "x")
    assert "\n" not in str(error.value)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    _written(tmp_path)
    path = tmp_path / "model.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    card = json.loads((tmp_path / "card.json").read_text())
    card["weights"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="expected weights"):
        load_folder(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[1]", "not json"])
def test_other_cards(tmp_path: Path, text: str) -> None:
    _written(tmp_path)
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(InputError, match="expected"):
        load_folder(tmp_path)


def test_two_classes_of_one_name(tmp_path: Path) -> None:
    """Results by name would hold one of them."""
    _write(tmp_path, TrainedModel(CARD).eval(), {**CARD, "classes": ["a", "b", "a"]})
    with pytest.raises(InputError, match="expected each class once, got 'a' twice; rename one in"):
        load_folder(tmp_path)


def test_missing_weights(tmp_path: Path) -> None:
    _written(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="side by side"):
        load_folder(tmp_path)


def test_overflow_of_half_precision_is_refused() -> None:
    model = TrainedModel(CARD)
    with torch.no_grad():
        next(model.network.parameters()).fill_(1e6)
    with pytest.raises(InputError, match="overflow"):
        to_bytes(model.network)
