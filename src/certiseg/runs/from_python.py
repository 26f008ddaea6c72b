"""``certiseg.evaluate`` and ``certiseg.certify_all``: runs on a model and data held in Python."""

from __future__ import annotations

import math
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from torch import Tensor, nn

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import IGNORE, Card, Colour, Samples
from certiseg.datasets.subset import subsample
from certiseg.errors import Hint, InputError
from certiseg.models.loaded import LoadedModel, name_of
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.layout import MANIFEST
from certiseg.runs import evaluate as runs
from certiseg.runs.again import recorded_seeds, replaced
from certiseg.runs.attacked import Attacks
from certiseg.runs.class_style import class_style
from certiseg.runs.executors.choice import executor_for
from certiseg.runs.model import check_order, open_model, try_model
from certiseg.runs.options import Options, settings_of, with_options
from certiseg.runs.pairs import (
    Items,
    Keys,
    Pairs,
    described,
    first_of,
    length_of,
    named,
    read_pair,
    unrolled,
    value_at,
)
from certiseg.runs.parameters import OF_ENGINE
from certiseg.runs.progress import RunBar
from certiseg.runs.samples import check_fit
from certiseg.runs.settings import Settings
from certiseg.sampling.progress import Progress
from certiseg.sampling.sampler import Smoothed

Model = nn.Module | Callable[..., Any] | LoadedModel | Smoothed | str


@with_options
def evaluate(
    model: Model,
    data: Any,
    *,
    out: str | Path | None = None,
    non_robust: Model | None = None,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    palette: Sequence[Colour] | None = None,
    ignore_index: int | Sequence[int] | None = IGNORE,
    keys: Keys = None,
    name: str | None = None,
    limit: int | None = None,
    percentile: bool = False,
    attack: float | Sequence[float] | None = None,
    attack_steps: int = 100,
    attack_draws: int = 4,
    keep: int | None = 20,
    save_certificates: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    ray: str | None = None,
    progress: Progress = False,
    **options: Unpack[Options],
) -> runs.Evaluation:
    """Compare the base and the certified model on labelled images, as ``certiseg evaluate`` does.

    With the same images and seed, figures, records and report equal those of the command. All data
    are checked before the first draw, so they are read twice and must be the same each time (no
    shuffling, no random transforms). One batch and the votes of a few images are in memory at a
    time.

    Args:
        model: a module in evaluation mode or another callable, a model's name as for --model, a
            model from ``certiseg.load_model``, or a ``Smoothed``, whose noise is used.
        data: pairs of an image, floats (C, H, W) in [0, 1], and its labels, integers (H, W): a
            torch Dataset, a DataLoader, whose batches are unrolled, a list or another iterable; or
            samples from ``certiseg.runs.samples.open_samples``. Images become float32.
        out: folder of the run (docs/report.md); default: a temporary one, deleted with the result.
        non_robust: a model trained without noise, for the first row.
        num_classes: number of classes of a model that returns labels and does not state it.
        classes: names of the classes, in label order; default: the model's, else numbers.
        palette: colours of the classes, (red, green, blue) from 0 to 255; default: the model's,
            else VOC's.
        ignore_index: one or several labels to ignore, besides 255.
        keys: keys of image and labels in each item, such as ("image", "label") for mappings or
            (0, 2) for longer tuples; a third key, if given, is that of the sample's name.
        name: name of the data, for tables and reports.
        limit: at most this many images, evenly spread.
        percentile: also bound accuracy and mIoU of one noisy pass (theory T10).
        attack: l2 norm of attacks on every model, several in ascending order; None: no attacks.
        attack_steps: gradients of each attack.
        attack_draws: draws for each gradient of the smoothed model.
        keep: number of images kept for the report, evenly spread; None for all.
        save_certificates: keep the certificates of all images.
        overwrite: replace an earlier run in out.
        resume: resume the run in out, if there is one.
        workers: number of processes; the model must then be given by name (docs/scale.md).
        threads: threads of each worker.
        ray: the address of a Ray cluster, "auto" or "local".
        progress: True for a bar on standard error, or a function called with the number of draws
            just done.
        options: options of certification, as on the command line.

    Returns:
        The evaluation: ``.table``, ``.rows`` and ``.certified`` hold the figures, ``.confusions``
        the confusion matrices by row, ``.images`` the results by image; ``.report(path)`` writes
        the report.

    Raises:
        InputError: for model, data and options that do not go together, for an image or labels in
            another form, named by their index, and for an ``out`` that holds another run.

    Example:
        >>> import torch
        >>> import certiseg as cs
        >>> def model(x):
        ...     return torch.cat([1 - x, x], dim=1)
        >>> bright = torch.tensor([[0.1, 0.9], [0.1, 0.9]])
        >>> data = [(bright[None], bright > 0.5)]
        >>> found = cs.evaluate(model, data, sigma=0.25, num_samples=100, seed=0)
        >>> found.certified.certified_accuracy
        1.0

    Reference:
        Theory T9 (bounds on accuracy and mIoU).
    """
    if isinstance(model, Smoothed):
        loaded, options = _of_smoothed(model, options, num_classes)
    else:
        loaded = _loaded(model, num_classes)
    settings = settings_of(options)
    if keys is not None and len(keys) not in (2, 3):
        raise InputError(
            f"expected keys of image, labels and perhaps a name, got {keys!r}; pass two or three"
        )
    plain = None if non_robust is None else _loaded(non_robust, num_classes)
    if out is None and (resume or overwrite):
        raise InputError(
            "expected out, the folder of the run, with resume and overwrite, got none; name one"
        )
    ignored = np.atleast_1d([] if ignore_index is None else ignore_index).tolist()
    attacks = None
    if attack is not None:
        norms = np.atleast_1d(np.asarray(attack)).tolist()
        attacks = Attacks(norms, attack_steps, attack_draws)
    samples, loaded = _samples(data, loaded, settings, classes, palette, ignored, keys, name)
    executor = executor_for(workers, threads, ray, None)
    folder = Path(tempfile.mkdtemp(prefix="certiseg-")) if out is None else Path(out)
    try:
        if overwrite and (again := replaced(recorded_seeds(folder / MANIFEST), settings.seed)):
            warnings.warn(again, stacklevel=3)
        found = runs.evaluate(
            subsample(samples, limit),
            loaded,
            settings,
            folder,
            non_robust=plain,
            percentile=percentile,
            attacks=attacks,
            keep=Keep(keep, save_certificates),
            overwrite=overwrite,
            resume=resume,
            executor=executor,
            command="certiseg.evaluate",
            progress=progress,
            # Past the run and its check of the samples, at the caller's line.
            note=lambda text: warnings.warn(text, Hint, stacklevel=10),
        )
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if out is None:
        weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


