"""Pairs of image and label files, matched by name and read on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from certiseg.datasets.card import Card, Sample
from certiseg.datasets.images import AS_STORED, Reading
from certiseg.datasets.labels import Labels
from certiseg.errors import InputError, refusing
from certiseg.files.reading import LIST, read_bounded


@dataclass(frozen=True)
class Pair:
    """An image and its label file."""

    name: str
    image: Path
    labels: Path


class Paired:
    """Samples from pairs of files, in the order given; sizes may differ from pair to pair.

    labels, reading: readers of label and image files. Raises InputError on access for invalid
    files, labels without a class, and labels of another size than their image.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        card: Card,
        labels: Labels,
        reading: Reading = AS_STORED,
    ) -> None:
        self.card = card
        self.remarks: dict[str, dict[str, str]] = {}
        self._pairs, self._labels, self._reading = list(pairs), labels, reading

    @property
    def chosen(self) -> dict[str, Any] | None:
        """Options by which files are read, for the record of a run."""
        if self._reading == AS_STORED:
            return None
        return self._reading.record() | {"mask": self._labels.mask}

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        image = self._reading.read(pair.image, self.card.channels)
        labels = self._labels.read(pair.labels, upright=self._reading.exif == "apply")
        size = image.x.shape[1:]
        if labels.shape != size:
            turned = labels.shape == size[::-1] and image.orientation > 4
            remedy = (
                f"its EXIF orientation is {image.orientation}, which --exif apply (orientation: "
                "exif in a .yaml file) applies"
                if turned and self._reading.exif != "apply"
                else "export image and labels at one size"
            )
            raise InputError(
                f"{pair.labels}: expected labels of {size[0]} x {size[1]} pixels as "
                f"in {pair.image.name}, got {labels.shape[0]} x {labels.shape[1]}; {remedy}"
            )
        if notes := image.notes():
            self.remarks[str(pair.image)] = notes
        return Sample(pair.name, image.x, labels)


def paired_by_stem(
    image_dir: Path,
    label_dir: Path,
    image_suffixes: Sequence[str],
    label_suffixes: Sequence[str],
    *,
    nested: bool = False,
    listed: Path | None = None,
) -> list[Pair]:
    """Files of both folders whose names agree up to their suffixes, sorted by name.

    Suffixes may be in any case, names in either Unicode form (NFC, NFD).

    Args:
        image_dir: Folder of images.
        label_dir: Folder of labels.
        image_suffixes: May be longer than an extension: "_leftImg8bit.png".
        label_suffixes: The same of labels.
        nested: Search recursively; paths below the two folders must agree.
        listed: Text file of names, one per line: take only these, in this order.

    Raises:
        InputError: For folders that are missing or empty, a file without a partner, and a list with
            a repeated or missing image.
    """
    images = _by_stem(image_dir, image_suffixes, nested)
    labels = _by_stem(label_dir, label_suffixes, nested)
    if listed is not None:
        stems = _chosen(listed, images, image_suffixes)
        images = {stem: images[stem] for stem in stems}
        labels = {stem: path for stem, path in labels.items() if stem in images}
    _same_stems(images, labels, image_dir, label_dir)
    names = {stem: stem.rpartition("/")[2] for stem in (sorted(images) if not listed else images)}
    if len(set(names.values())) < len(names):
        names = {stem: stem.replace("/", "-") for stem in names}
    return [Pair(name, images[stem], labels[stem]) for stem, name in names.items()]


def files_in(
    folder: Path, suffixes: Sequence[str], *, nested: bool = False
) -> list[tuple[Path, str]]:
    """The files of a folder with one of these suffixes, sorted, each with its suffix; hidden files
    and folders are skipped. Raises InputError for a folder that is missing or without such
    files."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder, got nothing of that name; check the path")
    found = [
        (path, suffix)
        for path in sorted(folder.rglob("*") if nested else folder.iterdir())
        for suffix in suffixes
        if path.name.lower().endswith(suffix.lower())
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise InputError(
            f"{folder}: expected {', '.join(suffixes)} files, got none; check the path"
        )
    return found


def _by_stem(folder: Path, suffixes: Sequence[str], nested: bool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path, suffix in files_in(folder, suffixes, nested=nested):
        stem = normalize("NFC", path.relative_to(folder).as_posix()[: -len(suffix)])
        if stem in found:
            raise InputError(
                f"{folder}: expected one file a stem, got {found[stem].name} and {path.name}; "
                "remove or rename one"
            )
        found[stem] = path
    return found


def _chosen(listed: Path, images: Mapping[str, Path], suffixes: Sequence[str]) -> list[str]:
    """The stems of the listed images; a list may give any trailing part of their paths."""
    by_name: dict[str, list[str]] = {}
    for stem in images:
        by_name.setdefault(stem.rpartition("/")[2], []).append(stem)
    chosen: dict[str, int] = {}
    for number, line in read_lines(listed):
        name = normalize("NFC", line.replace("\\", "/"))
        ending = next((s for s in suffixes if name.lower().endswith(s.lower())), "")
        parts = name[: len(name) - len(ending)].split("/")
        # A list may name folders above those of the images, or none at all.
        fits = [
            stem
            for stem in by_name.get(parts[-1], [])
            if all(a == b for a, b in zip(reversed(stem.split("/")), reversed(parts), strict=False))
        ]
        if len(fits) != 1:
            got = f"{len(fits)} that fit" if fits else "none"
            raise InputError(
                f"{listed}, line {number}: expected the name of one image, got {got} for "
                f"{line!r:.80}; correct the list or the folder of images"
            )
        if fits[0] in chosen:
            raise InputError(
                f"{listed}, line {number}: expected each image once, got {line!r:.80} as in line "
                f"{chosen[fits[0]]}; remove one"
            )
        chosen[fits[0]] = number
    return list(chosen)


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, stripped, with their numbers from 1.

    Raises InputError for a file that is missing, not text, or without such a line.
    """
    wanted = f"{path}: expected a text file with one name a line"
    with refusing(OSError, UnicodeDecodeError, expected=wanted, remedy="check it"):
        text = read_bounded(path, LIST).decode("utf-8-sig")
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(f"{wanted}, got none; check it")
    return lines


def _same_stems(
    images: Mapping[str, Path], labels: Mapping[str, Path], image_dir: Path, label_dir: Path
) -> None:
    for have, lack, folder, what in (
        (images, labels, label_dir, "labels"),
        (labels, images, image_dir, "image"),
    ):
        lonely = sorted(set(have) - set(lack))
        if lonely:
            more = f" (and {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise InputError(
                f"{folder}: expected the {what} of {have[lonely[0]].name} under the same stem, got "
                f"none{more}; add it or remove its partner (names that end otherwise pair by "
                "image_suffix and label_suffix of a .yaml file)"
            )
