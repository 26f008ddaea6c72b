"""Steps of a Hugging Face image processor on the values of an image, read from its file.

Steps and defaults are those of its class in transformers; instantiating the processor would import
torchvision, and for OneFormer access the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.errors import InputError
from certiseg.files.documents import read_document
from certiseg.files.reading import CARD

NESTED = "processor_config.json"
PLAIN = "preprocessor_config.json"
_WRAP = "build the model in a function of yours (python:MODULE:FUNCTION), with its preprocessing"
_ABSENT = object()
_HANDLED = (
    *("do_resize", "do_rescale", "do_normalize", "do_flip_channel_order", "do_convert_rgb"),
    *("do_reduce_labels", "do_center_crop", "do_pad"),
)
"""Steps that are done here, that change nothing in 8-bit RGB, or that a note speaks of."""


@dataclass(frozen=True)
class Processor:
    """Steps of an image processor after scaling 8-bit pixels to [0, 1].

    reverse: the channel order is reversed before normalisation. mean, std: one value per channel,
    None for no normalisation. size: (H, W) to which all images are resized, None if it depends on
    the image. notes: for the user.
    """

    reverse: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


def read_processor(folder: Path, transformers: Any) -> Processor:
    """Read the processor file beside a model.

    Args:
        folder: as save_pretrained wrote it; ``processor_config.json`` takes precedence over
            ``preprocessor_config.json``, as in transformers.
        transformers: the imported library.

    Raises:
        InputError: For a file that cannot be read, a processor unknown to this transformers, and
            steps that are not supported.
    """
    file, settings = _settings(folder)
    if file is None:
        return Processor(
            notes=(
                f"{folder}: no image processor beside the model, so that inputs go in as they are, "
                "in [0, 1]; if the network expects mean and std, wrap it in "
                "certiseg.models.Preprocess",
            )
        )
    kind = _class(file, settings, transformers)
    # Steps that the class does not have are not taken, whatever the file says.
    steps = inspect.signature(getattr(kind, "_preprocess", kind.preprocess)).parameters

    def value(name: str) -> Any:
        return settings.get(name, _default(kind, name)) if name in steps else None

    strange = [name for name in steps if name.startswith("do_") and name not in _HANDLED]
    if wrong := [name for name in strange if value(name)]:
        raise InputError(
            f"{file}: expected an image processor that resizes, rescales and normalises, got one "
            f"with {wrong[0]}; {_WRAP}"
        )
    # The processor scales 8-bit pixels to [0, 1]; other factors change the statistics.
    factor = _number(file, "rescale_factor", value("rescale_factor") or 0.0) * 255
    if not value("do_rescale") or abs(factor - 1) > 1e-6:
        raise InputError(
            f"{file}: expected a processor that rescales 8-bit pixels to [0, 1], got do_rescale = "
            f"{value('do_rescale')} with factor {value('rescale_factor')}; {_WRAP}"
        )
    mean = std = None
    if value("do_normalize"):
        mean, std = (_statistics(file, name, value(name)) for name in ("image_mean", "image_std"))
    size = settings.get("size", _default(kind, "size")) if value("do_resize") else None
    return Processor(
        reverse=bool(value("do_flip_channel_order")),
        mean=mean,
        std=std,
        size=_fixed(file, size),
        notes=tuple(_notes(folder, size, value)),
    )


def _settings(folder: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """The file that takes precedence, and its content; None if there is none."""
    for name, key in ((NESTED, "image_processor"), (PLAIN, None)):
        file = folder / name
        if not file.exists():
            continue
        try:
            found = read_document(file, CARD)
        except ValueError as error:
            raise InputError(
                f"{file}: expected the image processor of the model, got {error}; save it again "
                "with save_pretrained, or remove the file if the model takes [0, 1] as it is"
            ) from None
        if isinstance(found, dict) and key is not None:
            found = found.get(key, _ABSENT)
            if found is _ABSENT:
                continue
        if not isinstance(found, dict):
            raise InputError(
                f"{file}: expected the settings of an image processor, got {found!r:.40}; save it "
                "again with save_pretrained"
            )
        return file, found
    return None, {}


def _class(file: Path, settings: Mapping[str, Any], transformers: Any) -> Any:
    """The processor's class, in the form that needs no torchvision."""
    given = settings.get("image_processor_type") or settings.get("feature_extractor_type") or ""
    name = str(given).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast")
    for known in (f"{name}Pil", name):
        kind = getattr(transformers, known, None) if name.isidentifier() else None
        if isinstance(kind, type) and hasattr(kind, "preprocess"):
            return kind
    raise InputError(
        f"{file}: expected an image_processor_type that the installed transformers knows, got "
        f"{given!r:.60}; save the processor again with save_pretrained, or {_WRAP}"
    )


def _default(kind: Any, name: str) -> Any:
    """Default of the class for a value that the file does not state."""
    found = getattr(kind, name, _ABSENT)
    if found is _ABSENT:
        parameter = inspect.signature(kind.__init__).parameters.get(name)
        found = (
            None
            if parameter is None or parameter.default is parameter.empty
            else (parameter.default)
        )
    return found


def _number(file: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{file}: expected {name} as a number, got {value!r:.40}; correct it")
    return float(value)


def _statistics(file: Path, name: str, value: Any) -> tuple[float, ...]:
    each = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_number(file, name, number) for number in each)


def _fixed(file: Path, size: Any) -> tuple[int, int] | None:
    """Height and width of all images after resizing, or None. A single number is ambiguous: the
    shorter side, or both in old files."""
    if not isinstance(size, Mapping) or not {"height", "width"} <= set(size):
        return None
    height, width = (_number(file, f"size[{side!r}]", size[side]) for side in ("height", "width"))
    return int(height), int(width)


def _notes(folder: Path, size: Any, value: Any) -> list[str]:
    geometry = [f"resizes to {_words(size)}"] if size else []
    geometry += ["cuts out the centre"] if value("do_center_crop") else []
    if value("size_divisor") or value("do_pad"):
        geometry.append("pads the sides")
    notes = []
    if geometry:
        notes.append(
            f"{folder}: the model's image processor {', '.join(geometry)}; here images keep their "
            "size, unless --resize HxW resizes them for the model"
        )
    if value("do_reduce_labels"):
        notes.append(
            f"{folder}: the model was trained on label files in which 0 is unlabelled: its class k "
            "is id k + 1 there (first_id: 1 and ignore: [0] in the YAML file of a data set)"
        )
    return notes


def _words(size: Any) -> str:
    if isinstance(size, Mapping):
        return ", ".join(f"{name} {side}" for name, side in size.items() if side is not None)
    return f"{size}"
