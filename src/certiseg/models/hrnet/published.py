"""Checkpoints of HRNetV2 in the layout of github.com/HRNet/HRNet-Semantic-Segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from certiseg.datasets import cityscapes, pascal_context
from certiseg.errors import InputError
from certiseg.models.checkpoint import check_fit, first_of, read_weights
from certiseg.models.hrnet.network import HRNetV2
from certiseg.models.preprocess import Preprocess
from certiseg.models.segmenter import Segmenter

_WRAPPERS = ("module.", "model.")
"""Prefixes: of training on several GPUs, and of the module that held network and loss."""
_WIDTH = "stage2.0.branches.0.0.conv1.weight"
_CLASSES = "last_layer.3.weight"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Those of ImageNet, which the published code uses for every data set."""
_DATA = {card.num_classes: card for card in (cityscapes.CARD, pascal_context.CARD)}
"""Data sets of the published checkpoints by number of classes."""


def load_hrnet(path: str | Path, *, align_corners: bool = False) -> Segmenter:
    """Load a published checkpoint of HRNetV2 with its normalisation, in evaluation mode.

    19 classes are taken for those of Cityscapes, 59 for those of Pascal Context. No code in the
    file is run. The model's ``.notes`` list the entries of the file that are not weights.

    Args:
        path: the checkpoint, in the layout of HRNet-Semantic-Segmentation.
        align_corners: see ``HRNetV2``.

    Raises:
        InputError: no such file, another kind of file, weights missing, unknown or of another
            shape, or another normalisation.
    """
    state = read_weights(path)
    network, ignored = from_state(state, str(path), align_corners=align_corners)
    card = _DATA.get(network.num_classes)
    left = f"{path}: left out {len(ignored)} entries that are not weights ({first_of(ignored)})"
    return Segmenter(
        Preprocess(network, mean=MEAN, std=STD),
        network.num_classes,
        f"HRNetV2-W{network.width}",
        classes=None if card is None else card.classes,
        palette=None if card is None else card.palette,
        notes=(left,) if ignored else (),
    ).eval()


def from_state(
    given: Mapping[str, Tensor], name: str, *, align_corners: bool = False
) -> tuple[HRNetV2, list[str]]:
    """The network with these weights, float32, in evaluation mode, on the CPU; and the names of
    entries left out: the loss's class weights, and the normalisation that training under noise
    stored.

    Width and number of classes are read from the shapes. name: what errors call the weights. Raises
    InputError that names weights which are missing, unknown or of another shape, and for another
    normalisation.
    """
    state: dict[str, Tensor] = {}
    ignored: list[str] = []
    for key, value in given.items():
        short = _unwrapped(key)
        if short in ("mean", "std"):
            _check_normalisation(short, value, name)
        if short in ("mean", "std") or short.startswith("loss."):
            ignored.append(key)
        elif short in state:
            raise InputError(f"{name}: expected each weight once, got {short} twice; another file")
        else:
            state[short] = value
    if _WIDTH not in state or state[_WIDTH].ndim != 4:
        raise InputError(
            f"{name}: expected the weights of an HRNetV2, got none named {_WIDTH} but "
            f"{first_of(list(state)) or 'none at all'}; they are of another network, check the file"
        )
    last = state.get(_CLASSES)
    with torch.device("meta"):  # only shapes, until the weights are known to fit
        network = HRNetV2(1 if last is None else len(last), len(state[_WIDTH]), align_corners)
    check_fit(network, state, name, f"HRNetV2-W{network.width}")
    network.to_empty(device="cpu")
    for counter in (value for value in network.buffers() if value.ndim == 0):
        counter.zero_()  # old checkpoints lack it, and it is part of the fingerprint
    network.load_state_dict(state)
    # Convolutions are faster in this layout; values are the same.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval(), ignored


def _unwrapped(key: str) -> str:
    while key.startswith(_WRAPPERS):
        key = key.partition(".")[2]
    return key


def _check_normalisation(kind: str, value: Tensor, name: str) -> None:
    expected = torch.tensor(MEAN if kind == "mean" else STD)
    if value.numel() != 3 or not torch.allclose(value.flatten().float(), expected, atol=1e-4):
        raise InputError(
            f"{name}: expected {kind} {tuple(expected.tolist())}, got "
            f"{tuple(round(v, 4) for v in value.flatten()[:3].tolist())}; load the network with "
            "certiseg.models.hrnet and pass its own to Preprocess"
        )
