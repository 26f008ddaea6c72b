"""A timm backbone with a small segmentation head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, output_folder
from certiseg.models.building import Bounded
from certiseg.models.checkpoint import fill, read_weights
from certiseg.models.libraries import CONFIG_FILE, check_local, library, made_by, read_config
from certiseg.models.preprocess import Preprocess
from certiseg.models.segmenter import Segmenter
from certiseg.own_code import reason

_WEIGHTS, KIND = "model.safetensors", "certiseg-timm"


class TimmSegmenter(nn.Module):
    """Logits (B, num_classes, h, w) from normalised (B, channels, H, W), with h and w those of the
    backbone's features at stride 4 (or its finest).

    backbone: a timm model that can return features. pretrained: fetch timm's weights for it. width:
    channels of the head, which projects the features of every stride from 4 on, sums them at the
    finest, and classifies there. mean, std: timm's for this backbone; to certify, put them and the
    network into Preprocess, or ``save`` it and name the folder.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        *,
        width: int = 128,
        channels: int = 3,
        pretrained: bool = False,
        classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if num_classes < 2 or (classes is not None and len(classes) != num_classes):
            raise InputError(
                f"expected at least 2 classes and a name for each or for none, got {num_classes} "
                f"and {None if classes is None else len(classes)} names"
            )
        timm = library("timm", "zoo")
        try:
            self.backbone = timm.create_model(
                backbone, features_only=True, pretrained=pretrained, in_chans=channels
            )
        except (RuntimeError, ValueError, AttributeError, TypeError, OSError) as error:
            raise InputError(
                f"expected a backbone of timm that returns features, got {reason(error)} for "
                f"{backbone!r}; timm.list_models() lists the names"
            ) from None
        known = timm.get_pretrained_cfg(backbone)
        # timm's mean and std are for three channels; for others the user provides them.
        given = known is not None and len(known.mean) == channels
        self.mean = list(known.mean) if given else None
        self.std = list(known.std) if given else None
        self.num_classes = num_classes
        self.channels = channels
        self.classes = None if classes is None else tuple(classes)
        self.settings = {"backbone": backbone, "width": width}
        info = self.backbone.feature_info
        strides, widths = info.reduction(), info.channels()
        self.used = [i for i, stride in enumerate(strides) if stride >= 4] or [len(strides) - 1]
        self.narrow = nn.ModuleList(nn.Conv2d(widths[i], width, 1, bias=False) for i in self.used)
        self.head = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, num_classes, 1),
        )

    def extra_repr(self) -> str:
        return f"used={self.used}"

    def forward(self, x: Tensor) -> Tensor:
        features = self.backbone(x)
        finest, *others = (
            narrow(features[index]) for index, narrow in zip(self.used, self.narrow, strict=True)
        )
        for y in others:
            finest = finest + F.interpolate(
                y, size=finest.shape[-2:], mode="bilinear", align_corners=False
            )
        logits: Tensor = self.head(finest)
        return logits

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, each atomically."""
        config = {
            "kind": KIND,
            **self.settings,
            "num_classes": self.num_classes,
            "channels": self.channels,
            "classes": self.classes,
            "mean": self.mean,
            "std": self.std,
        }
        state = {
            name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()
        }
        path = output_folder(Path(folder))
        atomic_write(path / _WEIGHTS, safetensors.torch.save(state))
        atomic_write(path / CONFIG_FILE, (json.dumps(config, indent=1) + "\n").encode())


def load_timm(folder: str | Path) -> Segmenter:
    """Load a folder written by ``TimmSegmenter.save``, in evaluation mode, on the CPU.

    The recorded mean and std become part of the model; logits are resized to the image's size.
    The network is never accessed.

    Args:
        folder: with config.json and model.safetensors.

    Raises:
        InputError: timm is not installed, another kind of folder, or weights that do not fit.
    """
    path = Path(folder)
    config = read_config(path / CONFIG_FILE)
    if config.get("kind") != KIND:
        raise InputError(
            f"{path}: expected a folder that TimmSegmenter.save wrote, got none with its "
            f"{CONFIG_FILE}; see docs/models/timm.md"
        )
    wanted = ("backbone", "num_classes", "width", "channels", "classes", "mean", "std")
    if missing := [key for key in wanted if key not in config]:
        raise InputError(
            f"{path / CONFIG_FILE}: expected {', '.join(wanted)}, got none named {missing[0]}; "
            "save it again with TimmSegmenter.save"
        )
    check_local(config["backbone"], path / CONFIG_FILE)
    arguments = {key: config[key] for key in wanted if key not in ("mean", "std")}
    weights = read_weights(path / _WEIGHTS)
    with Bounded(str(path / CONFIG_FILE), sum(value.nbytes for value in weights.values())):
        network = TimmSegmenter(**arguments)
    fill(network, weights, str(path / _WEIGHTS), f"the head on {config['backbone']}")
    return Segmenter(
        Preprocess(network, mean=config["mean"], std=config["std"]),
        network.num_classes,
        f"{config['backbone']} of timm",
        channels=network.channels,
        classes=network.classes,
        made_by=made_by(config, "timm"),
    ).eval()
