"""Attack files of images or point clouds: the attacked input, the models' labels there, and a panel
of both."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.attacks.attack import DEFAULT_LOSSES, Attack, attack
from certiseg.attacks.losses import Loss
from certiseg.attacks.rotations import rotation_attack
from certiseg.attacks.target import without
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.storage import content_of
from certiseg.datasets.card import IGNORE, in_few_lines
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, check_names
from certiseg.files.folders import locked
from certiseg.models.loaded import LoadedModel
from certiseg.noise import Rotation
from certiseg.report.cloud import cloud_picture
from certiseg.report.overlay import as_rgb, overlay
from certiseg.report.panel import Tile, panel
from certiseg.rounding import confidence, exact, percent_down, up
from certiseg.runs.class_style import ClassStyle
from certiseg.runs.input_kinds import input_files, inputs_of
from certiseg.runs.inputs import CloudOptions, Clouds
from certiseg.runs.model import try_model
from certiseg.runs.output import write_lines, write_picture
from certiseg.runs.settings import Settings
from certiseg.runs.volumes import Volumes
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import ABSTAIN

ATTACKS = "attacks.jsonl"
_KINDS = ("attacked.npy", "attacked.png", "cert.npz", "panel.png")
_TILE = 440
"""Width of a rendered cloud."""
Shown = Callable[[NDArray[Any], NDArray[Any] | None], Image.Image]
"""The image of an input and its labels, or of the input alone."""


@dataclass(frozen=True)
class AttackSettings:
    """Settings of an attack on a base model, as in ``certiseg.attack``.

    epsilon: the largest l2 norm, of point clouds on the coordinates. angle: of point clouds in its
    place, the largest angle of a rotation in radians; ``steps`` are then the rotations tried.
    vanish: target the absence of this class; None: any other labels. Raises InputError unless
    epsilon or angle is given, and for losses or restarts of a search over angles.
    """

    epsilon: float | None
    losses: Sequence[Loss] = DEFAULT_LOSSES
    steps: int = 300
    restarts: int = 1
    vanish: int | None = None
    angle: float | None = None

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.angle is None):
            raise InputError(
                "expected --epsilon, the largest l2 norm, or --angle, that of a rotation, got "
                f"{'neither' if self.angle is None else 'both'}; pass one"
            )
        plain = self.restarts == 1 and tuple(self.losses) == DEFAULT_LOSSES
        if self.angle is not None and not plain:
            raise InputError(
                "expected --angle without --loss and --restarts, got one; its search has neither, "
                "leave them out and raise --steps"
            )


def attack_files(
    paths: Sequence[Path],
    loaded: LoadedModel,
    how: AttackSettings,
    settings: Settings,
    out: Path,
    *,
    clouds: CloudOptions | None = None,
    non_robust: LoadedModel | None = None,
    overwrite: bool = False,
    progress: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[str, Any]]:
    """Attack a model on each file; yields a record once the file's results are written.

    Writes OUT/STEM.attacked.npy, float32 (C, H, W) or (C, N), the attacked input itself; of an
    image OUT/STEM.attacked.png, rounded to 8 bits, for viewing; OUT/STEM.cert.npz, the certificate
    of the given input by ``settings`` (of point clouds under noise on their coordinates, or under
    rotations); OUT/STEM.panel.png, with the smoothed model's votes at the attacked input; and the
    records to OUT/attacks.jsonl.

    clouds: how clouds are read. non_robust: the model to attack, of the same classes, instead of
    the base model of ``loaded``. note: called with remarks on the files. Raises InputError.
    """
    paths = input_files(paths, loaded)
    stems = [path.stem for path in paths]
    if not stems or len(set(stems)) < len(stems):
        raise InputError(
            f"expected inputs of different names, got {stems}; the names are those of the results"
        )
    if settings.law != "gaussian" or settings.radius_map or settings.grid is not None:
        raise InputError(
            "expected Gaussian noise and one label and radius for all pixels, got other settings; "
            "leave --noise, --radius-map and --grid out"
        )
    inputs = inputs_of(paths, loaded, clouds)
    if isinstance(inputs, Volumes):
        raise InputError(
            f"expected images or point clouds, got the volume {paths[0]}; attack it as an array in "
            "Python, certiseg.attack(model, x, epsilon=...)"
        )
    of_clouds = isinstance(inputs, Clouds)
    if how.angle is not None and not of_clouds:
        raise InputError(
            f"expected point clouds with --angle, got the image {paths[0]}; pass --epsilon"
        )
    if of_clouds:
        settings = replace(settings, law="coordinates" if how.angle is None else "rotation")
    smoothed = settings.smoothed(loaded, inputs.category, kind=inputs.kind)
    victim, victim_name = smoothed, "base model"
    if non_robust is not None:
        victim = settings.smoothed(non_robust, inputs.category, kind=inputs.kind)
        victim_name = "non-robust model"
    given = [inputs.read(path) for path in paths]
    for each in given:
        settings.check(settings.components(*each.x.shape[1:]), loaded.num_classes)
        for model in (smoothed, victim):
            try_model(model, each.x)
    if victim.num_classes != smoothed.num_classes:
        raise InputError(
            f"expected a non-robust model of the base model's {smoothed.num_classes} classes, got "
            f"{victim.num_classes}; name a model of the same classes"
        )
    remarks = {str(path): each.notes for path, each in zip(paths, given, strict=True)}
    for text in in_few_lines(remarks):
        note(text)
    kinds = [kind for kind in _KINDS if not (of_clouds and kind == "attacked.png")]
    names = [f"{stem}.{kind}" for stem in stems for kind in kinds]
    check_names(out, names)

    def results() -> Iterator[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        with locked(out) as outputs:
            outputs.claim([*names, ATTACKS], overwrite)
            for stem, each in zip(stems, given, strict=True):
                x = each.x
                found = _attacked(victim, x, how, settings.seed, progress)
                certificate = settings.certify(smoothed, x, progress=lambda done: None)
                votes = smoothed.vote(
                    found.attacked, settings.num_samples, batch_size=settings.batch_size
                )
                majority = votes.top()[0]
                style = inputs.class_style(votes.num_classes)
                atomic_write(out / f"{stem}.attacked.npy", _npy(found.attacked))
                if not of_clouds:
                    preview = Image.fromarray(as_rgb(found.attacked))
                    write_picture(out / f"{stem}.attacked.png", preview)
                atomic_write(out / f"{stem}.cert.npz", content_of(certificate))
                shown = attack_panel(x, found, majority, certificate, style, victim_name)
                write_picture(out / f"{stem}.panel.png", shown)
                record = {
                    "name": stem,
                    "model": loaded.name,
                    "attacked": (non_robust or loaded).name,
                    "attack": "l2" if how.angle is None else "rotation",
                    "epsilon": found.epsilon,
                    "norm": found.norm,
                    "loss": found.loss,
                    "success": _success(found, how.vanish),
                    "changed": float(np.mean(found.labels != found.clean)),
                    "certified": 1 - certificate.abstention,
                    "radius": float(np.max(certificate.radius)),
                    "certified_lost": int(
                        np.sum(certificate.certified & (majority != certificate.labels))
                    ),
                    **each.facts,
                }
                records.append(record)
                write_lines(out / ATTACKS, records)
                yield record

    return results()


def _success(found: Attack, vanish: int | None) -> float:
    """Share of the labels that were to change and did; of a class that is to vanish, of its own."""
    if vanish is None:
        return float(np.max(found.success))
    return float(np.mean(found.labels[found.clean == vanish] != vanish))


def _attacked(
    smoothed: Smoothed,
    x: NDArray[np.float32],
    how: AttackSettings,
    seed: int | None,
    progress: bool,
) -> Attack:
    """The attack on the base model of ``smoothed``."""
    target = None
    if how.vanish is not None:
        points = x[:3] if x.ndim == 2 else None
        target = without(smoothed.predict_clean(x), how.vanish, points)
    common: dict[str, Any] = {"target": target, "seed": seed, "progress": progress}
    if how.angle is not None:
        return rotation_attack(
            smoothed.model,
            x,
            angle=how.angle,
            tries=how.steps,
            num_classes=smoothed.num_classes,
            **common,
        )
    assert how.epsilon is not None
    return attack(
        smoothed.model,
        x,
        epsilon=how.epsilon,
        loss=how.losses,
        steps=how.steps,
        restarts=how.restarts,
        value_range=smoothed.value_range,
        channels=getattr(smoothed.noise, "channels", None),
        **common,
    )


def attack_panel(
    x: NDArray[np.float32],
    found: Attack,
    majority: NDArray[np.integer],
    certificate: Certificate,
    style: ClassStyle,
    attacked: str = "base model",
) -> Image.Image:
    """The input above, attacked below: itself, the labels of the attacked model, and of the
    smoothed one, certified above and its majority below. attacked: name of the attacked model."""
    maps = (found.clean, found.labels, majority, certificate.labels)
    if x.ndim == 2:
        shown, what, each = _cloud(style), "cloud", "points"
        met = {int(label) for labels in maps for label in np.unique(labels)} - {ABSTAIN}
    else:
        shown, what, each = _image(style), "image", "pixels"
        met = set(range(len(style.classes)))
    changed = percent_down(float(np.mean(found.labels != found.clean)))
    kept = percent_down(1 - certificate.abstention)
    noise = certificate.noise
    norm = float(np.max(found.norm))
    size = (
        f"rotated by {up(norm)} rad"
        if isinstance(noise, Rotation)
        else f"l2 norm of the change {up(norm)}"
    )
    lost = int(np.sum(certificate.certified & (majority != certificate.labels)))
    tiles = [
        Tile(shown(x, None), what),
        Tile(shown(x, found.clean), attacked),
        Tile(shown(x, certificate.labels), "certified", f"{kept} of the {each}"),
        Tile(shown(found.attacked, None), f"attacked {what}", size),
        Tile(shown(found.attacked, found.labels), f"{attacked}, attacked", f"{changed} changed"),
        Tile(
            shown(found.attacked, majority),
            "smoothed model, attacked",
            f"{lost} of the certified {each} changed",
        ),
    ]
    heading = (
        f"Certified {each} keep their label under every "
        f"{'rotation' if isinstance(noise, Rotation) else 'change'} {noise.measured} < "
        f"{noise.size(float(np.max(certificate.radius)), 4)}, with confidence "
        f"{confidence(certificate.alpha)}; smoothed by noise of sigma = {exact(noise.sigma)}"
    )
    classes = [style.classes[label] for label in sorted(met)]
    palette = [style.palette[label] for label in sorted(met)]
    return panel(tiles, classes, palette, heading, columns=3)


def _image(style: ClassStyle) -> Shown:
    def shown(x: NDArray[Any], labels: NDArray[Any] | None) -> Image.Image:
        return Image.fromarray(as_rgb(x)) if labels is None else overlay(x, labels, style.palette)

    return shown


def _cloud(style: ClassStyle) -> Shown:
    def shown(x: NDArray[Any], labels: NDArray[Any] | None) -> Image.Image:
        drawn = np.full(x.shape[1], IGNORE) if labels is None else labels
        return cloud_picture(x, drawn, style.palette, size=_TILE)

    return shown


def _npy(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
