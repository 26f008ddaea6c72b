"""The folder of a run: which files it holds, and under which names. No name leads out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FORMAT = "certiseg-run-1"
MANIFEST = "run.json"
RESULTS = "results.json"
TABLES = ("table.md", "table.csv")
CURVE_FILES = ("curve.csv", "curve.png", "curve.svg")
PAGE = "report.html"
_LONGEST_STEM = 80
FOLDERS = {"samples": ".json", "views": ".npz", "certificates": ".cert.npz"}
"""Below it, with the files of the samples and how their names end."""


@dataclass(frozen=True)
class Layout:
    """Where a run below ``root`` keeps what. stem: of one sample, as ``file_stem`` makes it."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / MANIFEST

    @property
    def results(self) -> Path:
        return self.root / RESULTS

    def sample(self, stem: str) -> Path:
        """Figures of one sample, JSON: there once the sample is done."""
        return self._of("samples", stem)

    def view(self, stem: str) -> Path:
        """Arrays that show one sample without model and data, npz."""
        return self._of("views", stem)

    def certificate(self, stem: str) -> Path:
        return self._of("certificates", stem)

    def _of(self, folder: str, stem: str) -> Path:
        return self.root / folder / f"{stem}{FOLDERS[folder]}"


def file_stem(number: int, name: str) -> str:
    """File name, without its ending, of the sample of this number.

    Names come from data sets: anything but letters, digits, dot, dash and underscore of ASCII
    becomes an underscore, long ones are cut; the number keeps them apart.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_LONGEST_STEM].strip("._") or "sample"
    return f"{number:04d}-{plain}"


def kept_numbers(total: int, keep: int | None) -> frozenset[int]:
    """Samples kept for the report: ``keep`` of them at an even stride, None for all."""
    if keep is None or keep >= total:
        return frozenset(range(total))
    # The middle of each of `keep` equal stretches, as when a data set is thinned.
    return frozenset((2 * i + 1) * total // (2 * keep) for i in range(keep))
