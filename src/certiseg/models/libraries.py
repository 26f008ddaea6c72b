"""Shared by the adapters of other libraries: optional packages, and recognition of their
folders."""

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
"""Configuration of Hugging Face, segmentation_models_pytorch and ``TimmSegmenter``."""
BUNDLE_METADATA = Path("configs") / "metadata.json"
BUNDLE_CONFIGS = tuple(
    Path("configs") / f"inference.{ending}" for ending in ("json", "yaml", "yml")
)


def is_hf_folder(path: Path) -> bool:
    """True if the folder holds a transformers config, as written by save_pretrained."""
    return "model_type" in read_config(path / CONFIG_FILE)


def is_bundle(path: Path) -> bool:
    """True if the folder holds the metadata and inference configuration of a MONAI bundle."""
    return (path / BUNDLE_METADATA).is_file() and any(
        (path / name).is_file() for name in BUNDLE_CONFIGS
    )


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file; empty if there is none."""
    try:
        value = read_document(path, CARD)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def library(module: str, extra: str) -> Any:
    """Import an optional package, which may take seconds.

    Raises InputError with the install command if the import fails; torchvision beside another build
    of torch fails with a RuntimeError.
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
    """Raise InputError for a name of a model in a file that timm would load from elsewhere, such as
    "hf-hub:ORG/NAME" or "local-dir:FOLDER"."""
    if ":" in str(name):
        raise InputError(
            f"{where}: expected the name of a timm model, got {str(name)[:60]!r}, which is "
            "loaded from elsewhere; build the model in a function of yours (python:MODULE:FUNCTION)"
        )


def made_by(configuration: object, *packages: str) -> str:
    """Versions of the packages (and torch), and a digest of the configuration as JSON, for
    fingerprints.

    They identify the library's code.
    """
    digest = hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
    versions = [f"{name}={version(name)}" for name in (*packages, "torch")]
    return f"config_sha256={digest}, {', '.join(versions)}"
