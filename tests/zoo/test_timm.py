"""Backbones of timm under the small head: random weights, small networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from certiseg.errors import InputError
from certiseg.models import load_model
from certiseg.models.zoo.timm import TimmSegmenter, load_timm


def _network(settled: Any, backbone: str = "resnet10t", **arguments: Any) -> Any:
    torch.manual_seed(0)
    network = TimmSegmenter(backbone, 4, width=16, **arguments)
    return settled(network, network.channels)


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv3_small_050", "convnext_atto"])
def test_saved_and_loaded_it_computes_what_it_says(
    backbone: str, settled: Any, pictures: torch.Tensor, tmp_path: Path
) -> None:
    """Features from stride 4 on, narrowed, enlarged to the finest, added, decided, enlarged."""
    import timm

    network = _network(settled, backbone, classes=["a", "b", "c", "d"])
    network.save(tmp_path / "saved")
    model = load_timm(tmp_path / "saved")
    seen = timm.get_pretrained_cfg(backbone)
    mean, std = (torch.tensor(value)[:, None, None] for value in (seen.mean, seen.std))
    with torch.inference_mode():
        features = network.backbone((pictures - mean) / std)
        finest = [f for f in features if f.shape[-1] <= 13]  # of 50 pixels at stride 4
        total = sum(
            F.interpolate(narrow(f), finest[0].shape[-2:], mode="bilinear")
            for narrow, f in zip(network.narrow, finest, strict=True)
        )
        wanted = F.interpolate(network.head(total), (37, 50), mode="bilinear")
        found = model(pictures)
        unnormalised = network(pictures)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert model.classes == ("a", "b", "c", "d")
    # Negative control: without timm's mean and std it is another model.
    other = F.interpolate(unnormalised, (37, 50), mode="bilinear")
    assert not torch.allclose(found, other, atol=1e-3)


def test_it_learns(settled: Any) -> None:
    """Loss on one picture falls: gradients reach backbone and head."""
    network = _network(settled).train()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    truth = (x.mean(1)[:, ::4, ::4] > 0.5).long()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = F.cross_entropy(network(x), truth)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(value.grad is not None for value in network.parameters())


def test_a_picture_is_certified(
    settled: Any, place: Path, certifies: Callable[[str], None]
) -> None:
    _network(settled).save(place / "saved")
    certifies("timm:saved")


def test_grey_pictures_have_no_statistics_of_timm(settled: Any, tmp_path: Path) -> None:
    _network(settled, channels=1).save(tmp_path)
    model = load_timm(tmp_path)
    assert (model.channels, model.base.mean) == (1, None)
    assert model(torch.rand(1, 1, 40, 40)).shape == (1, 4, 40, 40)


def _spoiled(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    kept = {key: value for key, value in {**config, **changes}.items() if value != "gone"}
    (folder / "config.json").write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "other"}, "expected a folder that TimmSegmenter.save wrote"),
        ({"width": "gone"}, "got none named width"),
        ({"width": 8}, "of another shape"),
        ({"backbone": "nonsense_7"}, "a backbone of timm that returns features, got RuntimeError"),
        ({"num_classes": 1}, "at least 2 classes"),
        ({"classes": ["a"]}, "and 1 names"),
    ],
)
def test_bad_folders_are_one_line(
    settled: Any, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    _network(settled).save(tmp_path)
    _spoiled(tmp_path, **changes)
    with pytest.raises(InputError, match=words) as error:
        load_model(f"timm:{tmp_path}")
    assert "\n" not in str(error.value)


def test_hrnet_of_timm_has_the_published_weights_but_not_the_published_pass(
    pictures: torch.Tensor,
) -> None:
    """Why HRNetV2 is written out here: same names and shapes in the stages, other features."""
    import timm

    from certiseg.models.hrnet import HRNetV2
    from plain_hrnet import random_state

    state = random_state(4, width=48)
    theirs = timm.create_model("hrnet_w48", pretrained=False, num_classes=0).eval()
    known = theirs.state_dict()
    shared = {name: value for name, value in state.items() if not name.startswith("last_layer")}
    assert set(shared) <= set(known)
    theirs.load_state_dict({**known, **shared})
    ours = HRNetV2(4).eval()
    ours.load_state_dict(state)
    seen = []
    ours.stage4.register_forward_hook(lambda module, given, result: seen.append(result))
    x = F.interpolate(pictures[:1], (64, 96))
    with torch.inference_mode():
        ours(x)
        found = theirs.stages(
            theirs.act2(theirs.bn2(theirs.conv2(theirs.act1(theirs.bn1(theirs.conv1(x))))))
        )
    gap = max(float((a - b).abs().max()) for a, b in zip(found, seen[0], strict=True))
    assert gap > 1e-3
