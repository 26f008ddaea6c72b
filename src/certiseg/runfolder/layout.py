"""File names in the folder of a run; none can lead out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FORMAT = "certiseg-run-1"
MANIFEST = "run.json"
RESULTS = "results.json"
TABLES = ("table.md", "table.csv")
ATTACKS = "attacks.csv"
CURVE_FILES = ("curve.csv", "curve.png", "curve.svg")
PAGE = "report.html"
_LONGEST_STEM = 80
FOLDERS = {"samples": ".json", "views": ".npz", "certificates": ".cert.npz"}
"""Subfolders for the files of samples, with the suffix of their files."""


@dataclass(frozen=True)
class Layout:
    """Paths of the files of a run below ``root``. stem: of a sample, by ``file_stem``."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / MANIFEST

    @property
    def results(self) -> Path:
        return self.root / RESULTS

    def sample(self, stem: str) -> Path:
        """JSON record of a sample, which exists once the sample is done."""
        return self._of("samples", stem)

    def view(self, stem: str) -> Path:
        """Npz file with the arrays needed to show a sample without model and data set."""
        return self._of("views", stem)

    def certificate(self, stem: str) -> Path:
        return self._of("certificates", stem)

    def _of(self, folder: str, stem: str) -> Path:
        return self.root / folder / f"{stem}{FOLDERS[folder]}"


def file_stem(number: int, name: str) -> str:
    """File name of a sample without suffix: its number and its sanitized name.

    In names, which come from data sets, anything but ASCII letters, digits, dots, dashes and
    underscores becomes an underscore, and long names are cut. The number makes it unique.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_LONGEST_STEM].strip("._") or "sample"
    return f"{number:04d}-{plain}"


def kept_numbers(total: int, keep: int | None) -> frozenset[int]:
    """Numbers of the samples kept for the report: ``keep`` evenly spaced ones, None for all."""
    if keep is None or keep >= total:
        return frozenset(range(total))
    # The middle of each of `keep` equal intervals, as in datasets/subset.py.
    return frozenset((2 * i + 1) * total // (2 * keep) for i in range(keep))
