"""The demonstration of an attack: a photograph, a network without a defence, and a certificate."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.errors import InputError
from certiseg.runs.attack import AttackSettings, attack_arrays
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings

MODEL, UNDEFENDED = "certiseg:camvid", "certiseg:camvid-undefended"
NORM = 0.5
"""l2 norm of the attack."""
_SIZE = (480, 320)
_STEPS = 60


def photograph() -> NDArray[np.float32]:
    """China.jpg of scikit-learn (by danielbuechele, CC BY 2.0), reduced to 480 x 320 pixels.

    float32 (3, H, W) in [0, 1]. Raises InputError without scikit-learn.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "expected scikit-learn, whose package holds the photograph, got none; "
            "pip install 'certiseg[demo]'"
        )
    path = Path(found.submodule_search_locations[0]) / "datasets" / "images" / "china.jpg"
    with Image.open(path) as image:
        reduced = image.convert("RGB").resize(_SIZE, Image.Resampling.LANCZOS)
    values = np.asarray(reduced, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(values.transpose(2, 0, 1))


def attack_demo(out: Path, settings: Settings, *, progress: bool = False) -> dict[str, Any]:
    """Attack a network that was trained without noise, and certify one trained with it.

    settings: of the certificate; its radius is to be above ``NORM``, so that the certificate covers
    the attack. Writes OUT/china.*, as ``attack_arrays``; files of an earlier demonstration are
    replaced. Returns the record. Raises InputError.
    """
    (record,) = attack_arrays(
        {"china": photograph()},
        open_model(MODEL),
        AttackSettings(NORM, steps=_STEPS),
        settings,
        out,
        non_robust=open_model(UNDEFENDED),
        overwrite=True,
        progress=progress,
    )
    return record
