"""Find the files of known data sets; errors list the layouts that were searched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from certiseg.datasets.pairs import Pair, paired_by_stem, read_lines
from certiseg.errors import InputError

_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Layout:
    """Folders of images and labels below the root, searched recursively; the first that exist are
    used, and the first label suffix that occurs. {split} stands for the split's
    name."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    image_suffix: str
    label_suffixes: tuple[str, ...]

    def find(self, root: Path, split: str) -> tuple[Path, Path, str] | None:
        """The two folders and the label suffix; None if one is missing."""
        images = [path for path in _named(root, self.images, split) if path.is_dir()]
        labels = [path for path in _named(root, self.labels, split) if path.is_dir()]
        for folder in labels if images else []:
            for suffix in self.label_suffixes:
                if any(not path.name.startswith(".") for path in folder.rglob(f"*{suffix}")):
                    return images[0], folder, suffix
        return None

    def words(self, split: str) -> str:
        """Description of the layout, for errors."""
        images = " or ".join(name.format(split=split) for name in self.images)
        labels = " or ".join(name.format(split=split) for name in self.labels)
        suffixes = " or ".join(f"*{suffix}" for suffix in self.label_suffixes)
        return f"*{self.image_suffix} in {images} with {suffixes} in {labels}"


def find_pairs(
    root: str | Path, split: str, layouts: Mapping[Layout, str], inner: Sequence[str] = ()
) -> tuple[list[Pair], str]:
    """The sorted pairs of the first layout found, and its label suffix. layouts: each with its name

    of the split. inner: folders of the archive that root may contain. Raises InputError if no

    layout is found, with the layouts and the content of the folder, and for a file without a

    partner.
    """
    for base in bases(root, inner):
        for layout, name in layouts.items():
            if (found := layout.find(base, name)) is not None:
                images, labels, suffix = found
                ends = [layout.image_suffix], [suffix]
                return paired_by_stem(images, labels, *ends, nested=True), suffix
    looked = "; or ".join(layout.words(name) for layout, name in layouts.items())
    raise InputError(
        f"{root}: expected {looked}; got {contents(root)}; pass the folder that holds them, with "
        f"the split {split} unpacked"
    )


def listed_pairs(
    root: str | Path,
    list_file: str,
    label_folders: Sequence[str],
    inner: Sequence[str],
    remedy: str,
) -> list[Pair]:
    """JPEGImages/NAME.jpg with FOLDER/NAME.png in the first of label_folders that has it, in the
    order of the list.

    list_file: below the root, or below one of the inner folders of the archive. remedy: how to get
    what is missing. Raises InputError with the paths that were searched.
    """
    needed = ("JPEGImages", list_file, label_folders[-1])
    for base in bases(root, inner):
        if all((base / name).exists() for name in needed):
            break
    else:
        raise InputError(
            f"{root}: expected {', '.join(needed[:-1])} and {needed[-1]}, got {contents(root)}; "
            f"{remedy}"
        )
    pairs, lacking = [], []
    for name in _listed(base / list_file):
        image = base / "JPEGImages" / f"{name}.jpg"
        places = [base / folder / f"{name}.png" for folder in label_folders]
        labels = next((place for place in places if place.is_file()), places[-1])
        lacking += [path for path in (image, labels) if not path.is_file()]
        pairs.append(Pair(name, image, labels))
    if lacking:
        more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        raise InputError(
            f"{base}: expected every image of {list_file} and its labels, got no "
            f"{lacking[0].relative_to(base)}{more}; {remedy}"
        )
    return pairs


def _listed(path: Path) -> list[str]:
    """The names in a list, each once."""
    names: dict[str, int] = {}
    for number, name in read_lines(path):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{path}, line {number}: expected one name such as 2007_000033, got {name!r:.60}; "
                "use the list of the data set itself"
            )
        if name in names:
            raise InputError(
                f"{path}, line {number}: expected each name once, got {name} as in line "
                f"{names[name]}; remove one"
            )
        names[name] = number
    return list(names)


def _named(root: Path, names: Sequence[str], split: str) -> list[Path]:
    return [root / name.format(split=split) for name in names]


def bases(root: str | Path, inner: Sequence[str]) -> list[Path]:
    """The root and the inner folders that exist."""
    root = Path(root)
    return [base for base in (root, *(root / name for name in inner)) if base.is_dir()]


def contents(root: str | Path) -> str:
    """Short description of a folder's content."""
    root = Path(root)
    if not root.is_dir():
        return "no folder of that name"
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
