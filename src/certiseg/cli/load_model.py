"""The model that --model names, with what its source notes about it on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from certiseg.cli.numbers import numbers_of
from certiseg.screen import remark

if TYPE_CHECKING:
    from certiseg.models.loaded import LoadedModel


def load_model(
    spec: str,
    *,
    num_classes: int | None = None,
    channels: int | None = None,
    scale: str | None = None,
    flip: bool = False,
    denoiser: str | None = None,
    names: Path | None = None,
) -> LoadedModel:
    """``runs.model.open_model``, with --scale and --names as they were typed. Raises InputError."""
    from certiseg.models.class_names import read_names
    from certiseg.runs.model import open_model

    scales = None if scale is None else numbers_of("--scale", scale)
    loaded = open_model(
        spec,
        num_classes=num_classes,
        channels=channels,
        scales=scales,
        flip=flip,
        denoiser=denoiser,
        names=None if names is None else read_names(names),
    )
    for note in loaded.notes:
        remark(f"note: {note}")
    return loaded
