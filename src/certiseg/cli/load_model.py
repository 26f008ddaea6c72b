"""Load the model named by --model, and print its notes to standard error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from certiseg.cli.numbers import numbers_of, size_of
from certiseg.errors import InputError
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
    resize: str | None = None,
    windows: int | None = None,
    margin: int | None = None,
    binary: str | None = None,
    multi_label: bool = False,
    names: Path | None = None,
) -> LoadedModel:
    """``runs.model.open_model``, options as they were typed. Raises InputError."""
    from certiseg.models.class_names import read_names
    from certiseg.runs.model import open_model

    if margin is not None and windows is None:
        raise InputError(f"expected --windows with --margin {margin}, got none; name their size")
    windowed = {} if margin is None else {"margin": margin}
    scales = None if scale is None else numbers_of("--scales", scale)
    loaded = open_model(
        spec,
        num_classes=num_classes,
        channels=channels,
        scales=scales,
        flip=flip,
        denoiser=denoiser,
        resize=size_of(resize, "--resize"),
        windows=windows,
        **windowed,
        binary=binary,
        multi_label=multi_label,
        names=None if names is None else read_names(names),
    )
    for note in loaded.notes:
        remark(f"note: {note}")
    return loaded
