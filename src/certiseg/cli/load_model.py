"""The model that --model names, with what its source notes about it on standard error."""

from __future__ import annotations

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
    binary: str | None = None,
    multi_label: bool = False,
) -> LoadedModel:
    """``runs.model.open_model``, with --scale as it was typed. Raises InputError."""
    from certiseg.runs.model import open_model

    scales = None if scale is None else numbers_of("--scale", scale)
    loaded = open_model(
        spec,
        num_classes=num_classes,
        channels=channels,
        scales=scales,
        flip=flip,
        denoiser=denoiser,
        binary=binary,
        multi_label=multi_label,
    )
    for note in loaded.notes:
        remark(f"note: {note}")
    return loaded
