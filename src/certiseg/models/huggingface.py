"""Segmentation models of Hugging Face transformers, from a local folder or by name from the Hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor, nn

from certiseg.errors import InputError, first_line
from certiseg.files.reading import CARD, MODEL, open_bounded, read_bounded
from certiseg.models.adapters.mask_classification import KINDS, SemanticScores, task_tokens
from certiseg.models.building import Bounded
from certiseg.models.hf_processor import read_processor
from certiseg.models.libraries import CONFIG_FILE, is_hf_folder, library, read_config
from certiseg.models.preprocess import Preprocess
from certiseg.models.segmenter import Segmenter
from certiseg.own_code import reason

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_LARGEST_SIZE = 2**20
_UNKNOWN = "Unrecognized configuration class"
_FETCHED = ("*.json", "*.txt", "*.safetensors")


def load_hf(folder: str | Path, resize: bool = False) -> Segmenter:
    """Load a folder written by save_pretrained, in evaluation mode, on the CPU, without network
    access.

    Models for semantic segmentation (SegFormer, UPerNet, BEiT, DPT, ...), and MaskFormer,
    Mask2Former and OneFormer, whose masks become scores of classes. The processor's mean and std,
    and a reversed channel order (MobileViT), become part of the model; without a processor file
    inputs are not normalised.

    Args:
        folder: contains config.json and safetensors weights (a pickled .bin is refused).
        resize: also resize every input to the processor's fixed height and width, as its pipeline
            would; by default images keep their size.

    Raises:
        InputError: If transformers is not installed, for another kind of folder, and for weights
            that do not fit.
    """
    path = Path(folder)
    if not is_hf_folder(path):
        raise InputError(
            f"{path}: expected a folder with a Hugging Face {CONFIG_FILE}, got none; "
            "pass the local folder that save_pretrained wrote"
        )
    described = read_config(path / CONFIG_FILE)
    kind = str(described["model_type"])
    transformers = library("transformers", "hf")
    _check_backbone(described, path)
    weights = _check_files(described, path)
    processor = read_processor(path, transformers)
    task = "Universal" if kind in KINDS else "Semantic"
    known = getattr(transformers, f"AutoModelFor{task}Segmentation")
    try:
        with Bounded(str(path / CONFIG_FILE), weights):
            model, loading = known.from_pretrained(
                str(path),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except InputError:
        raise
    # ImportError: a backbone of another library, such as timm's.
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        got = first_line(error).rstrip(".")
        remedy = "save it again with save_pretrained"
        if got.startswith(_UNKNOWN):
            got = f"model_type {kind!r:.60}, which is no such model in transformers"
            remedy = "build it in a function of yours that returns logits (python:MODULE:FUNCTION)"
        raise InputError(
            f"{path}: expected a semantic segmentation model with safetensors weights, got {got}; "
            f"{remedy}"
        ) from None
    if loading["missing_keys"]:
        # transformers initialises these randomly with a warning, as for fine-tuning.
        raise InputError(
            f"{path}: expected weights for every layer, got none for "
            f"{sorted(loading['missing_keys'])[0]}; the folder holds another kind of model"
        )
    config, name = model.config, type(model).__name__
    if kind in KINDS and config.num_labels == 1:
        raise InputError(
            f"{path}: expected at least 2 classes of {name}, got 1, whose label is always the "
            "same; its scores have no threshold"
        )
    if kind in KINDS:
        tokens = task_tokens(path, config.task_seq_len) if kind == "oneformer" else None
        model = SemanticScores(model, kind, tokens)
    mean, std = processor.mean, processor.std
    if processor.reverse:
        model = ReversedChannels(model)
        # In the order of the input.
        mean, std = (None if one is None else one[::-1] for one in (mean, std))
    classes, unnamed = _classes(config)
    # For models on a backbone, the number of channels is the backbone's.
    backbone = getattr(config, "backbone_config", None)
    stated = getattr(config, "num_channels", None) or getattr(backbone, "num_channels", None)
    written = read_bounded(path / CONFIG_FILE, CARD)
    return Segmenter(
        Preprocess(model, mean=mean, std=std, size=processor.size if resize else None),
        config.num_labels,
        name,
        channels=int(stated or (len(mean) if mean else 3)),
        classes=classes,
        made_by=f"config_sha256={hashlib.sha256(written).hexdigest()}",
        notes=(*processor.notes, *unnamed),
    ).eval()


class ReversedChannels(nn.Module):
    """A network whose input channels are in reversed order, such as BGR."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:
        return self.model(x.flip(1))


