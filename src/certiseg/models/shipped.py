"""The trained networks inside the package: weights/NAME.safetensors with weights/NAME.json."""

from __future__ import annotations

from pathlib import Path

from certiseg.errors import InputError
from certiseg.models.stored import Trained, load_files

_FOLDER = Path(__file__).parent / "weights"


def shipped() -> list[str]:
    """Names of the networks in this installation, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def load_shipped(name: str) -> Trained:
    """Load a shipped network in eval mode. It has .card (a dict).

    Of pictures it is a TrainedModel, of clouds TrainedClouds, or it is a TrainedDenoiser.

    Raises InputError for an unknown name, with the known ones.
    """
    if name not in shipped():
        raise InputError(
            f"expected a shipped model among {', '.join(shipped()) or 'none'}, got {name!r}; "
            "write certiseg:NAME with one of these names"
        )
    return load_files(_FOLDER / f"{name}.json", _FOLDER / f"{name}.safetensors")
