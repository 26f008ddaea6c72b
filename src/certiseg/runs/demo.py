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
from certiseg.files import output_folder
from certiseg.metrics.confusion import Confusion
from certiseg.report.comparison import (
    BASE_CLEAN,
    BASE_NOISE,
    CERTIFIED,
    certified_row,
    model_row,
)
from certiseg.report.overlay import overlay
from certiseg.report.panel import Tile, panel
from certiseg.report.tables import Row, radius_text
from certiseg.runs.appearance import Appearance, appearance
from certiseg.runs.methods import certify_image
from certiseg.runs.model import open_model
from certiseg.runs.output import RESULTS, write_lines, write_picture
from certiseg.runs.progress import RunBar
from certiseg.runs.record import certificate_record
from certiseg.runs.settings import Settings
from certiseg.sampling.keys import resolve_seed

MODEL = "certiseg:mni152"
ROWS = (BASE_CLEAN, BASE_NOISE, CERTIFIED)


@dataclass(frozen=True)
class Demo:
    """What the demonstration found. figures: one panel an image, in the order of records."""

    rows: list[Row]
    records: list[dict[str, Any]]
    figures: list[Path]
    statement: str
    seconds: float


def demo(out: Path, settings: Settings, images: int = 4, progress: bool = False) -> Demo:
    """Certify held-out MNI152 slices with the shipped model and verify what was written.

    Writes OUT/NAME.cert.npz, OUT/NAME.png (input, truth, one draw of noise, the base model on it,
    certified) and OUT/results.jsonl; files of an earlier demonstration are replaced. Each
    certificate is read back and verified. Raises InputError when nilearn, which carries the
    images, is missing; ClaimError when a written certificate does not verify.
    """
    began = time.perf_counter()
    samples = every(mni152("demo"), images)
    loaded = open_model(MODEL)
    smoothed = settings.smoothed(loaded)
    settings.check(samples[0].labels.size)
    output_folder(out)
    look = appearance(loaded, samples.card.num_classes, samples.card)
    pooled: dict[str, Confusion] = {}
    times: dict[str, float] = {}
    records, figures, statement = [], [], ""
    with RunBar(progress, len(samples), settings.draws) as bar:
        for index in range(len(samples)):
            bar.start(index)
            sample = samples[index]
            started = [time.perf_counter()]
            clean = smoothed.predict_clean(sample.x)
            started.append(time.perf_counter())
            # One draw, looked at twice: as a picture and through the base model.
            shown = resolve_seed(settings.seed)[0]
            noisy = smoothed.predict_once(sample.x, seed=shown)
            started.append(time.perf_counter())
            certificate = certify_image(smoothed, sample.x, settings, progress=bar.draws)
            started.append(time.perf_counter())
            seen = zip(ROWS, (clean, noisy, certificate.labels), np.diff(started), strict=True)
            for name, prediction, seconds in seen:
                counts = _count(sample, prediction, look)
                pooled[name] = pooled[name] + counts if name in pooled else counts
                times[name] = times.get(name, 0.0) + float(seconds)
            file = out / f"{sample.name}.cert.npz"
            certificate.save(file)
            verify(Certificate.load(file))
            figures.append(out / f"{sample.name}.png")
            draw = smoothed.noisy(sample.x, seed=shown).cpu().numpy()
            write_picture(figures[-1], figure(sample, draw, noisy, certificate, look))
            taken = started[-1] - started[-2]
            records.append(certificate_record(sample.name, certificate, look.classes, taken, MODEL))
            statement = statement or certificate.statement()
    write_lines(out / RESULTS, records)
    rows = [model_row(name, pooled[name], times[name] / len(records)) for name in ROWS[:-1]]
    rows.append(
        certified_row(
            f"{CERTIFIED}, n = {settings.num_samples}",
            pooled[CERTIFIED],
            radius=settings.noise.radius(settings.tau),
            seconds=times[CERTIFIED] / len(records),
        )
    )
    return Demo(rows, records, figures, statement, time.perf_counter() - began)


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
