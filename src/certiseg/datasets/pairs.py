"""Pictures with their label files, read on demand, and how files find their partners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from certiseg.datasets.card import Card, Sample
from certiseg.datasets.images import read_image, stored_turned
from certiseg.datasets.labels import Labels
from certiseg.errors import InputError


@dataclass(frozen=True)
class Pair:
    """A picture and its label file."""

    name: str
    image: Path
    labels: Path


class Paired:
    """Samples from pairs of files, in the order given; sizes may differ from pair to pair.

    labels: how label files are read. grey_as_rgb, upright: how pictures are, see read_image.
    Raises InputError on access: for a file that is not as expected, a label that belongs to no
    class, or labels of another size than their picture.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        card: Card,
        labels: Labels,
        *,
        grey_as_rgb: bool = False,
        upright: bool = False,
    ) -> None:
        self.card = card
        self._pairs, self._labels = list(pairs), labels
        self._grey_as_rgb, self._upright = grey_as_rgb, upright

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        image = read_image(
            pair.image,
            self.card.channels,
            grey_as_rgb=self._grey_as_rgb,
            upright=self._upright,
        )
        labels = self._labels.read(pair.labels)
        if labels.shape != image.shape[1:]:
            turned = labels.shape == image.shape[:0:-1] and stored_turned(pair.image)
            remedy = (
                "the picture's EXIF orientation says how to turn it, so write it again upright"
                if turned and not self._upright
                else "export image and labels at one size"
            )
            raise InputError(
                f"{pair.labels}: expected labels of {image.shape[1]} x {image.shape[2]} pixels as "
                f"in {pair.image.name}, got {labels.shape[0]} x {labels.shape[1]}; {remedy}"
            )
        return Sample(pair.name, image, labels)


def paired_by_stem(
    image_dir: Path,
    label_dir: Path,
    image_suffixes: Sequence[str],
    label_suffixes: Sequence[str],
    *,
    nested: bool = False,
) -> list[Pair]:
    """Files of both folders whose names agree up to their suffixes, sorted by name.

    A suffix may be longer than an extension: "_leftImg8bit.png". nested: folders within are
    searched too, and paths below the two folders must agree. Raises InputError for folders that
    are missing or empty, and for a file without a partner.
    """
    images = _by_stem(image_dir, image_suffixes, nested)
    labels = _by_stem(label_dir, label_suffixes, nested)
    _same_stems(images, labels, image_dir, label_dir)
    names = {stem: stem.rpartition("/")[2] for stem in sorted(images)}
    if len(set(names.values())) < len(names):
        names = {stem: stem.replace("/", "-") for stem in names}
    return [Pair(name, images[stem], labels[stem]) for stem, name in names.items()]


def files_in(
    folder: Path, suffixes: Sequence[str], *, nested: bool = False
) -> list[tuple[Path, str]]:
    """The files of a folder with one of these suffixes, and which, sorted; hidden ones are passed
    over. Raises InputError for a folder that is missing or holds none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder, got nothing of that name; check the path")
    found = [
        (path, suffix)
        for path in sorted(folder.rglob("*") if nested else folder.iterdir())
        for suffix in suffixes
        if path.name.lower().endswith(suffix.lower()) and not path.name.startswith(".")
    ]
    if not found:
        raise InputError(
            f"{folder}: expected {', '.join(suffixes)} files, got none; check the path"
        )
    return found


def _by_stem(folder: Path, suffixes: Sequence[str], nested: bool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path, suffix in files_in(folder, suffixes, nested=nested):
        stem = path.relative_to(folder).as_posix()[: -len(suffix)]
        if stem in found:
            raise InputError(
                f"{folder}: expected one file a stem, got {found[stem].name} and {path.name}; "
                "remove or rename one"
            )
        found[stem] = path
    return found


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
                f"none{more}; add it or remove its partner"
            )
