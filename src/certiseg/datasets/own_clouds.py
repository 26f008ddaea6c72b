"""Labelled point clouds of the user: a folder of splits, described by clouds.yaml.

    name: warehouse
    classes: [floor, rack, pallet]
    normalise: true
    columns: [x, y, z, label]

All fields: docs/point-clouds.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import (
    IGNORE,
    PART_COLOURS,
    Card,
    Sample,
    check_at_least,
    customary_palette,
)
from certiseg.datasets.cloud_file import CLOUD_SUFFIXES, cloud_of, open_table
from certiseg.datasets.cloud_scaling import resampled
from certiseg.datasets.cloud_table import LABEL, CloudTable, stated_columns
from certiseg.datasets.pairs import files_in
from certiseg.errors import InputError
from certiseg.files.documents import read_document
from certiseg.files.fields import TRUTH, Field
from certiseg.files.reading import DOCUMENT

DESCRIPTION = "clouds.yaml"
_TEXT = Field("text", lambda value: isinstance(value, str) and bool(value.strip()))
_FIELDS = {
    "name": _TEXT,
    "classes": Field(
        f"a list of 2 to {IGNORE - 1} different names",
        lambda value: (
            isinstance(value, list)
            and 2 <= len(value) < IGNORE
            and all(map(_TEXT.holds, value))
            and len(set(value)) == len(value)
        ),
    ),
    "normalise": TRUTH,
    "columns": Field(
        "a list of names such as [x, y, z, label]",
        lambda value: isinstance(value, list) and all(map(_TEXT.holds, value)),
    ),
    "source": _TEXT,
    "licence": _TEXT,
}
_NEEDED = ("name", "classes", "normalise")


class OwnClouds:
    """The clouds of a split, in the order of their names. skipped, note: the files left out."""

    def __init__(
        self, about: dict[str, Any], paths: Sequence[Path], points: int, normals: bool, seed: int
    ) -> None:
        name, classes = about["name"], tuple(about["classes"])
        few = len(classes) <= len(PART_COLOURS)
        self.card = Card(
            name=name,
            classes=classes,
            palette=PART_COLOURS[: len(classes)] if few else customary_palette(len(classes)),
            channels=6 if normals else 3,
            source=about.get("source", "clouds of the user"),
            licence=about.get("licence", "as stated by the owner of the data"),
            parts={name: tuple(range(len(classes)))},
        )
        self.skipped: tuple[str, ...] = ()
        self.note = ""
        self._columns = stated_columns(",".join(about["columns"])) if "columns" in about else None
        self._normalise = about["normalise"]
        self._paths, self._points, self._seed = list(paths), points, seed

    def __len__(self) -> int:
        return len(self._paths)

    def category(self, index: int) -> str:
        return self.card.name

    def __getitem__(self, index: int) -> Sample:
        path = self._paths[index]
        table = open_table(path, self._columns)
        names = table.columns(self._columns)
        labels = _labels(table, names, self.card.num_classes)
        cloud = cloud_of(table, names, self.card.channels, normalise=self._normalise)
        # The name used by certify --category, so that both resample to the same points.
        chosen = resampled(len(labels), self._points, f"{self.card.name}-{path.stem}", self._seed)
        x = np.ascontiguousarray(cloud.x[:, chosen])
        return Sample(path.stem, x, labels[chosen], self.card.name)

    def without_bad(self) -> None:
        """Read all files and leave out unusable ones. Raises InputError if none is left."""
        faults = {}
        for index, path in enumerate(self._paths):
            try:
                self[index]
            except InputError as error:
                faults[path] = str(error)
        total = len(self._paths)
        self._paths = [path for path in self._paths if path not in faults]
        self.skipped = tuple(faults.values())
        if not self._paths:
            raise InputError(
                f"expected at least one sound file of {total}, got none, the first "
                f"{self.skipped[0]}"
            )
        if faults:
            self.note = f"{len(self._paths)} of {total} clouds, others damaged"


def own_clouds(
    root: str | Path,
    split: str = "test",
    *,
    points: int = 2048,
    normals: bool = True,
    skip_bad: bool = False,
    seed: int = 0,
) -> OwnClouds:
    """The labelled clouds in `root/SPLIT`, described by `root/clouds.yaml`.

    Each file is read as ``cloud_file.read_cloud`` does; one of its columns is the label, the id of
    each point's class. All clouds are of one category, named as the set, whose parts are all
    classes. Then `points` of each are taken, as in ``shapenet``.

    Raises:
        InputError: At once for a description or a folder that is missing or wrong; on access for
            damaged files, naming the line. With skip_bad all files are read at once, those that are
            damaged are left out, and `.skipped` and `.note` say so.
    """
    check_at_least(points=(points, 1), seed=(seed, 0))
    about = _described(Path(root) / DESCRIPTION)
    paths = [path for path, _ in files_in(Path(root) / split, CLOUD_SUFFIXES)]
    twice = [path for path in paths if sum(path.stem == other.stem for other in paths) > 1]
    if twice:
        raise InputError(
            f"{twice[0].parent}: expected one file a stem, got {twice[0].name} and "
            f"{twice[1].name}; remove or rename one"
        )
    clouds = OwnClouds(about, paths, points, normals, seed)
    if skip_bad:
        clouds.without_bad()
    return clouds


def _described(path: Path) -> dict[str, Any]:
    """The fields of the description, checked. Raises InputError."""
    remedy = "see docs/point-clouds.md"
    try:
        content = read_document(path, DOCUMENT)
    except ValueError as error:
        raise InputError(
            f"{path}: expected a description of the clouds, got {error}; {remedy}"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping of fields, got none; {remedy}")
    for name, value in content.items():
        if name not in _FIELDS:
            raise InputError(
                f"{path}: expected fields among {', '.join(_FIELDS)}, got {name!r:.60}; correct it"
            )
        if not _FIELDS[name].holds(value):
            raise InputError(
                f"{path}: expected {name} as {_FIELDS[name].words}, got {value!r:.60}; {remedy}"
            )
    for name in _NEEDED:
        if name not in content:
            raise InputError(f"{path}: expected the field {name}, got none; add it")
    return content


def _labels(table: CloudTable, names: Sequence[str], num_classes: int) -> NDArray[np.uint8]:
    if LABEL not in names:
        raise InputError(
            f"{table.path}: expected a column label, got {' '.join(names)[:120]}; say which it is "
            f"(columns in {DESCRIPTION})"
        )
    labels = table.values[:, names.index(LABEL)]
    strange = np.flatnonzero(~np.isin(labels, range(num_classes)))
    if strange.size:
        raise InputError(
            f"{table.where(strange[0])}: expected a label in 0..{num_classes - 1}, got "
            f"{labels[strange[0]]:g}; labels count the classes of {DESCRIPTION} from 0"
        )
    return labels.astype(np.uint8)
