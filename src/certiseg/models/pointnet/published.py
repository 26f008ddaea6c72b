"""Checkpoints of `pointnet2_part_seg_msg` (github.com/yanx27/Pointnet_Pointnet2_pytorch)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from certiseg.datasets.shapenet import shapenet_card
from certiseg.errors import InputError
from certiseg.models.checkpoint import fill, read_checkpoint, weights_in
from certiseg.models.pointnet.network import PointNet2, msg
from certiseg.models.pointnet.parts import PartSegmenter


def load_published(path: str | Path) -> PointNet2:
    """Load a checkpoint, in evaluation mode, float32, on the CPU. No code in the file is run.

    The numbers of channels (3, or 6 with normals), categories and classes are read from the shapes
    of its weights. Raises InputError: no such file, another kind of file, or another network.
    """
    return from_state(read_checkpoint(path), str(path))


def load_shapenet(path: str | Path) -> PartSegmenter:
    """Load a published checkpoint of PointNet++ trained on ShapeNet-Part, with its categories.

    Args:
        path: checkpoint of `pointnet2_part_seg_msg` with 3 channels, or 6 with normals.

    Raises:
        InputError: as ``load_published``, or another number of categories or classes.
    """
    network = load_published(path)
    card = shapenet_card(network.plan.channels)
    assert card.parts is not None
    if (network.plan.categories, network.num_classes) != (len(card.parts), card.num_classes):
        raise InputError(
            f"{path}: expected the {len(card.parts)} categories and {card.num_classes} classes of "
            f"{card.name}, got {network.plan.categories} and {network.num_classes}; load it with "
            "certiseg.models.pointnet and name its parts in a python: model"
        )
    # The one-hot vector has the categories in the order of the card.
    return PartSegmenter(network, list(card.parts), card.parts).eval()


def from_state(content: Any, name: str) -> PointNet2:
    """The network from {"model_state_dict": weights}, or from the weights themselves.

    name: what errors call it. Raises InputError that names weights which are missing, unknown or of
    another shape.
    """
    state = weights_in(content, name)
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
    fill(network, state, name, "pointnet2_part_seg_msg")
    return network.eval()


def _width(state: Mapping[str, Tensor], key: str, name: str, axis: int) -> int:
    if key not in state or state[key].ndim < 2:
        raise InputError(
            f"{name}: expected the weights of pointnet2_part_seg_msg, got none named {key}; "
            "another network"
        )
    return state[key].shape[axis]
