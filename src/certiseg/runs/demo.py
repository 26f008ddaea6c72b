"""The embedded demonstration: a shipped model, held-out samples, certificates, pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.certificates.archive import read_arrays
from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.folders import locked
from certiseg.reading import ARRAYS, read_bounded
from certiseg.runfolder.comparison import Row
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.layout import Layout, file_stem
from certiseg.runs.appearance import appearance
from certiseg.runs.demo_subjects import Subject
from certiseg.runs.evaluate import evaluate
from certiseg.runs.model import open_model
from certiseg.runs.output import RESULTS, write_lines, write_picture
from certiseg.runs.record import certificate_record
from certiseg.runs.settings import Settings


@dataclass(frozen=True)
class Demo:
    """What the demonstration found. figures: one panel an image, in the order of records."""

    rows: list[Row]
    records: list[dict[str, Any]]
    figures: list[Path]
    statement: str
    seconds: float


def demo(
    out: Path, settings: Settings, subject: Subject, progress: bool = False, command: str = ""
) -> Demo:
    """Certify the subject's samples with its model and verify what was written.

    Writes the folder of a run (docs/report.md) to OUT, and OUT/NAME.png (truth, one draw, what the
    base model makes of it, certified) and OUT/results.jsonl beside it; files of an earlier
    demonstration are replaced. Each certificate is read back and verified. Raises ClaimError when
    a written certificate does not verify.
    """
    began = time.perf_counter()
    samples = subject.samples
    loaded = open_model(subject.model)
    pictures = [f"{samples[number].name}.png" for number in range(len(samples))]
    with locked(out) as outputs:
        # A run that no demonstration made is not replaced.
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
        look = appearance(loaded, samples.card.num_classes, samples.card)
        layout, records, figures, statement = Layout(out), [], [], ""
        for number, found in enumerate(evaluation.images):
            sample = samples[number]
            stem = file_stem(number, sample.name)
            certificate = Certificate.load(layout.certificate(stem))
            verify(certificate)
            view = read_arrays(read_bounded(layout.view(stem), ARRAYS))
            panel = subject.figure(sample, view, certificate, look)
            figures.append(out / pictures[number])
            write_picture(figures[-1], panel)
            taken = found["seconds"]
            records.append(
                certificate_record(sample.name, certificate, look.classes, taken, loaded.name)
            )
            statement = statement or certificate.statement()
        write_lines(out / RESULTS, records)
    return Demo(evaluation.rows, records, figures, statement, time.perf_counter() - began)
