"""torchvision's own models as base models: random weights in files, published ones stood in for."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from certiseg.errors import InputError
from certiseg.models import load_model
from certiseg.models.zoo.torchvision import load_torchvision

SMALL = "lraspp_mobilenet_v3_large"
WITH_AUX = "deeplabv3_mobilenet_v3_large"


def _network(
    name: str, settled: Callable[..., Any], num_classes: int = 5, aux: bool = False
) -> Any:
    from torchvision.models import get_model

    torch.manual_seed(0)
    more = {"aux_loss": True} if aux else {}
    return settled(
        get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, **more)
    )


@pytest.mark.parametrize(
    ("name", "aux"),
    [
        (SMALL, False),
        (WITH_AUX, True),
        (WITH_AUX, False),
        ("fcn_resnet50", True),
        ("deeplabv3_resnet50", False),
    ],
)
def test_logits_are_torchvisions_own(
    name: str, aux: bool, settled: Any, normal: Any, pictures: torch.Tensor, tmp_path: Path
) -> None:
    network = _network(name, settled, aux=aux)
    # As the reference training writes it, and as it is on several GPUs.
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"model": state, "epoch": 3}, tmp_path / "model.pth")
    model = load_torchvision(name, tmp_path / "model.pth")
    with torch.inference_mode():
        wanted = network(normal(pictures))["out"]
        found = model(pictures)
        unnormalised = network(pictures)["out"]
    assert found.shape == (2, 5, 37, 50)
    assert torch.allclose(found, wanted, atol=1e-5 * float(wanted.abs().max()))
    # Negative control: without the normalisation it is another model.
    assert not torch.allclose(found, unnormalised, atol=1e-3 * float(wanted.abs().max()))
    assert (model.num_classes, model.classes) == (5, None)
    assert not any("aux_classifier" in key for key in model.state_dict())


def test_a_picture_is_certified(
    settled: Any, place: Path, certifies: Callable[[str], None]
) -> None:
    torch.save(_network(SMALL, settled).state_dict(), place / "small.pth")
    certifies(f"torchvision:{SMALL}:small.pth")


def test_published_weights_bring_their_classes(
    settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fetching is torchvision's; here it finds random weights at once."""
    state = _network(WITH_AUX, settled, num_classes=21, aux=True).state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: state)
    loaded = load_model(f"torchvision:{WITH_AUX}:DEFAULT")
    assert loaded.num_classes == 21
    assert loaded.classes is not None
    assert loaded.classes[:2] == ("__background__", "aeroplane")
    own = loaded.model.state_dict()
    assert torch.equal(own["base.model.classifier.4.weight"], state["classifier.4.weight"])


def test_without_a_network_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(InputError, match=f"no route to host.*torchvision:{SMALL}:FILE") as error:
        load_model(f"torchvision:{SMALL}:COCO_WITH_VOC_LABELS_V1")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("torchvision:deeplabv3_resnet50", "expected torchvision:NAME:WEIGHTS or"),
        ("torchvision:resnet50:DEFAULT", "a model among deeplabv3_mobilenet_v3_large, "),
        (f"torchvision:{SMALL}:IMAGENET", "among COCO_WITH_VOC_LABELS_V1, DEFAULT or a file, got"),
        (f"torchvision:{SMALL}:none.pth", "or a file, got 'none.pth'"),
        (
            f"torchvision:{SMALL}:other.pth",
            r"other.pth: expected .*, got none named .* but conv1.w",
        ),
        (f"torchvision:{WITH_AUX}:small.pth", "got none named|missing"),
        (f"torchvision:{SMALL}:text.pth", "weights alone"),
    ],
)
def test_bad_names_and_files(settled: Any, place: Path, spec: str, words: str) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, place / "other.pth")
    state = _network(SMALL, settled).state_dict()
    state["classifier.4.weight"] = torch.zeros(5, 256, 1, 1)
    torch.save(state, place / "small.pth")
    (place / "text.pth").write_text("not a checkpoint")
    with pytest.raises(InputError, match=words) as error:
        load_model(spec)
    assert "\n" not in str(error.value)
