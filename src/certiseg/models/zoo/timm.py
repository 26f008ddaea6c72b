"""A backbone of timm under a small segmentation head, which timm itself does not have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.documents import read_document
from certiseg.errors import InputError
from certiseg.files import atomic_write, output_folder
from certiseg.models.building import Bounded
from certiseg.models.checkpoint import check_fit, read_checkpoint, weights_in
from certiseg.models.loaded import reason
from certiseg.models.preprocess import Preprocess
from certiseg.models.segmenter import Segmenter
from certiseg.models.zoo.packages import check_local, made_by, package
from certiseg.reading import CARD

_CONFIG, _WEIGHTS, KIND = "config.json", "model.safetensors", "certiseg-timm"


class TimmSegmenter(nn.Module):
    """Logits (B, num_classes, h, w) from normalised (B, channels, H, W), h and w those of the
    backbone's features at stride 4 (or its finest).

    backbone: a name of timm's, one that can return features. pretrained: fetch timm's weights for
    it. width: channels of the head, which narrows the features of every stride from 4 on, adds
    them up at the finest and decides there. mean, std: timm's for this backbone; put them and
    the network into Preprocess to certify it, or ``save`` it and name the folder.
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
        timm = package("timm")
        try:
            self.backbone = timm.create_model(
                backbone, features_only=True, pretrained=pretrained, in_chans=channels
            )
        except (RuntimeError, ValueError, AttributeError, TypeError, OSError) as error:
            raise InputError(
                f"expected a backbone of timm that returns features, got {reason(error)} for "
                f"{backbone!r}; timm.list_models() has the names"
            ) from None
        known = timm.get_pretrained_cfg(backbone)
        # timm's statistics are of three channels; others it leaves to the user.
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
        total: Tensor | None = None
        for index, narrow in zip(self.used, self.narrow, strict=True):
            y = narrow(features[index])
            if total is None:
                total = y
            else:
                size = total.shape[-2:]
                total = total + F.interpolate(y, size=size, mode="bilinear", align_corners=False)
        return self.head(total)

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, each whole or not at all."""
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
        atomic_write(path / _CONFIG, (json.dumps(config, indent=1) + "\n").encode())


def load_timm(folder: str | Path) -> Segmenter:
    """What ``TimmSegmenter.save`` wrote, in evaluation mode, on the CPU, with the mean and std that
    it recorded; logits come back at the picture's size. Never the network.

    Raises InputError: timm is missing, another kind of folder, or weights that do not fit.
    """
    path = Path(folder)
    config = _config(path)
    if config.get("kind") != KIND:
        raise InputError(
            f"{path}: expected a folder that TimmSegmenter.save wrote, got none with its "
            f"{_CONFIG}; see docs/models/timm.md"
        )
    wanted = ("backbone", "num_classes", "width", "channels", "classes", "mean", "std")
    if missing := [key for key in wanted if key not in config]:
        raise InputError(
            f"{path / _CONFIG}: expected {', '.join(wanted)}, got none named {missing[0]}; save it "
            "again with TimmSegmenter.save"
        )
    check_local(config["backbone"], path / _CONFIG)
    arguments = {key: config[key] for key in wanted if key not in ("mean", "std")}
    weights = path / _WEIGHTS
    state = weights_in(read_checkpoint(weights), str(weights))
    with Bounded(str(path / _CONFIG), sum(value.nbytes for value in state.values())):
        network = TimmSegmenter(**arguments)
    check_fit(network.state_dict(), state, str(weights), f"the head on {config['backbone']}")
    network.load_state_dict(state)
    return Segmenter(
        Preprocess(network, mean=config["mean"], std=config["std"]),
        network.num_classes,
        f"{config['backbone']} of timm",
        channels=network.channels,
        classes=network.classes,
        made_by=made_by(config, "timm"),
    ).eval()


def _config(path: Path) -> dict[str, Any]:
    try:
        found = read_document(path / _CONFIG, CARD)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
