"""The model a command names, completed by what the user states about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from certiseg.datasets.card import Card
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.models.class_names import ClassNames, told_apart
from certiseg.models.denoised import Denoised, load_denoiser
from certiseg.models.loaded import LoadedModel, Origin
from certiseg.models.python_model import origin_of
from certiseg.models.resolve import load_model
from certiseg.models.scales import Scales
from certiseg.own_code import reason
from certiseg.runs.appearance import made_up
from certiseg.sampling.sampler import Smoothed

_CHANNELS = (1, 3, 6)


def open_model(
    spec: str,
    *,
    num_classes: int | None = None,
    channels: int | None = None,
    scales: Sequence[float] | None = None,
    flip: bool = False,
    denoiser: str | None = None,
    names: ClassNames | None = None,
) -> LoadedModel:
    """Load a model by name, completed by what the caller states about it.

    Args:
        spec: its name, as in ``certiseg.load_model``.
        num_classes: what its source does not tell.
        channels: of its inputs, what its source does not tell: 1, 3 or 6.
        scales: look at pictures at these scales (``certiseg.models.Scales``).
        flip: look at mirrored pictures too.
        denoiser: the name of a denoiser to put before it all, as in
            ``certiseg.models.denoised.load_denoiser`` (theory T13).
        names: of its classes, and their colours, as
            ``certiseg.models.class_names.read_names`` reads them; they replace those of its source.

    Returns:
        The model, with these arguments as ``opening``, by which another process opens it again.

    Raises:
        InputError: arguments that contradict the source or make no sense.

    Example:
        >>> open_model("certiseg:camvid", scales=(0.5, 1.0)).name
        'certiseg:camvid at scales 0.5, 1'
    """
    opening: dict[str, Any] = {
        "spec": spec,
        "num_classes": num_classes,
        "channels": channels,
        "scales": scales,
    }
    opening |= {"flip": flip, "denoiser": denoiser, "names": names}
    if num_classes is not None and num_classes < 2:
        raise InputError(f"expected at least 2 classes, got --num-classes {num_classes}; raise it")
    if channels is not None and channels not in _CHANNELS:
        raise InputError(
            f"expected --channels 1 (grey), 3 (RGB; x, y, z) or 6 (and normals), got {channels}; "
            "choose one"
        )
    loaded = load_model(spec)
    for option, stated, own in (
        ("--num-classes", num_classes, loaded.num_classes),
        ("--channels", channels, loaded.channels),
    ):
        if stated is not None and own is not None and stated != own:
            raise InputError(
                f"expected {option} {own}, which {spec} has, got {stated}; leave the option out"
            )
    own_name = loaded.origin is not None and hasattr(loaded.model, "model_name")
    if isinstance(loaded.model, nn.Module) and not own_name:
        # Certificates then name the model as the user did, not by its Python class.
        loaded.model.model_name = spec  # type: ignore[assignment]
    if num_classes is None:
        num_classes = loaded.num_classes
    if num_classes is None and names is not None:
        num_classes = len(names.classes)
    loaded = replace(
        loaded,
        num_classes=num_classes,
        channels=loaded.channels if channels is None else channels,
    )
    loaded = _named(loaded, names)
    if scales is not None or flip:
        loaded = _at_scales(loaded, scales or (1.0,), flip)
    if denoiser is not None:
        loaded = _behind(denoiser, loaded)
    return replace(loaded, opening=opening)


def _named(loaded: LoadedModel, names: ClassNames | None) -> LoadedModel:
    """With the names given, and classes of one name told apart."""
    if names is not None:
        if loaded.num_classes != len(names.classes):
            raise InputError(
                f"expected {loaded.num_classes} names, one for each class of {loaded.name}, got "
                f"{len(names.classes)}; correct --names"
            )
        palette = names.palette or loaded.palette
        loaded = replace(loaded, classes=names.classes, palette=palette)
    if loaded.classes is None or len(set(loaded.classes)) == len(loaded.classes):
        return loaded
    note = "some classes have one name: their labels are shown behind it; --names FILE renames them"
    return replace(loaded, classes=told_apart(loaded.classes), notes=(*loaded.notes, note))


def _at_scales(loaded: LoadedModel, scales: Sequence[float], flip: bool) -> LoadedModel:
    if loaded.kind not in (None, "pictures"):
        raise InputError(
            f"expected a model of pictures with --scale and --flip, got {loaded.name}; leave them "
            "out"
        )
    model = Scales(loaded.model, scales, flip)
    name = model.model_name = f"{loaded.name} {model.describe()}"
    return replace(loaded, name=name, model=model)


def _behind(spec: str, loaded: LoadedModel) -> LoadedModel:
    """The model with the denoiser before it."""
    if loaded.kind == "clouds":
        raise InputError(
            f"expected a model of pictures with --denoiser, got {loaded.name}, which is of point "
            "clouds; leave the denoiser out"
        )
    denoiser = load_denoiser(spec)
    own = getattr(denoiser, "channels", None)
    if own is not None and own != channels_of(loaded):
        raise InputError(
            f"expected a denoiser of {channels_of(loaded)} channels, as {loaded.name} has, got "
            f"{spec} of {own}; choose another"
        )
    model = Denoised(denoiser, loaded.model)
    made = [origin for origin in (origin_of(spec), loaded.origin) if origin is not None]
    files = {name: digest for origin in made for name, digest in origin.files.items()}
    origin = Origin(" ".join(origin.spec for origin in made), files) if made else None
    return replace(loaded, name=model.model_name, model=model, origin=origin)


def try_model(
    smoothed: Smoothed,
    x: NDArray[np.float32],
    hierarchy: Hierarchy | None = None,
    *,
    logits: bool = False,
) -> None:
    """One pass without noise: raise InputError unless the model gives each pixel or point of x one
    label, of the hierarchy's classes if there is one, and logits if they are needed.

    A model that does not fit is found before anything is drawn or written.
    """
    smoothed.noise.check_shape(x.shape)
    try:
        labels = smoothed.predict_clean(x)
        if logits:
            smoothed.source(x, batch_size=1).select(1)
    except InputError:
        raise
    # The model is somebody else's code and may fail in any way.
    except Exception as error:
        raise InputError(
            f"expected a model that takes a batch of shape (1, {_sides(x)}), got {reason(error)}; "
            "check --channels, the size of the input, and its type (float32, or that of the "
            "module's parameters)"
        ) from error
    own_grid = smoothed.output_grid and labels.ndim == 2
    if labels.shape != x.shape[1:] and not own_grid:
        each = {2: "points", 3: "pixels"}.get(x.ndim, "voxels")
        raise InputError(
            f"expected one label for each of ({_sides(x[0])}) {each}, got an output of shape "
            f"{labels.shape}; pass a segmentation model"
        )
    if smoothed.num_classes == 1:
        raise InputError(
            "expected a model of at least 2 classes, got 1, whose label is always the same; of a "
            "model with one sigmoid output return torch.cat([torch.zeros_like(z), z], dim=1)"
        )
    if hierarchy is not None and smoothed.num_classes != hierarchy.num_classes:
        raise InputError(
            f"expected a hierarchy over the {smoothed.num_classes} classes of the model, got "
            f"{hierarchy.name} over {hierarchy.num_classes}; choose another"
        )


def check_classes(smoothed: Smoothed, card: Card) -> None:
    """Raise InputError unless the model, once it has been tried, has the classes of the data."""
    if smoothed.num_classes != card.num_classes:
        raise InputError(
            f"expected a model of the {card.num_classes} classes of {card.name}, "
            f"got {smoothed.num_classes} classes; choose another model or other data"
        )


def check_order(hierarchy: Hierarchy, classes: Sequence[str] | None, whose: str) -> None:
    """Raise InputError unless the hierarchy lists the classes in label order, if names are known.

    As many classes in another order would certify groups under the wrong names.
    """
    if classes is None or len(classes) != hierarchy.num_classes or classes == made_up(classes):
        return
    for label, (listed, known) in enumerate(zip(hierarchy.classes, classes, strict=True)):
        if listed.lower() != known.lower():
            raise InputError(
                f"expected the classes of {whose} in its order in the hierarchy "
                f"{hierarchy.name}, got {listed!r} as class {label} instead of {known!r}; "
                "use its names, in label order"
            )


def _sides(array: NDArray[np.float32]) -> str:
    return ", ".join(str(side) for side in array.shape)


def channels_of(loaded: LoadedModel) -> int:
    """Channels of the inputs to read: three, RGB or coordinates, unless stated otherwise."""
    return 3 if loaded.channels is None else loaded.channels
