"""The bundled demonstration: held-out brain slices under noise or generated clouds under rotation,
certified with a bundled model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.certificates.archive import read_arrays
from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.datasets.card import IGNORE, Sample, Samples
from certiseg.datasets.mni152 import mni152
from certiseg.datasets.solids import solids
from certiseg.datasets.subset import even_categories, subsample
from certiseg.files.folders import locked
from certiseg.files.reading import ARRAYS, read_bounded
from certiseg.metrics.confusion import Confusion
from certiseg.report.cloud import cloud_picture
from certiseg.report.overlay import overlay
from certiseg.report.panel import Tile, panel
from certiseg.rounding import confidence, down, exact, percent_down, percent_up, share
from certiseg.runfolder.comparison import Row
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.layout import Layout, file_stem
from certiseg.runs.class_style import ClassStyle, class_style
from certiseg.runs.evaluate import evaluate
from certiseg.runs.model import open_model
from certiseg.runs.output import RESULTS, write_lines, write_picture
from certiseg.runs.record import certificate_record
from certiseg.runs.settings import Settings


@dataclass(frozen=True)
class Demo:
    """Result of the demonstration. figures: one panel per sample, in the order of records."""

    rows: list[Row]
    records: list[dict[str, Any]]
    figures: list[Path]
    statement: str
    seconds: float


def demo(
    out: Path,
    settings: Settings,
    *,
    clouds: bool = False,
    images: int | None = None,
    progress: bool = False,
    command: str = "",
) -> Demo:
    """Certify held-out samples with a bundled model, and verify the written certificates.

    clouds: generated shapes, evenly over their categories, instead of axial slices of MNI152 (from
    the package nilearn; InputError without it). images: number of samples; None for 5 clouds or 4
    slices.
    Writes the folder of a run (docs/report.md) to OUT, and OUT/NAME.png (truth, one draw, what the
    base model makes of it, certified) and OUT/results.jsonl beside it; files of an earlier
    demonstration are replaced. Each certificate is read back and verified. Raises ClaimError when
    a written certificate does not verify.
    """
    began = time.perf_counter()
    samples: Samples
    if clouds:
        loaded = open_model("certiseg:solids-rotation")
        samples = even_categories(solids("test", normals=False), 5 if images is None else images)
    else:
        loaded = open_model("certiseg:mni152")
        samples = subsample(mni152("demo"), 4 if images is None else images)
    pictures = [f"{samples[number].name}.png" for number in range(len(samples))]
    with locked(out) as outputs:
        # A run by another command is not replaced.
        again = RESULTS in outputs.ours()
        outputs.claim([*pictures, RESULTS], overwrite=True)
        evaluation = evaluate(
            samples,
            loaded,
            settings,
            out,
            keep=Keep(None),
            overwrite=again,
            command=command,
            progress=progress,
        )
        style = class_style(loaded, samples.card.num_classes, samples.card)
        layout, records, statement = Layout(out), [], ""
        for number, found in enumerate(evaluation.images):
            sample = samples[number]
            stem = file_stem(number, sample.name)
            certificate = Certificate.load(layout.certificate(stem))
            verify(certificate)
            view = read_arrays(read_bounded(layout.view(stem), ARRAYS))
            write_picture(out / pictures[number], _figure(sample, view, certificate, style))
            records.append(
                certificate_record(
                    sample.name, certificate, style.classes, found["seconds"], loaded.name
                )
            )
            statement = statement or certificate.statement()
        write_lines(out / RESULTS, records)
    figures = [out / name for name in pictures[: len(records)]]
    return Demo(evaluation.rows, records, figures, statement, time.perf_counter() - began)


def _figure(
    sample: Sample, view: Mapping[str, NDArray[Any]], certificate: Certificate, style: ClassStyle
) -> Image.Image:
    """The panel of one sample from its view (docs/report.md) and certificate: ground truth, one
    draw, the base model's labels on it, and the certified labels."""
    noise, radius = certificate.noise, float(np.min(certificate.radius))
    noisy, base = view["noisy"], view["base_noise"]
    correct, certified = _correct(sample, base, style), _certified(sample, certificate, style)
    sure = f"with confidence {confidence(certificate.alpha)}"
    if sample.labels.ndim == 1:
        truth = cloud_picture(sample.x, sample.labels, style.palette)
        drawn = cloud_picture(noisy, base, style.palette)
        tiles = [
            Tile(truth, "truth", sample.name),
            Tile(drawn, "base model on one rotated draw", correct),
            Tile(
                cloud_picture(sample.x, certificate.labels, style.palette), "certified", certified
            ),
        ]
        heading = (
            "Coloured points at the right keep their label under every rotation around any axis "
            f"by less than {noise.size(radius)}, {sure}"
        )
        own = np.unique(sample.labels)
        return panel(
            tiles, [style.classes[i] for i in own], [style.palette[i] for i in own], heading
        )

    def over(x: NDArray[Any], labels: NDArray[Any]) -> Image.Image:
        return overlay(x, labels, style.palette)

    nothing = np.full(sample.labels.shape, IGNORE)
    draw = over(noisy / np.float32(255), nothing)
    tiles = [
        Tile(over(sample.x, nothing), "input", sample.name),
        Tile(over(sample.x, sample.labels), "truth"),
        Tile(draw, "one draw of noise", f"sigma = {exact(noise.sigma)}"),
        Tile(over(sample.x, base), "base model on that draw", correct),
        Tile(over(sample.x, certificate.labels), "certified", certified),
    ]
    heading = (
        f"Coloured pixels at the right keep their label under every perturbation of "
        f"{noise.norm} norm < {down(radius)}, {sure}"
    )
    return panel(tiles, style.classes, style.palette, heading)


def _correct(sample: Sample, labels: NDArray[Any], style: ClassStyle) -> str:
    return f"{percent_down(_count(sample, labels, style).accuracy)} correct"


def _certified(sample: Sample, certificate: Certificate, style: ClassStyle) -> str:
    counts = _count(sample, certificate.labels, style)
    wrong = 1 - share(counts.accuracy) - share(counts.abstention)
    return (
        f"{percent_down(counts.accuracy)} correct, {percent_up(counts.abstention)} abstains, "
        f"{percent_up(wrong)} wrong"
    )


def _count(sample: Sample, prediction: NDArray[Any], style: ClassStyle) -> Confusion:
    return Confusion.count(sample.labels, prediction, len(style.classes), IGNORE)
