"""Segmentation models of torchvision, with published weights or from a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from certiseg.errors import InputError
from certiseg.models.checkpoint import fill, first_of, read_weights
from certiseg.models.libraries import library, made_by
from certiseg.models.preprocess import Preprocess
from certiseg.models.segmenter import Segmenter
from certiseg.own_code import reason

_LAST = ("classifier.4.weight", "classifier.low_classifier.weight")
"""Last layers of FCN and DeepLab, and of LR-ASPP."""


def load_named(rest: str) -> Segmenter:
    """Load NAME:WEIGHTS or NAME:FILE, as given after torchvision: on the command line."""
    name, _, weights = rest.partition(":")
    if not name or not weights:
        raise InputError(
            "expected torchvision:NAME:WEIGHTS or torchvision:NAME:FILE, got "
            f"{f'torchvision:{rest}'!r}; such as torchvision:deeplabv3_resnet50:DEFAULT, which "
            "fetches the published weights"
        )
    return load_torchvision(name, weights)


def load_torchvision(name: str, weights: str | Path) -> Segmenter:
    """Load a segmentation model of torchvision, in evaluation mode, on the CPU.

    Mean and std of the published weights become part of the model; images are not resized.

    Args:
        name: such as "deeplabv3_resnet50".
        weights: a name of the model's published weights ("DEFAULT" is the best), fetched once into
            torch's cache; or a file with its state_dict, whose classes have no names.

    Raises:
        InputError: torchvision is not installed, no such model, weights that are not available or
            do not fit.
    """
    models = library("torchvision.models", "zoo")
    names = models.list_models(module=models.segmentation)
    if name not in names:
        raise InputError(f"expected a model among {', '.join(names)}, got {name!r}")
    published = models.get_model_weights(name)
    known = list(published.__members__)
    if str(weights) in known:
        return _published(models, name, published[str(weights)])
    path = Path(weights)
    if not path.is_file():
        raise InputError(
            f"expected weights of {name} among {', '.join(known)} or a file, got {str(weights)!r}"
        )
    return _from_file(models, name, path, published["DEFAULT"])


def _published(models: Any, name: str, chosen: Any) -> Segmenter:
    try:
        network = models.get_model(name, weights=chosen)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"expected to fetch {chosen} from {chosen.url}, got {reason(error)}; fetch the file "
            f"elsewhere and name it: torchvision:{name}:FILE"
        ) from None
    classes = tuple(chosen.meta["categories"])
    return _segmenter(network, name, chosen, len(classes), classes)


def _from_file(models: Any, name: str, path: Path, default: Any) -> Segmenter:
    state = read_weights(path)
    last: Tensor | None = next((state[key] for key in _LAST if key in state), None)
    if last is None or last.ndim < 1:
        raise InputError(
            f"{path}: expected the weights of {name}, got none named {' or '.join(_LAST)} but "
            f"{first_of(list(state)) or 'none at all'}; they are of another network, check the file"
        )
    network = models.get_model(
        name,
        weights=None,
        weights_backbone=None,
        num_classes=len(last),
        aux_loss=any(key.startswith("aux_classifier.") for key in state),
    )
    fill(network, state, str(path), name)
    return _segmenter(network, name, default, len(last), None)


def _segmenter(
    network: Any, name: str, chosen: Any, num_classes: int, classes: tuple[str, ...] | None
) -> Segmenter:
    """With mean and std of the weights `chosen`, without the auxiliary head (used in training
    only)."""
    if getattr(network, "aux_classifier", None) is not None:
        network.aux_classifier = None
    preprocessing = chosen.transforms()
    base = Preprocess(network, mean=preprocessing.mean, std=preprocessing.std)
    made = made_by({"name": name, "num_classes": num_classes}, "torchvision")
    return Segmenter(base, num_classes, name, classes=classes, made_by=made).eval()
