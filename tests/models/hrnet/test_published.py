"""Checkpoints in the published layout: what loads, and one line for what does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from certiseg.datasets import cityscapes, pascal_context
from certiseg.datasets.card import Card
from certiseg.errors import InputError
from certiseg.models.hrnet import load_hrnet
from certiseg.models.hrnet.published import MEAN, STD, from_state
from plain_hrnet import PlainHRNet, random_state

State = dict[str, torch.Tensor]
LOSS = {"loss.criterion.weight": torch.ones(19)}


@pytest.fixture(scope="module")
def state() -> State:
    return random_state(19, width=4)


def _prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def test_labels_and_logits_are_those_of_the_published_pipeline(
    state: State, tmp_path: Path
) -> None:
    """Normalised, passed, enlarged from 1/4: as `inference` of the published code does it."""
    torch.save({**_prefixed(state, "model."), **LOSS}, tmp_path / "city.pth")
    model = load_hrnet(tmp_path / "city.pth")
    assert not any(module.training for module in model.modules())
    x = torch.rand(2, 3, 50, 71, generator=torch.Generator().manual_seed(3))
    normal = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.inference_mode():
        wanted = F.interpolate(PlainHRNet(state)(normal), (50, 71), mode="bilinear")
        found = model(x)
    assert (found - wanted).abs().max() < 1e-5
    assert torch.equal(found.argmax(1), wanted.argmax(1))
    assert len(found.argmax(1).unique()) > 1


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "module.model."])
def test_every_weight_has_its_place_whatever_the_prefix(state: State, prefix: str) -> None:
    network, ignored = from_state(_prefixed(state, prefix), "x.pth")
    assert ignored == []
    assert (network.width, network.num_classes) == (4, 19)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_checkpoint_of_a_training_under_noise(state: State, tmp_path: Path) -> None:
    """Beside the weights it holds the loss, the noise's std, counters and the optimiser."""
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.01, momentum=0.9)
    layer(torch.ones(2)).sum().backward()
    optimiser.step()
    extra = {"std": torch.tensor(STD).reshape(1, 3, 1, 1), **LOSS}
    content = {
        "epoch": 484,
        "best_mIoU": np.float64(0.8),
        "state_dict": {**_prefixed(state, "model."), **extra},
        "optimizer": optimiser.state_dict(),
    }
    torch.save(content, tmp_path / "checkpoint.pth.tar")
    model = load_hrnet(tmp_path / "checkpoint.pth.tar")
    assert len(model.notes) == 1
    assert "left out 2 entries that are not weights (std, loss.criterion.weight)" in model.notes[0]


def test_old_checkpoints_have_no_counters(state: State) -> None:
    kept = {name: v for name, v in state.items() if not name.endswith("num_batches_tracked")}
    network = from_state(kept, "x.pth")[0]
    own = network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in kept.items())
    assert int(own["bn1.num_batches_tracked"]) == 0


@pytest.mark.parametrize(
    ("classes", "data"), [(19, cityscapes.CARD), (59, pascal_context.CARD), (11, None)]
)
@pytest.mark.slow
def test_classes_follow_from_their_number(tmp_path: Path, classes: int, data: Card | None) -> None:
    torch.save(random_state(classes, width=4), tmp_path / "x.pth")
    model = load_hrnet(tmp_path / "x.pth")
    assert model.num_classes == classes
    assert model.classes == (None if data is None else data.classes)
    assert model.palette == (None if data is None else data.palette)
    assert model.notes == ()


def _object_context(state: State) -> State:
    kept = {name: value for name, value in state.items() if not name.startswith("last_layer")}
    return {
        **kept,
        "aux_head.0.weight": torch.zeros(60, 60, 1, 1),
        "conv3x3_ocr.0.weight": torch.zeros(512, 60, 3, 3),
        "cls_head.weight": torch.zeros(19, 512, 1, 1),
    }


def _small(state: State) -> State:
    """As W18-Small: fewer exchanges in stage 3."""
    return {name: value for name, value in state.items() if not name.startswith("stage3.3.")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_object_context, r"8 missing \(last_layer.0.weight, .*\); 3 unknown \(aux_head.0.weight"),
        (_small, r"W4, got 155 missing \(stage3.3.branches.0.0.conv1.weight, "),
        (
            lambda state: {**state, "conv1.weight": torch.zeros(64, 1, 3, 3)},
            r"conv1.weight \(64, 1, 3, 3\) instead of \(64, 3, 3, 3\)",
        ),
        (lambda state: {**state, "incre_modules.0": torch.zeros(1)}, r"1 unknown \(incre_modules"),
        (lambda state: {"backbone.conv1.weight": torch.zeros(1)}, "but backbone.conv1.weight"),
        (lambda state: {**state, **_prefixed(state, "model.")}, "conv1.weight twice"),
        (lambda state: {**state, "std": torch.ones(3)}, r"expected std .*, got \(1.0, 1.0, 1.0\)"),
    ],
)
def test_other_weights_are_named_in_one_line(
    state: State, change: Callable[[State], State], words: str
) -> None:
    with pytest.raises(InputError, match=words) as error:
        from_state(change(state), "x.pth")
    assert "\n" not in str(error.value)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_hrnet(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(InputError, match="weights alone"):
        load_hrnet(tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="weights by name, got list"):
        load_hrnet(tmp_path / "list.pth")


@pytest.mark.slow
def test_the_page_on_hrnet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(random_state(19, width=2), "cityscapes.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("street.png")
    page = Path(__file__).resolve().parents[3] / "docs" / "models" / "hrnet.md"
    (snippet,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(snippet, names)
    assert names["cert"].labels.shape == (24, 40)
    assert "at scale 0.25" in names["cert"].statement()