@with_options
def certify_all(
    model: Model,
    data: Iterable[Any],
    *,
    share_alpha: int | None = None,
    num_classes: int | None = None,
    key: Any = None,
    progress: Progress = False,
    **options: Unpack[Options],
) -> Iterator[Certificate]:
    """Certify the images of a loader or another iterable, in one pass over it.

    Each certificate holds with confidence 1 - alpha; m of them hold simultaneously only with
    confidence 1 - m alpha. With ``share_alpha=m`` each is made at alpha / m, so that all hold
    simultaneously with confidence 1 - alpha (union bound). m is fixed beforehand: fewer inputs are
    covered too, an input after the m-th is refused.

    Args:
        model: as in ``certiseg.evaluate``; a ``Smoothed`` may have any noise and value range.
        data: images, floats (C, H, W) in [0, 1], or tuples that begin with one, or a DataLoader of
            either, whose batches are unrolled. It may be a generator, and endless.
        share_alpha: largest number of inputs, over which alpha is divided.
        num_classes: number of classes of a model that returns labels and does not state it.
        key: key of the image in each item, such as "image" for mappings.
        progress: True for a bar on standard error, or a function called with the number of draws
            just done.
        options: options of certification, as on the command line.

    Returns:
        An iterator over the certificates, in the order of the data. The call checks the options;
        each input is checked before its first draw.

    Raises:
        InputError: as in ``Smoothed.certify``; an error of an input names its index.

    Example:
        >>> import torch
        >>> import certiseg as cs
        >>> def model(x):
        ...     return torch.cat([1 - x, x], dim=1)
        >>> images = torch.stack([torch.full((1, 2, 2), 0.1), torch.full((1, 2, 2), 0.9)])
        >>> loader = torch.utils.data.DataLoader(images, batch_size=2)
        >>> [c.labels.tolist() for c in cs.certify_all(model, loader, share_alpha=2, seed=0)]
        [[[0, 0], [0, 0]], [[1, 1], [1, 1]]]

    Reference:
        Theory, "Several runs" (union bound).
    """
    settings = _shared(settings_of(options), share_alpha)
    if isinstance(model, Smoothed):
        _refuse_beside(options, num_classes)
        smoothed = model
    else:
        loaded = _loaded(model, num_classes)
        if settings.hierarchy is not None:
            check_order(settings.hierarchy, loaded.classes, loaded.name)
        smoothed = settings.smoothed(loaded)
    lone = isinstance(data, (Tensor, np.ndarray)) and data.ndim < 4
    if lone or isinstance(data, (str, Mapping)) or not isinstance(data, Iterable):
        raise InputError(
            f"expected a DataLoader or another iterable of images, got {described(data)}; pass "
            "[x] for one input x"
        )

    def certificates() -> Iterator[Certificate]:
        tried: set[tuple[int, ...]] = set()
        total = length_of(data) or 0
        show = progress if total or callable(progress) else False
        with RunBar(show, total, settings.draws) as bar:
            for index, item in enumerate(unrolled(data)):
                with named(f"input {index}"):
                    if share_alpha is not None and index >= share_alpha:
                        raise InputError(
                            f"expected at most share_alpha = {share_alpha} inputs, got more; begin "
                            "again with their number, since alpha was shared over these"
                        )
                    x = first_of(item if key is None else value_at(item, key))
                    if (shape := tuple(x.shape)) not in tried:
                        try_model(
                            smoothed,
                            x,
                            settings.hierarchy,
                            logits=settings.certifier.needs_logits,
                        )
                        tried.add(shape)
                    certificate = settings.certify(smoothed, x, progress=bar.draws)
                yield certificate
                bar.finish()

    return certificates()


