"""The embedded demonstration: a shipped model, held-out brain slices, certificates, pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.certificates.certificate import Certificate
from certiseg.certify.verify import verify
from certiseg.datasets.card import IGNORE, Sample
from certiseg.datasets.folder import every
from certiseg.datasets.mni152 import mni152
from certiseg.metrics.confusion import Confusion
from certiseg.report.layout import Layout, file_stem
from certiseg.report.overlay import overlay
from certiseg.report.panel import Tile, panel
from certiseg.report.tables import Row, radius_text
from certiseg.runs.appearance import Appearance, appearance
from certiseg.runs.evaluate import evaluate
from certiseg.runs.model import open_model
from certiseg.runs.output import RESULTS, write_lines, write_picture
from certiseg.runs.record import certificate_record
from certiseg.runs.run_folder import Keep
from certiseg.runs.settings import Settings

MODEL = "certiseg:mni152"


@dataclass(frozen=True)
class Demo:
    """What the demonstration found. figures: one panel an image, in the order of records."""

    rows: list[Row]
    records: list[dict[str, Any]]
    figures: list[Path]
    statement: str
    seconds: float


def demo(
    out: Path, settings: Settings, images: int = 4, progress: bool = False, command: str = ""
) -> Demo:
    """Certify held-out MNI152 slices with the shipped model and verify what was written.

    Writes the folder of a run (docs/report.md) to OUT, and OUT/NAME.png (input, truth, one draw of
    noise, the base model on it, certified) and OUT/results.jsonl beside it; files of an earlier
    demonstration are replaced. Each certificate is read back and verified. Raises InputError when
    nilearn, which carries the images, is missing; ClaimError when a written certificate does not
    verify.
    """
    began = time.perf_counter()
    samples = every(mni152("demo"), images)
    loaded = open_model(MODEL)
    evaluation = evaluate(
        samples,
        loaded,
        settings,
        out,
        keep=Keep(None),
        overwrite=True,
        command=command,
        progress=progress,
    )
    look = appearance(loaded, samples.card.num_classes, samples.card)
    layout, records, figures, statement = Layout(out), [], [], ""
    for number, found in enumerate(evaluation.images):
        sample = samples[number]
        stem = file_stem(number, sample.name)
        certificate = Certificate.load(layout.certificate(stem))
        verify(certificate)
        with np.load(layout.view(stem), allow_pickle=False) as view:
            draw, noisy = view["noisy"] / np.float32(255), view["base_noise"]
        figures.append(out / f"{sample.name}.png")
        write_picture(figures[-1], figure(sample, draw, noisy, certificate, look))
        taken = found["seconds"]
        records.append(certificate_record(sample.name, certificate, look.classes, taken, MODEL))
        statement = statement or certificate.statement()
    write_lines(out / RESULTS, records)
    return Demo(evaluation.rows, records, figures, statement, time.perf_counter() - began)


def figure(
    sample: Sample, draw: Any, noisy: Any, certificate: Certificate, look: Appearance
) -> Any:
    """Input, truth, one draw of noise, the base model's labels under it, and the certified mask.

    draw: (C, H, W), the noisy input; noisy: the labels (H, W) that the base model gives it.
    """
    untouched = np.full(sample.labels.shape, IGNORE)
    base, held = _count(sample, noisy, look), _count(sample, certificate.labels, look)
    wrong = 1.0 - held.accuracy - held.abstention
    tiles = [
        Tile(overlay(sample.x, untouched, look.palette), "input", sample.name),
        Tile(overlay(sample.x, sample.labels, look.palette), "truth"),
        Tile(
            overlay(draw, untouched, look.palette),
            "one draw of noise",
            f"sigma = {certificate.noise.sigma:g}",
        ),
        Tile(
            overlay(sample.x, noisy, look.palette),
            "base model on that draw",
            f"{base.accuracy:.1%} correct",
        ),
        Tile(
            overlay(sample.x, certificate.labels, look.palette),
            "certified",
            f"{held.accuracy:.1%} correct, {held.abstention:.1%} abstains, {wrong:.1%} wrong",
        ),
    ]
    radius = float(np.min(certificate.radius))
    heading = (
        f"Coloured pixels at the right keep their label under every perturbation of "
        f"{certificate.noise.norm} norm < {radius_text(radius)}, "
        f"with confidence {100 * (1 - certificate.alpha):.6g} %"
    )
    return panel(tiles, look.classes, look.palette, heading)


def _count(sample: Sample, prediction: Any, look: Appearance) -> Confusion:
    return Confusion.count(sample.labels, prediction, len(look.classes), IGNORE)
