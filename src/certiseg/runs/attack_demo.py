"""The demonstration of an attack: a photograph, a network without a defence, and a certificate."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from certiseg.errors import InputError
from certiseg.runs.attack import AttackSettings, attack_files
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings

MODEL, UNDEFENDED = "certiseg:camvid", "certiseg:camvid-undefended"
NORM = 0.5
"""l2 norm of the attack."""
_SIZE = (480, 320)
_STEPS = 60


def attack_demo(out: Path, settings: Settings, *, progress: bool = False) -> dict[str, Any]:
    """Attack a network that was trained without noise, and certify one trained with it.

    The photograph is china.jpg of scikit-learn (by danielbuechele, CC BY 2.0), reduced to 480 x 320
    pixels.

    settings: of the certificate; its radius is to be above ``NORM``, so that the certificate covers
    the attack. Writes OUT/china.*, as ``attack_files``; files of an earlier demonstration are
    replaced. Returns the record. Raises InputError, also without scikit-learn.
    """
    with TemporaryDirectory() as folder:
        photograph = Path(folder) / "china.png"
        with Image.open(_file()) as image:
            image.convert("RGB").resize(_SIZE, Image.Resampling.LANCZOS).save(photograph)
        (record,) = attack_files(
            [photograph],
            open_model(MODEL),
            AttackSettings(NORM, steps=_STEPS),
            settings,
            out,
            non_robust=open_model(UNDEFENDED),
            overwrite=True,
            progress=progress,
        )
    return record


def _file() -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "expected scikit-learn, whose package holds the photograph, got none; "
            "pip install 'certiseg[demo]'"
        )
    return Path(found.submodule_search_locations[0]) / "datasets" / "images" / "china.jpg"
