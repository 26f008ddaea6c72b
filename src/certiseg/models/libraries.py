"""What the adapters of other libraries share: optional packages, and how their folders look."""

from __future__ import annotations

import hashlib
import importlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from certiseg.errors import InputError
from certiseg.files.documents import read_document
from certiseg.files.reading import CARD
from certiseg.own_code import reason

CONFIG_FILE = "config.json"
"""Of Hugging Face, segmentation_models_pytorch and ``TimmSegmenter``."""
BUNDLE_METADATA = Path("configs") / "metadata.json"
BUNDLE_CONFIGS = tuple(
    Path("configs") / f"inference.{ending}" for ending in ("json", "yaml", "yml")
)


def is_hf_folder(path: Path) -> bool:
    """Whether the folder holds a transformers config (as save_pretrained writes it)."""
    return "model_type" in read_config(path / CONFIG_FILE)


def is_bundle(path: Path) -> bool:
    """Whether the folder holds a MONAI bundle's metadata and inference configuration."""
    return (path / BUNDLE_METADATA).is_file() and any(
        (path / name).is_file() for name in BUNDLE_CONFIGS
    )


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file; empty where there is none."""
    try:
        value = read_document(path, CARD)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def library(module: str, extra: str) -> Any:
    """The imported module of an optional package, which may take seconds.

    Raises InputError with the install command where that fails: beside a torch of another build
    torchvision is there and still fails, with a RuntimeError.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"expected the package {module.partition('.')[0]}, got none that imports "
            f"({reason(error)}); pip install 'certiseg[{extra}]' in an environment whose torch it "
            "fits"
        ) from None


def check_local(name: object, where: Path) -> None:
    """Raise InputError for a model's name in a file that timm would look up elsewhere, such as
    "hf-hub:ORG/NAME" or "local-dir:FOLDER"."""
    if ":" in str(name):
        raise InputError(
            f"{where}: expected a name of timm's own, got {str(name)[:60]!r}, which leads to "
            "another place; build the model in a function of yours (python:MODULE:FUNCTION)"
        )


def made_by(configuration: object, *packages: str) -> str:
    """Versions of the packages (and torch), and a digest of the configuration as JSON.

    For fingerprints: the code is the library's.
    """
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
    versions = [f"{name}={version(name)}" for name in (*packages, "torch")]
    return f"config_sha256={digest}, {', '.join(versions)}"
