"""ShapeNet part: clouds of 16 categories with 50 parts, from the benchmark's text files."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import PART_COLOURS, Card, Sample, check_at_least, check_split
from certiseg.datasets.cloud_file import FEWEST_POINTS, check_points
from certiseg.datasets.cloud_scaling import normalised, resampled
from certiseg.datasets.cloud_table import COLUMNS, read_text
from certiseg.errors import InputError, refusing
from certiseg.files.documents import parse_json
from certiseg.files.reading import LIST, read_bounded

# Synset, category and its parts; part ids count through the table. The files hold ids alone, the
# names are those customary for them.
_TABLE = (
    ("02691156", "Airplane", "body wing tail engine"),
    ("02773838", "Bag", "handle body"),
    ("02954340", "Cap", "crown peak"),
    ("02958343", "Car", "roof hood wheel body"),
    ("03001627", "Chair", "back seat leg arm"),
    ("03261776", "Earphone", "earcup headband wire"),
    ("03467517", "Guitar", "head neck body"),
    ("03624134", "Knife", "blade handle"),
    ("03636649", "Lamp", "base shade canopy pole"),
    ("03642806", "Laptop", "keyboard screen"),
    ("03790512", "Motorbike", "tank seat wheel handle light frame"),
    ("03797390", "Mug", "handle body"),
    ("03948459", "Pistol", "barrel handle trigger"),
    ("04099429", "Rocket", "body fin nose"),
    ("04225987", "Skateboard", "wheel deck strap"),
    ("04379243", "Table", "top leg support"),
)
_CATEGORY = {synset: category for synset, category, _ in _TABLE}
_NAMES = [(category, name) for _, category, names in _TABLE for name in names.split()]
_PARTS = {
    category: tuple(i for i, (of, _) in enumerate(_NAMES) if of == category)
    for category in _CATEGORY.values()
}
_LICENCE = "ShapeNet terms: research use; the clouds are not redistributed with certiseg"
_ARCHIVE = "shapenetcore_partanno_segmentation_benchmark_v0_normal"
_REMEDY = f"unpack all of {_ARCHIVE}.zip, from the ShapeNet part annotation of Yi et al. 2016"
_ENTRY = re.compile(r"shape_data/(\d+)/([\w-]+)")

SPLITS = ("train", "val", "test")
_AGAIN = "unpack the file again"


def shapenet_card(channels: int) -> Card:
    """Names, colours and parts; channels: 3, or 6 with normals."""
    return Card(
        name="ShapeNet part",
        classes=tuple(f"{category.lower()}: {name}" for category, name in _NAMES),
        palette=tuple(
            PART_COLOURS[place] for labels in _PARTS.values() for place in range(len(labels))
        ),
        channels=channels,
        source=(
            "Yi et al.: A scalable active framework for region annotation in 3D shape collections, "
            f"SIGGRAPH Asia 2016; {_ARCHIVE} with the split lists therein"
        ),
        licence=_LICENCE,
        parts=_PARTS,
    )


class ShapeNetPart:
    """Clouds of a split, in the order of its list.

    skipped: files left out, one "FILE: reason" each. note: a sentence on them, "" for none.
    """

    def __init__(
        self,
        root: Path,
        entries: list[tuple[str, str]],
        points: int,
        normals: bool,
        seed: int,
        skipped: tuple[str, ...] = (),
    ) -> None:
        self.card = shapenet_card(6 if normals else 3)
        self.skipped = skipped
        total = len(entries) + len(skipped)
        self.note = ""
        if skipped:
            self.note = f"{len(entries)} of {total} clouds, others absent or damaged"
        self._root, self._entries = root, entries
        self._points, self._seed = points, seed

    def __len__(self) -> int:
        return len(self._entries)

    def category(self, index: int) -> str:
        return _CATEGORY[self._entries[index][0]]

    def path(self, index: int) -> Path:
        synset, name = self._entries[index]
        return self._root / synset / f"{name}.txt"

    def __getitem__(self, index: int) -> Sample:
        category = self.category(index)
        rows, labels = read_labelled(self.path(index), _PARTS[category], FEWEST_POINTS)
        x = rows[: self.card.channels]
        x[:3] = normalised(x[:3])
        name = f"{category}-{self._entries[index][1]}"
        chosen = resampled(len(labels), self._points, name, self._seed)
        return Sample(
            name, np.ascontiguousarray(x[:, chosen], dtype=np.float32), labels[chosen], category
        )

    def fault(self, index: int, *, read: bool) -> str:
        """The fault of a file, "" for none. read: also read its content."""
        try:
            if not self.path(index).is_file():
                return f"{self.path(index)}: absent"
            if read:
                self[index]
        except InputError as error:
            return str(error)
        return ""


def shapenet(
    root: str | Path,
    split: str = "test",
    *,
    points: int = 2048,
    normals: bool = True,
    skip_bad: bool = False,
    seed: int = 0,
) -> ShapeNetPart:
    """Clouds of `split` ("train", "val" or "test") of ShapeNet part under `root`.

    Layout: root/SYNSET/ID.txt, one point a line, "x y z nx ny nz label"; split lists
    root/train_test_split/shuffled_SPLIT_file_list.json. A cloud that is listed twice counts once.

    As in the benchmark the mean of the file's points is moved to 0 and their largest norm scaled
    to 1; normals stay as they are. Then `points` of them are taken in an order drawn from
    (seed, name) alone: no point twice as long as there are enough, else all of them and a drawn
    remainder, so that no point occurs more than once more than another.
    x: float32 (6, points), or (3, points) without normals.

    Raises InputError: at once for missing lists and listed files that are absent; on access for
    damaged files, naming the line. With skip_bad all files are read at once, those absent or
    damaged are left out, and `.skipped` and `.note` say so.
    """
    root = Path(root)
    check_split(split, SPLITS, "ShapeNet part")
    check_at_least(points=(points, 1), seed=(seed, 0))
    if not root.is_dir():
        raise InputError(
            f"{root}: expected the folder of ShapeNet part, got nothing of that name; {_REMEDY}"
        )
    entries = _listed(root / "train_test_split" / f"shuffled_{split}_file_list.json")
    clouds = ShapeNetPart(root, entries, points, normals, seed)
    faults = {
        entry: fault
        for index, entry in enumerate(entries)
        if (fault := clouds.fault(index, read=skip_bad))
    }
    if faults and not skip_bad:
        first = clouds.path(entries.index(next(iter(faults)))).relative_to(root)
        raise InputError(
            f"{root}: expected the {len(entries)} clouds of the {split} split, got {len(faults)} "
            f"absent, the first {first}; {_REMEDY}, or skip what is absent (--skip-bad, in Python "
            "skip_bad=True)"
        )
    sound, reasons = [entry for entry in entries if entry not in faults], tuple(faults.values())
    if not sound:
        raise InputError(
            f"{root}: expected at least one sound file of {len(reasons)} listed, got none, the "
            f"first {reasons[0]}; {_REMEDY}"
        )
    return ShapeNetPart(root, sound, points, normals, seed, reasons)


def read_labelled(
    path: str | Path, parts: Collection[int], fewest: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Coordinates and normals (6, N), labels (N,) of a file of the benchmark.

    parts: the labels that may occur. Raises InputError as read_text and check_points do, and for a
    label outside parts.
    """
    path = Path(path)
    table = read_text(path, _AGAIN, (len(COLUMNS),))
    values = table.values[:, [table.columns().index(name) for name in COLUMNS]]
    check_points(path, values[:, :3], fewest, f"{_AGAIN} or leave it out")
    labels = values[:, 6]
    strange = np.flatnonzero(~np.isin(labels, list(parts)))
    if strange.size:
        raise InputError(
            f"{table.where(strange[0])}: expected a label among "
            f"{', '.join(map(str, sorted(parts)))}, got {labels[strange[0]]:g}; "
            "the parts of one category have the benchmark's own numbers"
        )
    return np.ascontiguousarray(values[:, :6].T), labels.astype(np.uint8)


def _listed(path: Path) -> list[tuple[str, str]]:
    """(synset, id) of each entry, in order, each once."""
    with refusing(OSError, expected=f"{path}: expected the list of the split", remedy=_REMEDY):
        content = read_bounded(path, LIST)
    wanted = f"{path}: expected a JSON list of clouds"
    with refusing(ValueError, expected=wanted, got="damaged JSON", remedy=_REMEDY):
        entries = parse_json(content)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{wanted}, got none; {_REMEDY}")
    found: dict[tuple[str, str], None] = {}
    for number, entry in enumerate(entries, 1):
        match = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
        if match is None:
            raise InputError(
                f"{path}: expected entries such as shape_data/02691156/ID, got {entry!r} as "
                f"entry {number}; {_REMEDY}"
            )
        synset, name = match.groups()
        if synset not in _CATEGORY:
            raise InputError(
                f"{path}: expected a synset of the 16 categories, got {synset} in entry {number}; "
                "remove it from the list"
            )
        found[synset, name] = None
    return list(found)
