"""A trained network on disk: model.safetensors (half precision) and card.json beside it.

Bundled networks are weights/NAME.safetensors with weights/NAME.json in the package; more of them
are in the package ``certiseg_weights``.
"""

from __future__ import annotations

import hashlib
import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import safetensors
import safetensors.torch
import torch
from torch import nn

from certiseg.datasets.card import check_names
from certiseg.errors import InputError, first_line
from certiseg.files.documents import read_document
from certiseg.files.fields import TEXT, list_of, whole
from certiseg.files.reading import CARD, MODEL, read_bounded
from certiseg.models.building import Bounded
from certiseg.models.networks import EFFICIENT, UNET, TrainedModel

if TYPE_CHECKING:
    from certiseg.models.denoise import TrainedDenoiser
    from certiseg.models.pointnet.parts import TrainedClouds

Trained: TypeAlias = "TrainedModel | TrainedClouds | TrainedDenoiser"

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
KIND = "certiseg-model"
_BUNDLED = Path(__file__).parent / "weights"
APART = (
    "camvid-denoiser",
    "camvid-lite0",
    "camvid-lite2",
    "camvid-undefended-denoiser",
    "solids",
    "solids-gaussian",
)
"""Networks of the package certiseg-weights."""


_CLASSES = {
    UNET: "networks:TrainedModel",
    EFFICIENT: "networks:TrainedModel",
    "certiseg.models.denoise.SmallDenoiser": "denoise:TrainedDenoiser",
    "certiseg.models.pointnet.network.PointNet2": "pointnet.parts:TrainedClouds",
}
"""Architectures in cards, and the class that holds each with its card; imported when used."""


def to_bytes(network: nn.Module) -> bytes:
    """The weights in half precision, as a safetensors file. Raises InputError on overflow."""
    state = {}
    for name, value in network.state_dict().items():
        # Step counters of batch norm are integers, and not used in a pass.
        half = value.detach().cpu().half() if value.is_floating_point() else value.cpu()
        if half.is_floating_point() and not bool(torch.isfinite(half).all()):
            raise InputError(
                f"expected weights that fit half precision, got an overflow in {name}; "
                "train with a smaller --lr"
            )
        state[name] = half.contiguous()
    return safetensors.torch.save(state)


def load_trained(card: dict[str, Any], weights: bytes, name: str) -> Trained:
    """Rebuild a model from its card and weights, float32, eval mode, on the CPU.

    Raises InputError: a card of another kind, damaged weights, or weights that do not match the
    checksum or the architecture of the card. name: what errors call the model.
    """
    if card.get("kind") != KIND or not all(
        isinstance(card.get(part), dict) for part in ("architecture", "weights")
    ):
        raise InputError(
            f"{name}: expected a card written by certiseg train, got another JSON file; "
            "pass the folder that certiseg train -o wrote"
        )
    digest = hashlib.sha256(weights).hexdigest()
    if digest != (stated := card["weights"].get("sha256")):
        raise InputError(
            f"{name}: expected weights with SHA-256 {stated!s:.12}..., got "
            f"{digest[:12]}...; weights and card are from different trainings, copy both again"
        )
    kind = card["architecture"].get("class", UNET)
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise InputError(
            f"{name}: expected an architecture among {', '.join(_CLASSES)}, got {kind!r:.80}; "
            "a newer certiseg may know it"
        )
    try:
        module, _, holder = _CLASSES[kind].partition(":")
        of_card = getattr(importlib.import_module(f"certiseg.models.{module}"), holder)
        with Bounded(name, len(weights)):
            model: Trained = of_card(card)
        model.network.load_state_dict(safetensors.torch.load(weights))
    except InputError:
        raise
    except (
        *(safetensors.SafetensorError, RuntimeError, LookupError, TypeError, ValueError),
        *(AttributeError, ArithmeticError, AssertionError, MemoryError),
    ) as error:
        raise InputError(
            f"{name}: expected weights that fit the card's architecture, got {first_line(error)}; "
            "copy model and card again"
        ) from None
    _check_words(model, card, name)
    if model.kind == "clouds":
        return model.eval()
    # Convolutions are faster in this layout; values are the same.
    return model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _check_words(model: Trained, card: dict[str, Any], name: str) -> None:
    """Raise InputError unless the card has the network's channels, and a name and colour for each
    class."""
    plan = card["architecture"]
    channels = plan["in_channels" if model.kind == "images" else "channels"]
    fields = {"channels": whole(channels, channels)}
    if model.kind != "denoiser":
        number = plan["num_classes"]
        fields["classes"] = list_of(TEXT, number, number)
        fields["palette"] = list_of(list_of(whole(0, 255), 3, 3), number, number)
    for key, field in fields.items():
        if not field.holds(card.get(key)):
            raise InputError(
                f"{name}: expected {field.words} as {key} of its card, got {card.get(key)!r:.80}; "
                "copy model and card again"
            )
    if model.kind != "denoiser":
        check_names(card["classes"], name, "rename one in its card")


def bundled() -> list[str]:
    """Names of the networks that are installed with certiseg or in certiseg-weights, sorted."""
    return sorted(path.stem for folder in _folders() for path in folder.glob("*.safetensors"))


def _folders() -> list[Path]:
    found = find_spec("certiseg_weights")
    places = [] if found is None else found.submodule_search_locations or []
    return [_BUNDLED, *map(Path, places)]


def load_bundled(name: str) -> Trained:
    """Load a bundled network, in evaluation mode, on the CPU.

    Args:
        name: such as "camvid"; ``certiseg demo`` lists them.

    Returns:
        A ``TrainedModel`` of images, ``TrainedClouds`` or a ``TrainedDenoiser``; its ``card``
        describes its training.

    Raises:
        InputError: an unknown name, or one in the package certiseg-weights without that package.

    Example:
        >>> load_bundled("solids-rotation").of("Chair").num_classes
        16
    """
    for folder in _folders():
        if name in {path.stem for path in folder.glob("*.safetensors")}:
            return load_files(folder / f"{name}.json", folder / f"{name}.safetensors")
    if name in APART:
        raise InputError(
            f"expected the package certiseg-weights, which holds certiseg:{name}, got none; pip "
            "install certiseg-weights, or ./weights in a clone of certiseg"
        )
    raise InputError(
        f"expected a bundled model among {', '.join(bundled()) or 'none'}, got {name!r}; "
        "write certiseg:NAME with one of these names"
    )


def load_folder(path: str | Path) -> Trained:
    """Load a folder written by ``certiseg train``; path: the folder or its weights file.

    Raises InputError as ``load_trained``, and if there is no such folder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: expected the folder of a trained model, got nothing of that name; check the "
            "path"
        )
    folder = path if path.is_dir() else path.parent
    return load_files(folder / CARD_FILE, folder / WEIGHTS_FILE if path.is_dir() else path)


def load_files(card_path: Path, weights_path: Path) -> Trained:
    """Load a card and the weights it describes. Raises InputError as ``load_trained`` does."""
    try:
        card = read_document(card_path, CARD)
        weights = read_bounded(weights_path, MODEL)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"{weights_path}: expected {card_path.name} and {weights_path.name} side by side, got "
            f"{reason}; pass the folder that certiseg train -o wrote"
        ) from None
    return load_trained(card if isinstance(card, dict) else {}, weights, str(weights_path))
