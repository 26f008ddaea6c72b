"""From the word after --model to a model in eval mode, with what is known about its classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from certiseg.errors import InputError
from certiseg.models.adapters.bundle import is_bundle, load_bundle
from certiseg.models.adapters.exported import resolve_exported
from certiseg.models.adapters.onnx import resolve_onnx
from certiseg.models.hrnet.published import load_hrnet
from certiseg.models.huggingface import is_hf_folder, resolve_folder, resolve_hub
from certiseg.models.loaded import LoadedModel
from certiseg.models.own import load_own
from certiseg.models.pointnet.published import load_shapenet
from certiseg.models.segmenter import Segmenter
from certiseg.models.shipped import load_shipped, shipped
from certiseg.models.stored import CARD_FILE, Trained, TrainedClouds, TrainedDenoiser, load_folder
from certiseg.models.zoo.smp import load_smp
from certiseg.models.zoo.timm import load_timm
from certiseg.models.zoo.torchvision import load_torchvision

Loader = Callable[[str, str], LoadedModel]
"""From the whole name, and what of it follows the scheme (of a path: all)."""


@dataclass(frozen=True)
class Form:
    """One way to name a model. words: how it is written, for errors."""

    words: str
    load: Loader


def _of_card(spec: str, model: Trained) -> LoadedModel:
    if isinstance(model, TrainedDenoiser):
        raise InputError(
            f"expected a segmentation model, got the denoiser {spec}; pass it as --denoiser beside "
            "a model"
        )
    card = model.card
    parts = model.parts if isinstance(model, TrainedClouds) else None
    return LoadedModel(
        name=spec,
        model=model,
        num_classes=model.num_classes,
        classes=tuple(card["classes"]),
        palette=tuple((r, g, b) for r, g, b in card["palette"]),
        channels=card["channels"],
        kind="pictures" if parts is None else "clouds",
        parts=parts,
    )


def _published(spec: str, rest: str) -> LoadedModel:
    model = load_shapenet(Path(rest))
    return LoadedModel(
        spec,
        model,
        model.num_classes,
        channels=model.network.plan.channels,
        kind="clouds",
        parts=model.parts,
    )


def _shipped(spec: str, rest: str) -> LoadedModel:
    return _of_card(spec, load_shipped(rest))


def _stored(spec: str, rest: str) -> LoadedModel:
    return _of_card(spec, load_folder(Path(rest)))


def _of_segmenter(spec: str, model: Segmenter) -> LoadedModel:
    return LoadedModel(
        spec,
        model,
        model.num_classes,
        model.classes,
        model.palette,
        channels=model.channels,
        kind="pictures",
        notes=model.notes,
    )


def _hrnet(spec: str, rest: str) -> LoadedModel:
    return _of_segmenter(spec, load_hrnet(rest))


def _torchvision(spec: str, rest: str) -> LoadedModel:
    name, _, weights = rest.partition(":")
    if not name or not weights:
        raise InputError(
            f"expected torchvision:NAME:WEIGHTS or torchvision:NAME:FILE, got {spec!r}; such as "
            "torchvision:deeplabv3_resnet50:DEFAULT, which fetches the published weights"
        )
    return _of_segmenter(spec, load_torchvision(name, weights))


def _smp(spec: str, rest: str) -> LoadedModel:
    return _of_segmenter(spec, load_smp(rest))


def _timm(spec: str, rest: str) -> LoadedModel:
    return _of_segmenter(spec, load_timm(rest))


SCHEMES: dict[str, Form] = {
    "certiseg": Form("certiseg:NAME (shipped)", _shipped),
    "python": Form("python:MODULE:FUNCTION", load_own),
    "pointnet2": Form("pointnet2:CHECKPOINT.pth", _published),
    "hrnet": Form("hrnet:CHECKPOINT.pth", _hrnet),
    "torchvision": Form("torchvision:NAME:WEIGHTS", _torchvision),
    "smp": Form("smp:FOLDER", _smp),
    "timm": Form("timm:FOLDER", _timm),
    "hf": Form("hf:ORG/NAME (from the Hub)", resolve_hub),
    "onnx": Form("onnx:FILE:OUTPUT", resolve_onnx),
}
"""By the word before the first colon."""

FILES: dict[str, Form] = {
    ".safetensors": Form("its model.safetensors", _stored),
    ".onnx": Form("FILE.onnx", resolve_onnx),
    ".pt2": Form("FILE.pt2 (torch.export)", resolve_exported),
}
"""By the ending of a file."""

FOLDERS: list[tuple[Callable[[Path], bool], Form]] = [
    (
        lambda path: (path / CARD_FILE).is_file(),
        Form("a folder that certiseg train or train-clouds wrote", _stored),
    ),
    (is_hf_folder, Form("a local Hugging Face folder", resolve_folder)),
    (is_bundle, Form("a MONAI bundle", load_bundle)),
]
"""By their own card, never by the name of their weights; the first that fits."""


_PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl")


def resolve_model(spec: str) -> LoadedModel:
    """Load the model that `spec` names; modules come back in eval mode.

    Raises InputError that lists the forms.
    """
    scheme, colon, rest = spec.partition(":")
    if colon and scheme in SCHEMES:
        return SCHEMES[scheme].load(spec, rest)
    path = Path(spec)
    if not colon and path.suffix in (*FILES, *_PICKLED) and not path.exists():
        raise InputError(f"{spec}: expected the file of a model, got no such file; check the path")
    if path.is_file() and path.suffix in FILES:
        return FILES[path.suffix].load(spec, spec)
    if path.is_file() and path.suffix in _PICKLED:
        raise InputError(
            f"expected a model that says what it is, got {spec}, weights or TorchScript without "
            "their code; build the model and load it in a function of yours "
            "(python:MODULE:FUNCTION), or name its kind, such as hrnet:FILE.pth"
        )
    if path.is_dir():
        for fits, form in FOLDERS:
            if fits(path):
                return form.load(spec, spec)
    raise InputError(
        f"expected a model as {_forms()}, got {spec!r}; shipped are "
        f"{', '.join(f'certiseg:{name}' for name in shipped()) or 'none'}"
    )


def _forms() -> str:
    folders = [form for _, form in FOLDERS]
    *others, last = [form.words for form in (*SCHEMES.values(), *folders, *FILES.values())]
    return f"{', '.join(others)} or {last}"