def _classes(config: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Distinct names of the network's outputs, and notes on them. An id without a name is "class

    i"; names without an output are ignored.
    """
    names = {int(i): str(name) for i, name in config.id2label.items()}
    found = [names.get(i, f"class {i}") for i in range(config.num_labels)]
    twice = {name for name in found if found.count(name) > 1}
    told_apart = tuple(f"{name} ({i})" if name in twice else name for i, name in enumerate(found))
    notes = []
    if set(names) != set(range(config.num_labels)):
        notes.append(
            f"id2label names the ids {', '.join(map(str, sorted(names)[:8]))}, and the network has "
            f"the outputs 0 to {config.num_labels - 1}; outputs without a name are called class i"
        )
    if twice:
        notes.append(
            f"id2label gives {len(twice)} names to several ids, such as {min(twice)!r}; their ids "
            "stand behind them"
        )
    return told_apart, tuple(notes)


def load_from_hub(rest: str) -> Segmenter:
    """Load ORG/NAME or ORG/NAME@REVISION from the Hub or its cache, on the user's request.

    Only JSON, text and safetensors are fetched. Raises InputError for an unknown model, and without
    network.
    """
    name, _, revision = rest.partition("@")
    if not _HUB_NAME.fullmatch(name):
        raise InputError(
            f"expected hf:ORG/NAME or hf:ORG/NAME@REVISION, got {f'hf:{rest}'!r}; a local folder "
            "is named without hf:"
        )
    fetch = library("huggingface_hub", "hf").snapshot_download
    try:
        folder = fetch(name, revision=revision or None, allow_patterns=list(_FETCHED))
    # Its errors come from several libraries.
    except Exception as error:
        raise InputError(
            f"expected a model {name!r} on the Hugging Face Hub or in its cache, got "
            f"{reason(error)[:160]}; check the name and the network, or pass a local folder"
        ) from None
    return load_hf(folder)


def _check_files(config: dict[str, Any], path: Path) -> int:
    """Size in bytes of the weights in a folder, whose files transformers opens itself. Raises
    InputError for pipes, devices, and files or numbers in the config that are too large."""
    largest = max(_numbers(config), default=0)
    if largest > _LARGEST_SIZE:
        # Such as of labels: transformers would create a name for each before any layer.
        raise InputError(
            f"{path / CONFIG_FILE}: expected sizes of at most {_LARGEST_SIZE}, got {largest}; save "
            "the model again"
        )
    for pattern in _FETCHED:
        for file in sorted(path.glob(pattern)):
            try:
                open_bounded(file, MODEL).close()
            except OSError as error:
                raise InputError(
                    f"{file}: expected a file that save_pretrained wrote, got {error.strerror}; "
                    "save the model again"
                ) from None
    return sum(file.stat().st_size for file in path.glob("*.safetensors"))


def _numbers(value: Any) -> Iterator[int]:
    """All whole numbers in a config."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


def _check_backbone(config: dict[str, Any], path: Path) -> None:
    """Raise InputError if the config names a backbone on the Hub, which transformers would download
    whatever the arguments of from_pretrained."""
    described = config.get("backbone_config")
    if described is None:
        named = config.get("backbone")
    else:
        named = described.get("backbone") if isinstance(described, dict) else described
        # A name of timm's own is no place; "hf-hub:ORG/NAME" is one.
        named = named if ":" in str(named) else None
    if named is not None:
        raise InputError(
            f"{path / CONFIG_FILE}: expected a config that describes its backbone (backbone_config)"
            f", got the name {str(named)[:60]!r}, which would be looked up on the network; load "
            "the model and save it again with save_pretrained"
        )
