"""ShapeNet part: clouds of 16 categories in 50 parts, in the benchmark's own text files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from certiseg.datasets.card import PART_COLOURS, Card, Sample
from certiseg.datasets.cloud_steps import normalised, resampled
from certiseg.datasets.cloud_text import read_labelled
from certiseg.documents import parse_json
from certiseg.errors import InputError
from certiseg.reading import LIST, read_bounded

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
FEWEST_POINTS = 32
"""A file of fewer points is taken for damaged."""


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

    skipped: what was left out, one "FILE: reason" each. note: words that say so, "" for nothing.
    """

    def __init__(
        self, root: Path, entries: list[tuple[str, str]], points: int, normals: bool, seed: int
    ) -> None:
        self.card = shapenet_card(6 if normals else 3)
        self.skipped: tuple[str, ...] = ()
        self.note = ""
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

    def without_bad(self) -> ShapeNetPart:
        """The clouds whose files are there and sound; each file is read once.

        Raises InputError where none is left.
        """
        sound, reasons = [], []
        for index, entry in enumerate(self._entries):
            try:
                if not self.path(index).is_file():
                    raise InputError(f"{self.path(index)}: absent")
                self[index]
            except InputError as error:
                reasons.append(str(error))
            else:
                sound.append(entry)
        if not sound:
            raise InputError(
                f"{self._root}: expected at least one sound file of {len(reasons)} listed, got "
                f"none, the first {reasons[0]}; {_REMEDY}"
            )
        normals = self.card.channels == 6
        left = ShapeNetPart(self._root, sound, self._points, normals, self._seed)
        left.skipped = tuple(reasons)
        if reasons:
            left.note = f"{len(sound)} of {len(self)} clouds, others absent or damaged"
        return left


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
    if split not in SPLITS:
        raise InputError(f"expected a split among {', '.join(SPLITS)}, got {split!r}; pick one")
    for name, value, least in (("points", points, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"expected {name} of at least {least}, got {value}; raise it")
    if not root.is_dir():
        raise InputError(
            f"{root}: expected the folder of ShapeNet part, got nothing of that name; {_REMEDY}"
        )
    entries = _listed(root / "train_test_split" / f"shuffled_{split}_file_list.json")
    clouds = ShapeNetPart(root, entries, points, normals, seed)
    if skip_bad:
        return clouds.without_bad()
    absent = [i for i in range(len(clouds)) if not clouds.path(i).is_file()]
    if absent:
        raise InputError(
            f"{root}: expected the {len(clouds)} clouds of the {split} split, got {len(absent)} "
            f"absent, the first {clouds.path(absent[0]).relative_to(root)}; {_REMEDY}, "
            "or skip what is absent (--skip-bad, in Python skip_bad=True)"
        )
    return clouds


def _listed(path: Path) -> list[tuple[str, str]]:
    """(synset, id) of each entry, in order, each once."""
    try:
        entries = parse_json(read_bounded(path, LIST))
    except OSError as error:
        raise InputError(
            f"{path}: expected the list of the split, got {error.strerror}; {_REMEDY}"
        ) from None
    except ValueError:
        raise InputError(
            f"{path}: expected a JSON list of clouds, got damaged JSON; {_REMEDY}"
        ) from None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: expected a JSON list of clouds, got none; {_REMEDY}")
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
