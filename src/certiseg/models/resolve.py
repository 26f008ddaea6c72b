"""Models by their name after --model, in evaluation mode, with what is known about their classes.

A table lists the forms of names; a loader's module is imported when such a name is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from certiseg.errors import InputError
from certiseg.models.libraries import is_bundle, is_hf_folder
from certiseg.models.loaded import LoadedModel, made_by_others
from certiseg.models.serialization import CARD_FILE, bundled

PLUGINS = "certiseg.models"
"""Group of entry points for further schemes. Each is a function of the text after the colon, and
returns a ``LoadedModel``, or a model that ``LoadedModel.of_model`` describes."""


class Form(NamedTuple):
    """A form of name. words: as written in help and errors. loader: "module:function" below
    ``certiseg.models``; the function takes the text after the scheme's colon, or a path."""

    words: str
    loader: str


SCHEMES = {
    "certiseg": Form("certiseg:NAME (bundled)", "serialization:load_bundled"),
    "python": Form("python:MODULE:FUNCTION", "python_model:load_python"),
    "pointnet2": Form("pointnet2:CHECKPOINT.pth", "pointnet.published:load_shapenet"),
    "hrnet": Form("hrnet:CHECKPOINT.pth", "hrnet.published:load_hrnet"),
    "torchvision": Form("torchvision:NAME:WEIGHTS", "zoo.torchvision:load_named"),
    "smp": Form("smp:FOLDER", "zoo.smp:load_smp"),
    "timm": Form("timm:FOLDER", "zoo.timm:load_timm"),
    "hf": Form("hf:ORG/NAME (from the Hub)", "huggingface:load_from_hub"),
    "onnx": Form("onnx:FILE:OUTPUT", "adapters.onnx:load_named"),
}
"""By the word before the first colon of the name."""

_STORED = "serialization:load_folder"
FOLDERS: list[tuple[Callable[[Path], bool], Form]] = [
    (
        lambda path: (path / CARD_FILE).is_file(),
        Form("a folder that certiseg train or train-clouds wrote", _STORED),
    ),
    (is_hf_folder, Form("a local Hugging Face folder", "huggingface:load_hf")),
    (is_bundle, Form("a MONAI bundle", "adapters.bundle:load_bundle")),
]
"""Folders, recognised by their card or configuration, in this order."""

FILES = {
    ".safetensors": Form("its model.safetensors", _STORED),
    ".onnx": Form("FILE.onnx", "adapters.onnx:load_named"),
    ".pt2": Form("FILE.pt2 (torch.export)", "adapters.exported:load_exported"),
}
"""By file suffix."""

_PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl")


def load_model(spec: str) -> LoadedModel:
    """Load a model by name, in evaluation mode, on the CPU.

    Args:
        spec: such as "certiseg:camvid", "hf:ORG/NAME", "python:MODULE:FUNCTION", "net.onnx" or a
            folder; all forms are in the tables of this module and in docs/models/. Installed
            packages may add schemes by entry points of the group ``certiseg.models``.

    Returns:
        The model with what is known about its classes, channels and kind of input.

    Raises:
        InputError: a name of another form (the error lists them), or a model that cannot be loaded.

    Example:
        >>> loaded = load_model("certiseg:mni152")
        >>> loaded.classes
        ('background', 'grey matter', 'white matter')
    """
    scheme, colon, rest = spec.partition(":")
    if colon and scheme in SCHEMES:
        return _load(SCHEMES[scheme], spec, rest)
    if colon and (plugin := _plugins().get(scheme)):
        what = f"{plugin.value}, which loads {scheme}:...,"
        remedy = "correct the name or that package"
        return _described(spec, made_by_others(lambda: plugin.load()(rest), what, remedy))
    path = Path(spec)
    if not colon and path.suffix in (*FILES, *_PICKLED) and not path.exists():
        raise InputError(f"{spec}: expected the file of a model, got no such file; check the path")
    if path.is_file() and path.suffix in FILES:
        return _load(FILES[path.suffix], spec, spec)
    if path.is_file() and path.suffix in _PICKLED:
        raise InputError(
            f"expected a self-contained model, got {spec}, weights or TorchScript without "
            "their code; build the model and load it in a function of yours "
            "(python:MODULE:FUNCTION), or name its kind, such as hrnet:FILE.pth"
        )
    if path.is_dir():
        for fits, form in FOLDERS:
            if fits(path):
                return _load(form, spec, spec)
    raise InputError(
        f"expected a model as {_forms()}, got {spec!r}; bundled are "
        f"{', '.join(f'certiseg:{name}' for name in bundled()) or 'none'}"
    )


def _load(form: Form, spec: str, rest: str) -> LoadedModel:
    module, _, function = form.loader.partition(":")
    load = getattr(importlib.import_module(f"certiseg.models.{module}"), function)
    return _described(spec, load(rest))


def _described(spec: str, model: Any) -> LoadedModel:
    if getattr(model, "kind", None) == "denoiser":
        raise InputError(
            f"expected a segmentation model, got the denoiser {spec}; pass it as --denoiser beside "
            "a model"
        )
    if isinstance(model, LoadedModel):
        return replace(model, name=spec)
    return LoadedModel.of_model(spec, model)


def _plugins() -> dict[str, EntryPoint]:
    """Schemes of other installed packages; they cannot replace a built-in scheme."""
    return {plugin.name: plugin for plugin in entry_points(group=PLUGINS)}


def _forms() -> str:
    foreign = (f"{name}:... ({plugin.module})" for name, plugin in _plugins().items())
    schemes = [form.words for form in SCHEMES.values()]
    folders = [form.words for _, form in FOLDERS]
    *others, last = [*schemes, *foreign, *folders, *(form.words for form in FILES.values())]
    return f"{', '.join(others)} or {last}"
