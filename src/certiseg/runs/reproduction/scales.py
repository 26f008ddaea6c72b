"""A model that looks at a picture at another size, or at several."""

from __future__ import annotations

from dataclasses import replace

from certiseg.models.loaded import LoadedModel
from certiseg.models.scales import Scales


def at_scales(
    loaded: LoadedModel, scales: tuple[float, ...], base_size: int | None = None
) -> LoadedModel:
    """The model at these scales, as the paper has it: noise at the picture's own size, then
    resized, labelled, and brought back. One scale of 1 without a base size is the model itself.

    base_size: a scale of 1 makes the picture's longer side so many pixels, as in the published
    code; None: it is the picture's own size.
    """
    if scales == (1.0,) and base_size is None:
        return loaded
    model = Scales(loaded.model, scales, base_size=base_size)
    return replace(loaded, name=f"{loaded.name} {model.describe()}", model=model)
