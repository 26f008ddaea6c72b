"""A model that looks at a picture at another size, or at several."""

from __future__ import annotations

from dataclasses import replace

from certiseg.models.loaded import LoadedModel
from certiseg.models.preprocess import Preprocess


def at_scales(loaded: LoadedModel, scales: tuple[float, ...]) -> LoadedModel:
    """The model at these scales, as the paper has it: noise at the picture's own size, then
    resized, labelled, and brought back. One scale of 1 is the model itself."""
    if scales == (1.0,):
        return loaded
    (scale,) = scales
    return replace(loaded, model=Preprocess(loaded.model, scale=scale).eval())
