"""Attack image files: the attacked input, the models' labels there, and a panel of both."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.attacks.attack import DEFAULT_LOSSES, Attack, attack
from certiseg.attacks.losses import Loss
from certiseg.attacks.target import without
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.storage import content_of
from certiseg.datasets.images import read_image
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, check_names
from certiseg.files.folders import locked
from certiseg.models.loaded import LoadedModel
from certiseg.report.overlay import as_rgb, overlay
from certiseg.report.panel import Tile, panel
from certiseg.rounding import confidence, down, exact, percent_down, up
from certiseg.runs.class_style import ClassStyle, class_style
from certiseg.runs.model import channels_of, try_model
from certiseg.runs.output import write_lines, write_picture
from certiseg.runs.settings import Settings

ATTACKS = "attacks.jsonl"
_KINDS = ("attacked.npy", "attacked.png", "cert.npz", "panel.png")


@dataclass(frozen=True)
class AttackSettings:
    """Settings of an attack on a base model, as in ``certiseg.attack``. vanish: target the absence
    of this class; None: any other labels."""

    epsilon: float
    losses: Sequence[Loss] = DEFAULT_LOSSES
    steps: int = 300
    restarts: int = 1
    vanish: int | None = None


def attack_images(
    paths: Sequence[Path],
    loaded: LoadedModel,
    how: AttackSettings,
    settings: Settings,
    out: Path,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Attack a model on each image file, as ``attack_arrays``. Raises InputError."""
    stems = [path.stem for path in paths]
    if not stems or len(set(stems)) < len(stems):
        raise InputError(
            f"expected images of different names, got {stems}; the names are those of the results"
        )
    images = {path.stem: read_image(path, channels_of(loaded)) for path in paths}
    return attack_arrays(images, loaded, how, settings, out, **options)


def attack_arrays(
    images: Mapping[str, NDArray[np.float32]],
    loaded: LoadedModel,
    how: AttackSettings,
    settings: Settings,
    out: Path,
    *,
    non_robust: LoadedModel | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Iterator[dict[str, Any]]:
    """Attack a model on each image (C, H, W), by name; yields a record once its files are written.

    The model attacked is the base model of ``loaded``, or, if given, ``non_robust``, of the same
    classes.
    Writes OUT/NAME.attacked.npy, float32 (C, H, W), the attacked input itself;
    OUT/NAME.attacked.png, rounded to 8 bits, for viewing; OUT/NAME.cert.npz, the certificate of the
    given image; OUT/NAME.panel.png, with the smoothed model's votes at the attacked input; and the
    records to OUT/attacks.jsonl. Raises InputError.
    """
    if settings.law != "gaussian" or settings.radius_map or settings.grid is not None:
        raise InputError(
            "expected Gaussian noise and one label and radius for all pixels, got other settings; "
            "leave --noise, --radius-map and --grid out"
        )
    smoothed = settings.smoothed(loaded)
    victim = smoothed if non_robust is None else settings.smoothed(non_robust)
    name = "base model" if non_robust is None else "non-robust model"
    for x in images.values():
        settings.check(settings.components(*x.shape[1:]), loaded.num_classes)
        for model in (smoothed, victim):
            try_model(model, x)
    if victim.num_classes != smoothed.num_classes:
        raise InputError(
            f"expected a non-robust model of the base model's {smoothed.num_classes} classes, got "
            f"{victim.num_classes}; name a model of the same classes"
        )
    names = [f"{stem}.{kind}" for stem in images for kind in _KINDS]
    check_names(out, names)

    def results() -> Iterator[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        with locked(out) as outputs:
            outputs.claim([*names, ATTACKS], overwrite)
            for stem, x in images.items():
                target = None
                if how.vanish is not None:
                    target = without(victim.predict_clean(x), how.vanish)
                found = attack(
                    victim.model,
                    x,
                    epsilon=how.epsilon,
                    loss=how.losses,
                    steps=how.steps,
                    restarts=how.restarts,
                    target=target,
                    seed=settings.seed,
                    progress=progress,
                )
                certificate = settings.certify(smoothed, x, progress=lambda done: None)
                votes = smoothed.vote(
                    found.attacked, settings.num_samples, batch_size=settings.batch_size
                )
                majority = votes.top()[0]
                style = class_style(loaded, votes.num_classes)
                atomic_write(out / f"{stem}.attacked.npy", _npy(found.attacked))
                preview = Image.fromarray(as_rgb(found.attacked))
                write_picture(out / f"{stem}.attacked.png", preview)
                atomic_write(out / f"{stem}.cert.npz", content_of(certificate))
                shown = attack_panel(x, found, majority, certificate, style, name)
                write_picture(out / f"{stem}.panel.png", shown)
                record = {
                    "name": stem,
                    "model": loaded.name,
                    "attacked": (non_robust or loaded).name,
                    "epsilon": found.epsilon,
                    "norm": found.norm,
                    "loss": found.loss,
                    "success": found.success,
                    "changed": float(np.mean(found.labels != found.clean)),
                    "certified": 1 - certificate.abstention,
                    "radius": float(np.max(certificate.radius)),
                    "certified_lost": int(
                        np.sum(certificate.certified & (majority != certificate.labels))
                    ),
                }
                records.append(record)
                write_lines(out / ATTACKS, records)
                yield record

    return results()


def attack_panel(
    x: NDArray[np.float32],
    found: Attack,
    majority: NDArray[np.integer],
    certificate: Certificate,
    style: ClassStyle,
    attacked: str = "base model",
) -> Image.Image:
    """The image above, attacked below: the input, labels of the attacked model, and of the smoothed
    one, certified above and its majority below. attacked: name of the attacked model."""

    def over(image: NDArray[Any], labels: NDArray[Any]) -> Image.Image:
        return overlay(image, labels, style.palette)

    changed = percent_down(float(np.mean(found.labels != found.clean)))
    kept = percent_down(1 - certificate.abstention)
    lost = int(np.sum(certificate.certified & (majority != certificate.labels)))
    agreed = f"{lost} of the certified pixels changed"
    tiles = [
        Tile(Image.fromarray(as_rgb(x)), "image"),
        Tile(over(x, found.clean), attacked),
        Tile(over(x, certificate.labels), "certified", f"{kept} of the pixels"),
        Tile(
            Image.fromarray(as_rgb(found.attacked)),
            "attacked image",
            f"l2 norm of the change {up(float(np.max(found.norm)))}",
        ),
        Tile(over(found.attacked, found.labels), f"{attacked}, attacked", f"{changed} changed"),
        Tile(over(found.attacked, majority), "smoothed model, attacked", agreed),
    ]
    heading = (
        "Certified pixels keep their label under every change of l2 norm < "
        f"{down(float(np.max(certificate.radius)))}, with confidence "
        f"{confidence(certificate.alpha)}; smoothed by noise of sigma = "
        f"{exact(certificate.noise.sigma)}"
    )
    return panel(tiles, style.classes, style.palette, heading, columns=3)


def _npy(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
