"""A trained network on disk: model.safetensors (half precision) and card.json beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from certiseg.documents import read_document
from certiseg.errors import InputError, first_line
from certiseg.fields import TEXT, list_of, whole
from certiseg.models.building import Bounded
from certiseg.models.coarse import Coarse, coarse_form
from certiseg.models.denoise import SmallDenoiser
from certiseg.models.networks import EFFICIENT, UNET, built
from certiseg.models.pointnet.network import Plan, PointNet2
from certiseg.models.pointnet.parts import PartSegmenter
from certiseg.models.preprocess import Preprocess
from certiseg.reading import CARD, MODEL, read_bounded

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
KIND = "certiseg-model"


class TrainedModel(nn.Module):
    """A network of ``models.networks`` with its normalisation: (B, channels, H, W) in [0, 1] ->
    logits (B, classes, H, W).

    card: the record written by training. num_classes: as in the card.
    """

    def __init__(self, card: dict[str, Any]) -> None:
        super().__init__()
        plan = card["architecture"]
        network = built(plan)
        self.card = card
        self.num_classes: int = plan["num_classes"]
        self.base = Preprocess(network, mean=plan["mean"], std=plan["std"])

    @property
    def network(self) -> nn.Module:
        """The network inside the preprocessing, whose weights are what is stored."""
        assert isinstance(self.base.model, nn.Module)
        return self.base.model

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x)

    def coarse(self, x: Tensor) -> Tensor | Coarse:
        """Logits at half the size, and the size they stand for."""
        return coarse_form(self.base)(x)


class TrainedClouds(PartSegmenter):
    """A PointNet2 with the categories and parts of its card; ``.of(category)`` labels clouds."""

    def __init__(self, card: dict[str, Any]) -> None:
        plan = {name: value for name, value in card["architecture"].items() if name != "class"}
        super().__init__(PointNet2(Plan.of_record(plan)), card["categories"], card["parts"])
        self.card = card
        # What statements call it, unless a command knows how the user did.
        self.model_name = str(card.get("name", "PointNet2"))


class TrainedDenoiser(nn.Module):
    """A SmallDenoiser: pictures without their noise (B, channels, H, W) from noisy ones."""

    def __init__(self, card: dict[str, Any]) -> None:
        super().__init__()
        plan = card["architecture"]
        self.card = card
        self.channels: int = plan["channels"]
        self.network = SmallDenoiser(plan["channels"], plan["widths"], plan["blocks"])
        self.model_name = str(card.get("name", "SmallDenoiser"))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


Trained = TrainedModel | TrainedClouds | TrainedDenoiser
_CLASSES: dict[str, type[Trained]] = {
    UNET: TrainedModel,
    EFFICIENT: TrainedModel,
    "certiseg.models.denoise.SmallDenoiser": TrainedDenoiser,
    "certiseg.models.pointnet.network.PointNet2": TrainedClouds,
}


def to_bytes(network: nn.Module) -> bytes:
    """The weights in half precision, as a safetensors file. Raises InputError on overflow."""
    state = {}
    for name, value in network.state_dict().items():
        # Step counters of batch norm are integers and take no part in a forward pass.
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
            f"{digest[:12]}...; weights and card are not of one training, copy both again"
        )
    kind = card["architecture"].get("class", UNET)
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise InputError(
            f"{name}: expected an architecture among {', '.join(_CLASSES)}, got {kind!r:.80}; "
            "a newer certiseg may know it"
        )
    try:
        with Bounded(name, len(weights)):
            model = _CLASSES[kind](card)
        model.network.load_state_dict(safetensors.torch.load(weights))
    except InputError:
        raise
    except (
        *(safetensors.SafetensorError, RuntimeError, LookupError, TypeError, ValueError),
        *(AttributeError, ArithmeticError, AssertionError, MemoryError),
    ) as error:
        reason = first_line(error)
        raise InputError(
            f"{name}: expected weights that fit the card's architecture, got {reason}; "
            "copy model and card again"
        ) from None
    _check_words(model, card, name)
    if isinstance(model, TrainedClouds):
        return model.eval()
    # Convolutions here run faster on this layout; values are the same.
    return model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _check_words(model: Trained, card: dict[str, Any], name: str) -> None:
    """Raise InputError unless the card has the network's channels, and a name and a colour for
    each of its classes."""
    plan = card["architecture"]
    channels = plan["in_channels"] if isinstance(model, TrainedModel) else plan["channels"]
    fields = {"channels": whole(channels, channels)}
    if not isinstance(model, TrainedDenoiser):
        number = model.num_classes
        fields["classes"] = list_of(TEXT, number, number)
        fields["palette"] = list_of(list_of(whole(0, 255), 3, 3), number, number)
    for key, field in fields.items():
        if not field.holds(card.get(key)):
            raise InputError(
                f"{name}: expected {field.words} as {key} of its card, got {card.get(key)!r:.80}; "
                "copy model and card again"
            )


def load_folder(path: Path) -> Trained:
    """Load what `certiseg train -o FOLDER` wrote; path: the folder or its weights file."""
    if not path.exists():
        raise InputError(
            f"{path}: expected the folder of a trained model, got nothing of that name; check the "
            "path"
        )
    folder = path if path.is_dir() else path.parent
    return load_files(folder / CARD_FILE, folder / WEIGHTS_FILE if path.is_dir() else path)


def load_files(card_path: Path, weights_path: Path) -> Trained:
    """Load a card and the weights it describes. Raises InputError as load_trained does."""
    try:
        card = read_document(card_path, CARD)
        weights = read_bounded(weights_path, MODEL)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"{weights_path}: expected {card_path.name} and {weights_path.name} side by side, got "
            f"{reason}; pass the folder that certiseg train -o wrote"
        ) from None
    if not isinstance(card, dict):
        card = {}
    return load_trained(card, weights, str(weights_path))
