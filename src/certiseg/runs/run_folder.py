"""Writing the folder of a run as it goes, so that an interrupted one can still be looked at."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import Sample, Samples, note_of
from certiseg.files import atomic_write, output_folder
from certiseg.models.loaded import LoadedModel
from certiseg.noise import noise_record
from certiseg.report.curve import CURVE_FILES
from certiseg.report.folder.comparison import BASE_CLEAN, BASE_NOISE, NON_ROBUST
from certiseg.report.folder.layout import (
    FORMAT,
    MANIFEST,
    PAGE,
    RESULTS,
    TABLES,
    Layout,
    file_stem,
    kept_numbers,
)
from certiseg.runs.environment import environment
from certiseg.runs.output import write_text
from certiseg.runs.settings import Settings

_KEYS = {BASE_CLEAN: "base_clean", BASE_NOISE: "base_noise", NON_ROBUST: "non_robust"}


@dataclass(frozen=True)
class Keep:
    """What stays of single samples. samples: how many are kept for the report, evenly spread,
    None for all; certificates: of all samples, not only of those."""

    samples: int | None = 20
    certificates: bool = False


class RunFolder:
    """A run in the making below ``out``; every file is written whole.

    numbers: the samples kept for the report.
    """

    def __init__(self, out: Path, samples: Samples, keep: Keep) -> None:
        self.layout = Layout(out)
        self.numbers = kept_numbers(len(samples), keep.samples)
        self._keep = keep
        self._stems: list[str] = []

    def begin(self, manifest: dict[str, Any], names: list[str]) -> None:
        """Remove the files of an earlier run that is being replaced, then write the manifest."""
        self._stems = [file_stem(number, name) for number, name in enumerate(names)]
        for file in [self.layout.manifest, *earlier_files(self.layout.root)]:
            # The manifest first: what is left of a removed run is none.
            file.unlink(missing_ok=True)
        output_folder(self.layout.root)
        planned = [
            {"number": number, "name": name, "file": stem, "kept": number in self.numbers}
            for number, (name, stem) in enumerate(zip(names, self._stems, strict=True))
        ]
        write_text(
            self.layout.manifest, json.dumps({**manifest, "samples": planned}, indent=1) + "\n"
        )

    def certificate(self, number: int, certificate: Certificate) -> None:
        """Write it, if it is one to keep."""
        if self._keep.certificates or number in self.numbers:
            certificate.save(_place(self.layout.certificate(self._stems[number])))

    def view(self, number: int, arrays: dict[str, NDArray[Any]]) -> None:
        """Write what shows a kept sample: see docs/report.md."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        atomic_write(_place(self.layout.view(self._stems[number])), buffer.getvalue())

    def done(self, number: int, record: dict[str, Any]) -> None:
        """Write the figures of a sample: the last of its files."""
        whole = {"number": number, **record}
        write_text(_place(self.layout.sample(self._stems[number])), json.dumps(whole) + "\n")


def _place(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return path


def earlier_files(out: Path) -> list[Path]:
    """Files of a run that are there already, whatever its method was."""
    layout = Layout(out)
    named = (*TABLES, RESULTS, *CURVE_FILES, PAGE, MANIFEST)
    files = [out / name for name in named]
    return [file for file in (*files, *layout.of_samples()) if file.exists()]


def manifest(
    samples: Samples,
    loaded: LoadedModel,
    non_robust: LoadedModel | None,
    settings: Settings,
    certified: str,
    command: str,
) -> dict[str, Any]:
    """What is fixed before the first draw. certified: name of the table's last row."""
    card = samples.card
    return {
        "format": FORMAT,
        "kind": card.kind,
        "model": loaded.name,
        "non_robust": None if non_robust is None else non_robust.name,
        "data": card.name,
        "thinned": note_of(samples),
        "classes": list(card.classes),
        "palette": [list(colour) for colour in card.palette],
        "parts": None if card.parts is None else {k: list(v) for k, v in card.parts.items()},
        "method": settings.method,
        "certified": certified,
        "settings": asdict(settings),
        "noise": noise_record(settings.noise),
        "norm": settings.noise.norm,
        "radius": settings.noise.radius(settings.tau),
        "made_with": environment(command, settings.device, "started"),
    }


def shown(x: NDArray[Any]) -> NDArray[Any]:
    """An input for show: a picture as uint8, clipped as pictures are; a cloud as it is."""
    if x.ndim != 3:
        return x.astype(np.float32)
    return np.rint(np.clip(x, 0.0, 1.0) * 255).astype(np.uint8)


def view_arrays(
    sample: Sample, noisy: NDArray[Any], labels: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """x, truth, noisy (one draw) and what the models say, by the name of their row, each on its own
    grid."""
    narrow = {
        _KEYS[name]: values.astype(np.uint8 if values.max() < 255 else np.int32)
        for name, values in labels.items()
    }
    return {"x": shown(sample.x), "truth": sample.labels, "noisy": shown(noisy), **narrow}
