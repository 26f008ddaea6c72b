"""The model a command names, completed by what the user states about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.binary import BinaryOutput
from certiseg.datasets.card import Card
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.models.binary import as_binary
from certiseg.models.class_names import ClassNames, told_apart
from certiseg.models.denoised import Denoised, load_denoiser
from certiseg.models.loaded import LoadedModel, Origin
from certiseg.models.preprocess import Preprocess
from certiseg.models.python_model import origin_of
from certiseg.models.resolve import load_model
from certiseg.models.scales import Scales
from certiseg.models.windows import Windows
from certiseg.own_code import reason
from certiseg.runs.class_style import numbered_names
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
    resize: tuple[int, int] | None = None,
    windows: int | None = None,
    margin: int = 64,
    binary: str | None = None,
    multi_label: bool = False,
    names: ClassNames | None = None,
) -> LoadedModel:
    """Load a model by name, with the properties that the caller states.

    Args:
        spec: its name, as in ``certiseg.load_model``.
        num_classes: number of classes, if its source does not state it.
        channels: channels of its inputs, 1, 3 or 6, if its source does not state them.
        scales: average over these scales of images (``certiseg.models.Scales``).
        flip: average with mirrored images.
        denoiser: name of a denoiser to run first, as in ``certiseg.models.denoised.load_denoiser``
            (theory T13).
        resize: height and width to which images are resized for the model; its logits are resized
            back.
        windows: run the model window by window, with cores of this side in pixels or voxels
            (``certiseg.Windows``, theory T17).
        margin: width of the windows beyond their cores.
        binary: meaning of a single channel, "probability" or "logit", or either with a threshold,
            "probability:0.3" (``certiseg.Binary``), if its source does not state it.
        multi_label: with binary, channels are maps that may overlap.
        names: names and colours of its classes, from ``certiseg.models.class_names.read_names``;
            they replace those of its source.

    Returns:
        The model, with these arguments as ``opening``, by which another process can load it.

    Raises:
        InputError: For arguments that are invalid or contradict the source.

    Example:
        >>> open_model("certiseg:camvid", scales=(0.5, 1.0)).name
        'certiseg:camvid at scales 0.5, 1'
    """
    opening: dict[str, Any] = {
        "spec": spec,
        "num_classes": num_classes,
        "channels": channels,
        "scales": scales,
        "flip": flip,
        "denoiser": denoiser,
        "resize": resize,
        "windows": windows,
        "margin": margin,
        "binary": binary,
        "multi_label": multi_label,
        "names": names,
    }
    if num_classes is not None and num_classes < 2:
        raise InputError(f"expected at least 2 classes, got --num-classes {num_classes}; raise it")
    if channels is not None and channels not in _CHANNELS:
        raise InputError(
            f"expected --channels 1 (grey), 3 (RGB; x, y, z) or 6 (and normals), got {channels}; "
            "choose one"
        )
    loaded = load_model(spec)
    own_name = loaded.origin is not None and hasattr(loaded.model, "model_name")
    if isinstance(loaded.model, nn.Module) and not own_name:
        # Certificates then name the model as the user did, not by its Python class.
        loaded.model.model_name = spec  # type: ignore[assignment]
    loaded = _declared(loaded, binary, multi_label)
    for option, stated, own in (
        ("--num-classes", num_classes, loaded.num_classes),
        ("--channels", channels, loaded.channels),
    ):
        if stated is not None and own is not None and stated != own:
            raise InputError(
                f"expected {option} {own}, which {spec} has, got {stated}; leave the option out"
            )
    if num_classes is None:
        num_classes = loaded.num_classes
    if num_classes is None and names is not None:
        num_classes = len(names.classes)
        if num_classes == 1:
            raise InputError(
                f"expected --names with at least 2 classes, got {names.classes[0]!r} alone; name "
                "every class in label order"
            )
    loaded = replace(
        loaded,
        num_classes=num_classes,
        channels=loaded.channels if channels is None else channels,
    )
    loaded = _named(loaded, names)
    if resize is not None and windows is not None:
        raise InputError(
            "expected --resize or --windows, got both, which would resize each window; leave one "
            "out"
        )
    if resize is not None:
        loaded = _resized(loaded, resize)
    if scales is not None or flip:
        loaded = _at_scales(loaded, scales or (1.0,), flip)
    if denoiser is not None:
        loaded = _behind(denoiser, loaded)
    if windows is not None:
        loaded = _by_windows(loaded, windows, margin)
    return replace(loaded, opening=opening)


def _declared(loaded: LoadedModel, binary: str | None, multi_label: bool) -> LoadedModel:
    """The model with its output as the caller declares it."""
    if binary is None:
        if multi_label:
            raise InputError(
                "expected --binary with --multi-label, got none; say what the channels are, "
                "probability or logit"
            )
        if loaded.num_classes == 1:
            raise InputError(
                f"expected a model of at least 2 classes, got {loaded.name} with one channel, "
                "which may be a probability or a logit; pass --binary probability if it ends in a "
                "sigmoid, else --binary logit (binary='logit' in Python)"
            )
        return loaded
    if callable(getattr(loaded.model, "of", None)):
        raise InputError(
            f"expected no --binary for {loaded.name}, whose output depends on the category; leave "
            "it out"
        )
    output = BinaryOutput.parse(binary, multi_label, loaded.binary)
    return as_binary(loaded, output)


def _resized(loaded: LoadedModel, size: tuple[int, int]) -> LoadedModel:
    if loaded.kind not in (None, "images"):
        raise InputError(
            f"expected a model of images with --resize, got {loaded.name}; leave it out"
        )
    height, width = size
    model = Preprocess(loaded.model, size=(height, width))
    name = f"{loaded.name} at {height} x {width}"
    model.model_name = name  # type: ignore[assignment]
    return replace(loaded, name=name, model=model)


def _named(loaded: LoadedModel, names: ClassNames | None) -> LoadedModel:
    """The model with these names of classes, made distinct."""
    if names is not None and loaded.binary is not None and loaded.binary.multi_label:
        return replace(loaded, maps=names.classes)
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
    if loaded.kind not in (None, "images"):
        raise InputError(
            f"expected a model of images with --scales and --flip, got {loaded.name}; leave them "
            "out"
        )
    model = Scales(loaded.model, scales, flip)
    name = model.model_name = f"{loaded.name} {model.describe()}"
    return replace(loaded, name=name, model=model)


def _by_windows(loaded: LoadedModel, size: int, margin: int) -> LoadedModel:
    if loaded.kind == "clouds":
        raise InputError(
            f"expected a model of images or volumes with --windows, got {loaded.name}, which is of "
            "point clouds; leave them out"
        )
    model = Windows(loaded.model, size, margin)
    name = model.model_name = f"{loaded.name} {model.describe()}"
    return replace(loaded, name=name, model=model)


def _behind(spec: str, loaded: LoadedModel) -> LoadedModel:
    """The model after a denoiser."""
    if loaded.kind == "clouds":
        raise InputError(
            f"expected a model of images with --denoiser, got {loaded.name}, which is of point "
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
    x: Tensor | NDArray[Any],
    hierarchy: Hierarchy | None = None,
    *,
    logits: bool = False,
    maps: bool = False,
) -> int:
    """One pass without noise: raise InputError unless the model gives each pixel or point of x one
    label, of the hierarchy's classes if there is one, and logits if they are needed.

    So a model that does not fit is refused before anything is drawn or written. maps: also accept
    overlapping maps, with a label for each map. Returns the number of components.
    """
    smoothed.noise.check_shape(tuple(x.shape))
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
    overlapping = smoothed.binary is not None and smoothed.binary.multi_label
    if overlapping and not maps:
        raise InputError(
            f"expected one map of labels for each input, got {len(labels)} overlapping maps; "
            "certify them (certiseg certify), or declare each channel as a model of its own"
        )
    shape = labels.shape[1:] if overlapping else labels.shape
    own_grid = smoothed.output_grid and len(shape) == 2
    if shape != tuple(x.shape[1:]) and not own_grid:
        each = {2: "points", 3: "pixels"}.get(x.ndim, "voxels")
        raise InputError(
            f"expected one label for each of ({_sides(x[0])}) {each}, got an output of shape "
            f"{labels.shape}; pass a segmentation model"
        )
    if hierarchy is not None and smoothed.num_classes != hierarchy.num_classes:
        raise InputError(
            f"expected a hierarchy over the {smoothed.num_classes} classes of the model, got "
            f"{hierarchy.name} over {hierarchy.num_classes}; choose another"
        )
    return labels.size


def check_classes(smoothed: Smoothed, card: Card) -> None:
    """Raise InputError unless the model has the number of classes of the data; after
    ``try_model``."""
    if smoothed.num_classes != card.num_classes:
        raise InputError(
            f"expected a model of the {card.num_classes} classes of {card.name}, "
            f"got {smoothed.num_classes} classes; choose another model or other data"
        )


def check_order(hierarchy: Hierarchy, classes: Sequence[str] | None, whose: str) -> None:
    """Raise InputError unless the hierarchy lists the classes in label order, if names are known.

    Otherwise groups would be certified under wrong names.
    """
    if (
        classes is None
        or len(classes) != hierarchy.num_classes
        or classes == numbered_names(classes)
    ):
        return
    for label, (listed, known) in enumerate(zip(hierarchy.classes, classes, strict=True)):
        if listed.lower() != known.lower():
            raise InputError(
                f"expected the classes of {whose} in its order in the hierarchy "
                f"{hierarchy.name}, got {listed!r} as class {label} instead of {known!r}; "
                "use its names, in label order"
            )


def _sides(array: Tensor | NDArray[Any]) -> str:
    return ", ".join(str(side) for side in array.shape)


def channels_of(loaded: LoadedModel) -> int:
    """Channels of the inputs to read; three by default, RGB or coordinates."""
    return 3 if loaded.channels is None else loaded.channels
