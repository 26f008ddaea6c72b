"""Segmentation models of Hugging Face transformers, from a local folder or by name from the Hub."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.adapters.universal import KINDS, SemanticScores, task_tokens
from certiseg.models.coarse import Coarse, coarse_form
from certiseg.models.loaded import LoadedModel, reason
from certiseg.models.preprocess import Preprocess

_CONFIG = "config.json"
_PROCESSOR = "preprocessor_config.json"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FETCHED = ("*.json", "*.txt", "*.safetensors")


class HuggingFaceModel(nn.Module):
    """Logits (B, classes, H, W) from (B, channels, H, W) in [0, 1], at the input's size.

    The model's own mean, std and resizing are part of it, so noise is added to the [0, 1] input.
    num_classes, classes: from the folder's config (id2label). config: that file's content.
    """

    def __init__(
        self, base: Preprocess, classes: tuple[str, ...], channels: int, config: str
    ) -> None:
        super().__init__()
        self.base = base
        self.digest = hashlib.sha256(config.encode()).hexdigest()
        self.classes = classes
        self.num_classes = len(classes)
        self.channels = channels

    def extra_repr(self) -> str:
        return f"config_sha256={self.digest}"

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x)

    def coarse(self, x: Tensor) -> Tensor | Coarse:
        """Logits of the transformers model's own size, and the size they stand for."""
        return coarse_form(self.base)(x)


def is_hf_folder(path: Path) -> bool:
    """Whether the folder holds a transformers config (as save_pretrained writes it)."""
    return "model_type" in _read_json(path / _CONFIG)


def load_hf(folder: str | Path, resize: bool = False) -> HuggingFaceModel:
    """Load a folder written by save_pretrained, in eval mode, on the CPU; never the network.

    Models for semantic segmentation (SegFormer, UPerNet, BEiT, DPT, ...), and MaskFormer,
    Mask2Former and OneFormer, whose masks become scores of classes (``adapters.universal``).
    resize: also resize every input to the processor's fixed height and width, as its pipeline
    would; by default pictures keep their size. Without a processor file inputs go in as they are.
    Weights must be safetensors (a pickled .bin is refused). Raises InputError otherwise.
    """
    path = Path(folder)
    if not is_hf_folder(path):
        raise InputError(
            f"{path}: expected a folder with a Hugging Face {_CONFIG}, got none; "
            "pass the local folder that save_pretrained wrote"
        )
    kind = str(_read_json(path / _CONFIG)["model_type"])
    try:
        from transformers import AutoModelForSemanticSegmentation, AutoModelForUniversalSegmentation
    except (ImportError, RuntimeError):
        raise missing() from None
    _check_backbone(path)
    known = AutoModelForUniversalSegmentation if kind in KINDS else AutoModelForSemanticSegmentation
    try:
        model, loading = known.from_pretrained(
            str(path),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    # ImportError: a backbone of another library, such as timm's.
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "an unknown failure"
        raise InputError(
            f"{path}: expected a semantic segmentation model with safetensors weights, "
            f"got {reason.rstrip('.')}; save it again with save_pretrained"
        ) from None
    if loading["missing_keys"]:
        # transformers fills these with random numbers and a warning, as for fine-tuning.
        raise InputError(
            f"{path}: expected weights for every layer, got none for "
            f"{sorted(loading['missing_keys'])[0]}; the folder holds another kind of model"
        )
    config: Any = model.config
    names = tuple(str(config.id2label[i]) for i in range(config.num_labels))
    mean, std, size = _processor(path)
    if kind in KINDS:
        task = task_tokens(path, config.task_seq_len) if kind == "oneformer" else None
        model = SemanticScores(model, kind, task)
    base = Preprocess(model, mean=mean, std=std, size=size if resize else None)
    # Of models on a backbone the channels are the backbone's.
    backbone = getattr(config, "backbone_config", None)
    stated = getattr(config, "num_channels", None) or getattr(backbone, "num_channels", None)
    channels = int(stated or (len(mean) if mean else 3))
    written = (path / _CONFIG).read_text(encoding="utf-8")
    return HuggingFaceModel(base, names, channels, written).eval()


def resolve_folder(spec: str, rest: str) -> LoadedModel:
    model = load_hf(Path(rest))
    return LoadedModel(
        spec,
        model,
        model.num_classes,
        model.classes,
        channels=model.channels,
        kind="pictures",
    )


def resolve_hub(spec: str, rest: str) -> LoadedModel:
    """hf:ORG/NAME, hf:ORG/NAME@REVISION: downloaded, or found in the cache, because it was named.

    Only JSON, text and safetensors are fetched. Raises InputError: no such model, no network.
    """
    name, _, revision = rest.partition("@")
    if not _HUB_NAME.fullmatch(name):
        raise InputError(
            f"expected hf:ORG/NAME or hf:ORG/NAME@REVISION, got {spec!r}; a local folder is named "
            "without hf:"
        )
    try:
        from huggingface_hub import snapshot_download
    except (ImportError, RuntimeError):
        raise missing() from None
    try:
        folder = snapshot_download(name, revision=revision or None, allow_patterns=list(_FETCHED))
    # Its errors come from several libraries.
    except Exception as error:
        raise InputError(
            f"expected a model {name!r} on the Hugging Face Hub or in its cache, got "
            f"{reason(error)[:160]}; check the name and the network, or pass a local folder"
        ) from None
    return resolve_folder(spec, folder)


def missing() -> InputError:
    """What to say where transformers is not installed."""
    return InputError(
        "expected the package transformers for a Hugging Face model, got none that imports; "
        "pip install 'certiseg[hf]'"
    )


def _check_backbone(path: Path) -> None:
    """Raise InputError where the config names a backbone to be looked up on the Hub: transformers
    would do so unasked, whatever from_pretrained was told."""
    config = _read_json(path / _CONFIG)
    described = config.get("backbone_config")
    if described is None:
        named = config.get("backbone")
    else:
        named = described.get("backbone") if isinstance(described, dict) else described
        # A name of timm's own is no place; "hf-hub:ORG/NAME" is one.
        named = named if ":" in str(named) else None
    if named is not None:
        raise InputError(
            f"{path / _CONFIG}: expected a config that describes its backbone (backbone_config), "
            f"got the name {str(named)[:60]!r}, which would be looked up on the network; load the "
            "model and save it again with save_pretrained"
        )


def _processor(
    path: Path,
) -> tuple[list[float] | None, list[float] | None, tuple[int, int] | None]:
    """Mean, std and fixed size from the processor file, read as JSON.

    The processor classes import torchvision or convert to PIL; their three numbers are enough.
    """
    if not (path / _PROCESSOR).is_file():
        return None, None, None
    settings = _read_json(path / _PROCESSOR)
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
        and {"height", "width"} <= set(size)
    ):
        fixed = (int(size["height"]), int(size["width"]))
    return mean, std, fixed


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