def _loaded(model: Model, num_classes: int | None = None) -> LoadedModel:
    """The model in the form that the commands use."""
    if isinstance(model, str):
        loaded = open_model(model, num_classes=num_classes)
        for note in loaded.notes:
            warnings.warn(note, stacklevel=4)
        return loaded
    if isinstance(model, LoadedModel):
        loaded = model
    elif callable(model):
        loaded = LoadedModel.of_model(name_of(model), model)
    else:
        raise InputError(
            f"expected a model, got {type(model).__name__}; pass an nn.Module, a function of a "
            "batch, or a name as --model takes it"
        )
    if num_classes is None:
        return loaded
    if loaded.num_classes not in (None, num_classes):
        raise InputError(
            f"expected num_classes {loaded.num_classes}, which {loaded.name} has, got "
            f"{num_classes}; leave it out"
        )
    return replace(loaded, num_classes=num_classes)


def _refuse_beside(options: Options, num_classes: int | None) -> None:
    """Raise InputError for options that a ``Smoothed`` fixes already."""
    fixed = ("sigma", "noise", "axis", "grid", "device", *OF_ENGINE)
    beside = [name for name in fixed if options.get(name) is not None]
    beside += [] if num_classes is None else ["num_classes"]
    if beside:
        raise InputError(
            f"expected no {beside[0]} with a Smoothed, which fixes it, got one; leave it out, or "
            "pass the base model"
        )


def _of_smoothed(
    model: Smoothed, options: Options, num_classes: int | None
) -> tuple[LoadedModel, Options]:
    """The base model, and the options completed by those of the ``Smoothed``. Raises InputError for
    properties for which a run has no option."""
    _refuse_beside(options, num_classes)
    if model.value_range != (0.0, 1.0) or model.output_grid:
        what = "a value range of its own" if not model.output_grid else "output_grid"
        raise InputError(
            f"expected a Smoothed of images in [0, 1], got one with {what}; pass the model, and "
            "grid=G for labels on cells, or call certiseg.certify_all"
        )
    completed: Any = {
        **options,
        **asdict(model.engine),
        "noise": model.noise,
        "device": model.device and str(model.device),
    }
    return _loaded(model.model, model.num_classes), completed


def _shared(settings: Settings, inputs: int | None) -> Settings:
    """The settings at alpha / inputs, rounded down."""
    if inputs is None or inputs == 1:
        return settings
    if isinstance(inputs, bool) or not isinstance(inputs, int) or inputs < 1:
        raise InputError(f"expected share_alpha as a number of inputs, got {inputs!r}; count them")
    alpha = settings.alpha / inputs
    if inputs * Fraction(alpha) > Fraction(settings.alpha):
        alpha = math.nextafter(alpha, 0.0)
    custom = settings.custom
    own: Any = None if custom is None else replace(custom, alpha=alpha)  # type: ignore[type-var]
    return replace(settings, alpha=alpha, custom=own)


def _samples(
    data: Any,
    loaded: LoadedModel,
    settings: Settings,
    classes: Sequence[str] | None,
    palette: Sequence[Colour] | None,
    ignore_index: Sequence[int],
    keys: Keys,
    name: str | None,
) -> tuple[Samples, LoadedModel]:
    """The data as samples, and the model with its number of classes."""
    if isinstance(getattr(data, "card", None), Card):
        if any(given is not None for given in (classes, palette, keys, name)):
            raise InputError(
                "expected no classes, palette, keys or name with samples that have a card, got "
                "one; leave it out"
            )
        check_fit(data.card, loaded)
        return data, loaded
    items = Items(data)
    if not len(items):
        raise InputError("expected at least one pair (image, labels), got none; check the data")
    image, _, _ = read_pair(items, 0, keys)
    if loaded.num_classes is None:
        smoothed = settings.smoothed(loaded)
        try_model(smoothed, image)
        if smoothed.num_classes is None:
            raise InputError(
                f"expected a model that says how many classes it has, got labels from "
                f"{loaded.name}; pass num_classes"
            )
        loaded = replace(loaded, num_classes=smoothed.num_classes)
    number = loaded.num_classes
    assert number is not None
    for what, given in (("classes", classes), ("palette", palette)):
        if given is not None and len(given) != number:
            raise InputError(
                f"expected {what} of the {number} classes of {loaded.name}, got {len(given)}; pass "
                "one for each, in label order"
            )
    style = class_style(loaded, number)
    card = Card(
        name=type(data).__name__ if name is None else name,
        classes=style.classes if classes is None else tuple(classes),
        palette=style.palette if palette is None else tuple((r, g, b) for r, g, b in palette),
        channels=len(image),
        source="a Python program",
        licence="not stated",
    )
    check_fit(card, loaded)
    return Pairs(items, card, ignore_index, keys), loaded
