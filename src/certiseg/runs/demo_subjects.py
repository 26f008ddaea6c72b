"""What a demonstration shows: brain slices under noise, or generated clouds under rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import IGNORE, Sample, Samples
from certiseg.datasets.mni152 import mni152
from certiseg.datasets.solids import solids
from certiseg.datasets.subset import even_categories, subsample
from certiseg.metrics.confusion import Confusion
from certiseg.report.cloud import cloud_picture
from certiseg.report.overlay import overlay
from certiseg.report.panel import Tile, panel
from certiseg.rounding import confidence, down, exact, percent_down, percent_up, share
from certiseg.runs.appearance import Appearance

Figure = Callable[[Sample, Mapping[str, NDArray[Any]], Certificate, Appearance], Image.Image]
"""The panel of one sample, from its view (docs/report.md) and certificate."""


@dataclass(frozen=True)
class Subject:
    """A shipped model, samples it never saw, and how they are shown."""

    model: str
    samples: Samples
    figure: Figure


def slices(count: int) -> Subject:
    """Held-out axial slices of MNI152. InputError where nilearn, which carries them, is missing."""
    return Subject("certiseg:mni152", subsample(mni152("demo"), count), _slice)


def clouds(count: int) -> Subject:
    """Held-out generated clouds, spread evenly over their categories."""
    test = solids("test", normals=False)
    return Subject("certiseg:solids-rotation", even_categories(test, count), _cloud)


def _slice(
    sample: Sample,
    view: Mapping[str, NDArray[Any]],
    certificate: Certificate,
    look: Appearance,
) -> Image.Image:
    """Input, truth, one draw of noise, the base model's labels under it, and the certified mask."""
    draw, noisy = view["noisy"] / np.float32(255), view["base_noise"]
    untouched = np.full(sample.labels.shape, IGNORE)
    tiles = [
        Tile(overlay(sample.x, untouched, look.palette), "input", sample.name),
        Tile(overlay(sample.x, sample.labels, look.palette), "truth"),
        Tile(
            overlay(draw, untouched, look.palette),
            "one draw of noise",
            f"sigma = {exact(certificate.noise.sigma)}",
        ),
        Tile(
            overlay(sample.x, noisy, look.palette),
            "base model on that draw",
            _correct(sample, noisy, look),
        ),
        Tile(
            overlay(sample.x, certificate.labels, look.palette),
            "certified",
            _held(sample, certificate, look),
        ),
    ]
    radius = float(np.min(certificate.radius))
    heading = (
        f"Coloured pixels at the right keep their label under every perturbation of "
        f"{certificate.noise.norm} norm < {down(radius)}, {_confidence(certificate)}"
    )
    return panel(tiles, look.classes, look.palette, heading)


def _cloud(
    sample: Sample,
    view: Mapping[str, NDArray[Any]],
    certificate: Certificate,
    look: Appearance,
) -> Image.Image:
    """Truth, the base model's labels on one rotated draw, and the certified points."""
    tiles = [
        Tile(cloud_picture(sample.x, sample.labels, look.palette), "truth", sample.name),
        Tile(
            cloud_picture(view["noisy"], view["base_noise"], look.palette),
            "base model on one rotated draw",
            _correct(sample, view["base_noise"], look),
        ),
        Tile(
            cloud_picture(sample.x, certificate.labels, look.palette),
            "certified",
            _held(sample, certificate, look),
        ),
    ]
    radius = float(np.min(certificate.radius))
    heading = (
        "Coloured points at the right keep their label under every rotation around any axis by "
        f"less than {certificate.noise.size(radius)}, {_confidence(certificate)}"
    )
    own = np.unique(sample.labels)
    return panel(tiles, [look.classes[i] for i in own], [look.palette[i] for i in own], heading)


def _confidence(certificate: Certificate) -> str:
    return f"with confidence {confidence(certificate.alpha)}"


def _correct(sample: Sample, labels: NDArray[Any], look: Appearance) -> str:
    return f"{percent_down(_count(sample, labels, look).accuracy)} correct"


def _held(sample: Sample, certificate: Certificate, look: Appearance) -> str:
    held = _count(sample, certificate.labels, look)
    wrong = 1 - share(held.accuracy) - share(held.abstention)
    return (
        f"{percent_down(held.accuracy)} correct, {percent_up(held.abstention)} abstains, "
        f"{percent_up(wrong)} wrong"
    )


def _count(sample: Sample, prediction: NDArray[Any], look: Appearance) -> Confusion:
    return Confusion.count(sample.labels, prediction, len(look.classes), IGNORE)
