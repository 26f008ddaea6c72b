"""Checkpoints of `pointnet2_part_seg_msg` (github.com/yanx27/Pointnet_Pointnet2_pytorch)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from certiseg.datasets.shapenet import shapenet_card
from certiseg.errors import InputError
from certiseg.models.pointnet.network import PointNet2, msg
from certiseg.models.pointnet.parts import PartSegmenter

# What training wrote beside the weights: NumPy numbers, under the names of old and new versions.
_NUMBERS: list[Any] = [
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
]
_WRAPPER = "module."
"""Prefix of all names where the network was trained on several GPUs."""


def load_published(path: str | Path) -> PointNet2:
    """Load a checkpoint, in evaluation mode, float32, on the CPU. No code in the file is run.

    Numbers of channels (3, or 6 with normals), categories and classes are read from the shapes of
    its weights. Raises InputError: no such file, another kind of file, or another network.
    """
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(
            f"expected a checkpoint at {path}, got {error.strerror}; check the path"
        ) from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
        raise InputError(
            f"{path}: expected a checkpoint of weights alone, got {first[:120]}; save its "
            "state_dict() with torch.save"
        ) from None
    return from_state(content, str(path))


def load_shapenet(path: str | Path) -> PartSegmenter:
    """A checkpoint trained on ShapeNet part, with its categories. InputError: as load_published,
    or another number of categories or classes."""
    network = load_published(path)
    card = shapenet_card(network.plan.channels)
    assert card.parts is not None
    if (network.plan.categories, network.num_classes) != (len(card.parts), card.num_classes):
        raise InputError(
            f"{path}: expected the {len(card.parts)} categories and {card.num_classes} classes of "
            f"{card.name}, got {network.plan.categories} and {network.num_classes}; load it with "
            "certiseg.models.pointnet and name its parts in a python: model"
        )
    # The published one-hot vector has the categories in the order of the card.
    return PartSegmenter(network, list(card.parts), card.parts).eval()


def from_state(content: Any, name: str) -> PointNet2:
    """The network from {"model_state_dict": weights} or from the weights themselves.

    name: what errors call it. Raises InputError that says which weights are missing, unknown or
    of another shape.
    """
    if isinstance(content, Mapping) and "model_state_dict" in content:
        content = content["model_state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(
            f"{name}: expected weights by name, got {type(content).__name__}; pass a checkpoint "
            'with "model_state_dict"'
        )
    state = {str(key).removeprefix(_WRAPPER): value for key, value in content.items()}
    first, back, last = (
        _width(state, key, name, axis)
        for key, axis in (
            ("sa1.conv_blocks.0.0.weight", 1),
            ("fp1.mlp_convs.0.weight", 1),
            ("conv2.weight", 0),
        )
    )
    channels = first - 3
    if channels not in (3, 6):
        raise InputError(
            f"{name}: expected weights for 3 or 6 channels, got {channels}; another network"
        )
    network = PointNet2(msg(channels, back - 128 - 3 - channels, last))
    _check_fit(network.state_dict(), state, name)
    network.load_state_dict(state)
    return network.eval()


def _width(state: Mapping[str, Tensor], key: str, name: str, axis: int) -> int:
    if key not in state or state[key].ndim < 2:
        raise InputError(
            f"{name}: expected the weights of pointnet2_part_seg_msg, got none named {key}; "
            "another network"
        )
    return state[key].shape[axis]


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], name: str) -> None:
    shapes = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in given and given[key].shape != value.shape
    ]
    faults = {
        "missing": [key for key in own if key not in given],
        "unknown": [key for key in given if key not in own],
        "of another shape": shapes,
    }
    found = "; ".join(
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in faults.items()
        if keys
    )
    if found:
        raise InputError(
            f"{name}: expected the weights of pointnet2_part_seg_msg, got {found}; another network"
        )
