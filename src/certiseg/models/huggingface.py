"""Segmentation models of Hugging Face transformers, from a local folder or by name from the Hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from certiseg.errors import InputError, first_line
from certiseg.files.reading import CARD, MODEL, open_bounded, read_bounded
from certiseg.models.adapters.mask_classification import KINDS, SemanticScores, task_tokens
from certiseg.models.building import Bounded
from certiseg.models.libraries import CONFIG_FILE, is_hf_folder, library, read_config
from certiseg.models.preprocess import Preprocess
from certiseg.models.segmenter import Segmenter
from certiseg.own_code import reason

_PROCESSOR = "preprocessor_config.json"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_LARGEST_SIZE = 2**20
_FETCHED = ("*.json", "*.txt", "*.safetensors")


def load_hf(folder: str | Path, resize: bool = False) -> Segmenter:
    """Load a folder written by save_pretrained, in evaluation mode, on the CPU; never the network.

    Models for semantic segmentation (SegFormer, UPerNet, BEiT, DPT, ...), and MaskFormer,
    Mask2Former and OneFormer, whose masks become scores of classes. The processor's mean and std
    are part of the model; without a processor file inputs go in as they are.

    Args:
        folder: with config.json and safetensors weights (a pickled .bin is refused).
        resize: also resize every input to the processor's fixed height and width, as its pipeline
            would; by default pictures keep their size.

    Raises:
        InputError: transformers is not installed, another kind of folder, weights that do not fit.
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
        raise InputError(
            f"{path}: expected a semantic segmentation model with safetensors weights, "
            f"got {first_line(error).rstrip('.')}; save it again with save_pretrained"
        ) from None
    if loading["missing_keys"]:
        # transformers fills these with random numbers and a warning, as for fine-tuning.
        raise InputError(
            f"{path}: expected weights for every layer, got none for "
            f"{sorted(loading['missing_keys'])[0]}; the folder holds another kind of model"
        )
    config, name = model.config, type(model).__name__
    mean, std, size = _processor(path)
    if kind in KINDS:
        tokens = task_tokens(path, config.task_seq_len) if kind == "oneformer" else None
        model = SemanticScores(model, kind, tokens)
    # Of models on a backbone the channels are the backbone's.
    backbone = getattr(config, "backbone_config", None)
    stated = getattr(config, "num_channels", None) or getattr(backbone, "num_channels", None)
    written = read_bounded(path / CONFIG_FILE, CARD)
    return Segmenter(
        Preprocess(model, mean=mean, std=std, size=size if resize else None),
        config.num_labels,
        name,
        channels=int(stated or (len(mean) if mean else 3)),
        classes=tuple(str(config.id2label[i]) for i in range(config.num_labels)),
        made_by=f"config_sha256={hashlib.sha256(written).hexdigest()}",
    ).eval()


def load_from_hub(rest: str) -> Segmenter:
    """ORG/NAME, ORG/NAME@REVISION: downloaded, or found in the cache, because it was named.

    Only JSON, text and safetensors are fetched. Raises InputError: no such model, no network.
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
    """Bytes of the weights in a folder, whose files transformers opens itself. Raises InputError
    for a pipe, a device or a file beyond all bounds, and for a number in the config beyond them."""
    largest = max(_numbers(config), default=0)
    if largest > _LARGEST_SIZE:
        # Of labels, say: transformers would make a name for each before any layer.
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
    """Raise InputError where the config names a backbone to be looked up on the Hub: transformers
    would do so unasked, whatever from_pretrained was told."""
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


def _processor(path: Path) -> tuple[Any, Any, tuple[int, int] | None]:
    """Mean and std (lists or None) and fixed size from the processor file, read as JSON.

    The processor classes import torchvision or convert to PIL; their three numbers are enough.
    """
    if not (path / _PROCESSOR).is_file():
        return None, None, None
    settings = read_config(path / _PROCESSOR)
    mean = std = None
    if settings.get("do_normalize", True):
        mean, std = settings.get("image_mean"), settings.get("image_std")
    # [0, 1] input is what the processor makes of 8-bit pixels; other factors move the statistics.
    factor = float(settings.get("rescale_factor", 1 / 255)) * 255
    if not settings.get("do_rescale", True) or abs(factor - 1) > 1e-6:
        raise InputError(
            f"{path / _PROCESSOR}: expected a processor that rescales 8-bit pixels to [0, 1], got "
            f"do_rescale={settings.get('do_rescale')}, factor {settings.get('rescale_factor')}; "
            "wrap the model with certiseg.models.preprocess.Preprocess instead"
        )
    size = settings.get("size")
    fixed = None
    if (
        settings.get("do_resize", True)
        and isinstance(size, dict)
        and {"height", "width"} <= {*size}
    ):
        fixed = (int(size["height"]), int(size["width"]))
    return mean, std, fixed
