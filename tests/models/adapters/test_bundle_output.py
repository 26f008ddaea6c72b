"""What a bundle's postprocessing says of the output, against MONAI's own transforms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import certiseg as cs
from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.models.resolve import load_model
from certiseg.outputs.decide import decide
from certiseg.runs.model import open_model

transforms = pytest.importorskip("monai.transforms", reason="monai is not installed")
nets = pytest.importorskip("monai.networks.nets")

SIGMOID = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
SOFTMAX = {"_target_": "monai.transforms.Activationsd", "keys": ["pred"], "softmax": True}
THRESHOLD = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}
ARGMAX = {"_target_": "AsDiscreted", "keys": ["pred", "label"], "argmax": [True, False]}
SAVE = {"_target_": "SaveImaged", "keys": "pred", "_disabled_": "$not @save"}
HALF = float(np.nextafter(0.5, 0.0))


def bundle(path: Path, steps: Any, channels: int = 1, names: Any = None, **more: Any) -> str:
    for folder in ("configs", "models"):
        (path / folder).mkdir(parents=True)
    output = {"num_channels": channels}
    if names is not None:
        output["channel_def"] = {str(channel): name for channel, name in enumerate(names)}
    form = {"inputs": {"image": {"num_channels": 1}}, "outputs": {"pred": output}}
    (path / "configs" / "metadata.json").write_text(json.dumps({"network_data_format": form}))
    arguments = {"in_channels": 1, "out_channels": channels, "channels": [4, 8], "strides": [2]}
    config = {"network_def": {"_target_": "UNet", "spatial_dims": 2, **arguments}, **more}
    if steps is not None:
        config["postprocessing"] = {"_target_": "Compose", "transforms": steps}
    (path / "configs" / "inference.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    net = nets.UNet(spatial_dims=2, **arguments)
    torch.save(net.state_dict(), path / "models" / "model.pt")
    return str(path)


@pytest.mark.parametrize(
    ("steps", "channels", "binary"),
    [
        ([SIGMOID, SAVE, THRESHOLD], 1, BinaryOutput("logit", HALF)),
        ([SIGMOID, THRESHOLD, SAVE], 3, BinaryOutput("logit", HALF, True)),
        ([{**THRESHOLD, "threshold": 0.25}], 1, BinaryOutput("probability", 0.25 - 2.0**-55)),
        ([SIGMOID, {**THRESHOLD, "threshold": "@cut"}], 1, BinaryOutput("logit", 0.3 - 2.0**-54)),
        ([SIGMOID, {"_target_": "AsDiscrete", "rounding": "torchrounding"}], 1,
         BinaryOutput("logit", 0.5)),
        ([SOFTMAX, ARGMAX], 3, None),
        ([SIGMOID, ARGMAX], 3, None),
        ([SOFTMAX], 3, None),
        ([SAVE], 3, None),
        ([], 3, None),
        (None, 3, None),
        ([{**SIGMOID, "keys": "label"}, ARGMAX], 3, None),
        ([{**SIGMOID, "_disabled_": True}, SOFTMAX, ARGMAX], 3, None),
    ],
)  # fmt: skip
def test_it_is_read_as_stated(steps: Any, channels: int, binary: Any, tmp_path: Path) -> None:
    loaded = load_model(bundle(tmp_path / "b", steps, channels, cut=0.3))
    assert loaded.binary == binary
    assert loaded.num_classes == (channels if binary is None else 2)
    assert loaded.notes == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_labels_are_those_of_monais_transforms(
    channels: int, threshold: float, tmp_path: Path
) -> None:
    steps = [SIGMOID, {**THRESHOLD, "threshold": threshold}]
    loaded = load_model(bundle(tmp_path / "b", steps, channels))
    x = torch.rand(1, 1, 16, 16)
    output = loaded.model(x)
    logits = output.output
    logits[0, 0, 0, :2] = torch.tensor([0.0, -0.0])  # the transform takes what reaches 0.5
    own = transforms.AsDiscrete(threshold=threshold)(
        transforms.Activations(sigmoid=True)(logits[0])
    )
    found = decide(output, x, None).labels()[0]
    assert torch.equal(found, own.long()[0 if channels == 1 else slice(None)])
    assert 0 < float(found.float().mean()) < 1


def test_names_of_channels_are_those_of_maps_or_of_the_foreground(tmp_path: Path) -> None:
    steps = [SIGMOID, THRESHOLD]
    maps = ("core", "whole", "enhancing")
    loaded = load_model(bundle(tmp_path / "three", steps, 3, maps))
    assert (loaded.maps, loaded.classes) == (maps, ("background", "foreground"))
    loaded = load_model(bundle(tmp_path / "one", steps, 1, ("spleen",)))
    assert loaded.classes == ("background", "spleen")
    loaded = load_model(bundle(tmp_path / "two", steps, 1, ("body", "spleen")))
    assert loaded.classes == ("body", "spleen")


def test_what_is_done_to_labels_afterwards_is_noted(tmp_path: Path) -> None:
    largest = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}
    (note,) = load_model(bundle(tmp_path / "b", [SOFTMAX, ARGMAX, largest], 3)).notes
    assert "KeepLargestConnectedComponent of its postprocessing is not part" in note


@pytest.mark.parametrize(
    ("steps", "channels", "got"),
    [
        ([SIGMOID], 3, "sigmoid without a threshold"),
        ([SOFTMAX, THRESHOLD], 3, "softmax and a threshold"),
        ([ARGMAX], 1, "argmax of one channel"),
        ([SOFTMAX], 1, "softmax of one channel"),
        ([SIGMOID, SOFTMAX, ARGMAX], 3, "not one sigmoid or softmax"),
        ([THRESHOLD, SIGMOID], 1, "not one sigmoid or softmax"),
        ([{**SIGMOID, "softmax": True}], 3, "both of them"),
        ([{**SIGMOID, "other": "f"}, THRESHOLD], 1, "not one sigmoid or softmax"),
        ([{"_target_": "Lambdad", "keys": "pred", "func": "$f"}, ARGMAX], 3, "Lambda before"),
        ([SIGMOID, {**THRESHOLD, "threshold": 2.0}], 1, "the threshold 1.9"),
        ([SIGMOID, {**THRESHOLD, "threshold": "@nowhere"}], 1, "a plain value as"),
        ([{**SIGMOID, "sigmoid": "$1 < 2"}, THRESHOLD], 1, "a plain value as"),
        ([{**SIGMOID, "_disabled_": "$x"}, ARGMAX], 3, "a plain value as"),
        ("$@steps", 3, "'$@steps'"),
        (["@step"], 3, "'@step'"),
    ],
)
def test_what_cannot_be_read_is_refused(
    steps: Any, channels: int, got: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as info:
        load_model(bundle(tmp_path / "b", steps, channels))
    assert got in str(info.value)
    assert "\n" not in str(info.value)
    assert "python:MODULE:FUNCTION" in str(info.value)


def test_a_single_channel_of_which_nothing_is_said_is_declared(tmp_path: Path) -> None:
    for steps in (None, [SIGMOID]):
        path = bundle(tmp_path / str(steps is None), steps, 1)
        with pytest.raises(InputError, match="--binary logit"):
            open_model(path)
        with pytest.raises(InputError, match="binary='logit'"):
            cs.Smoothed(load_model(path).model, cs.Gaussian(0.1)).vote(torch.rand(1, 8, 8), 2)
        assert open_model(path, binary="logit").binary == BinaryOutput("logit", 0.5)


def test_an_option_may_set_the_threshold_and_nothing_else(tmp_path: Path) -> None:
    path = bundle(tmp_path / "b", [SIGMOID, {**THRESHOLD, "threshold": 0.25}], 1)
    assert open_model(path, binary="logit").binary == load_model(path).binary
    assert open_model(path, binary="logit:0.4").binary == BinaryOutput("logit", 0.4)
    for options in ({"binary": "probability"}, {"binary": "logit", "multi_label": True}):
        with pytest.raises(InputError, match="source states"):
            open_model(path, **options)
