"""Any pair of image and label folders, described by a small YAML file.

    name: yard
    classes: [grass, path, shed]
    splits:
      train: {images: train/images, labels: train/labels}
      val: {images: val/images, labels: val/labels}

All fields: docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from certiseg.datasets.card import IGNORE, Card, Colour, customary_palette
from certiseg.datasets.image_file import IMAGE_SUFFIXES
from certiseg.datasets.images import Exif, Reading
from certiseg.datasets.labels import LARGEST_ID, BinaryMasks, Colours, Ids, Labels
from certiseg.datasets.pairs import Paired, paired_by_stem
from certiseg.datasets.volume_file import Window
from certiseg.errors import InputError
from certiseg.files.documents import Lines, read_with_lines
from certiseg.files.fields import TRUTH, Field, list_of, one_of, whole

SUFFIXES = (".yaml", ".yml")
_BY_ID = ("mask", "ignore", "first_id", "label_map")
_BY_COLOUR = ("colours", "ignore_colours")
_NEEDED = ("name", "classes", "splits")
_KNOWN = (
    *_NEEDED,
    *("palette", "channels", "image_suffix", "label_suffix"),
    *_BY_ID,
    *_BY_COLOUR,
    *("convert", "window", "orientation", "source", "licence"),
)
_ID = whole(0, LARGEST_ID)
_TEXT = Field("text", lambda value: isinstance(value, str) and bool(value.strip()))
_MAPPING = Field("a mapping", lambda value: isinstance(value, dict) and bool(value))
_COLOUR = list_of(whole(0, 255), 3, 3)


def described(path: str | Path, split: str) -> Paired:
    """Open `split` of the data set that a YAML file describes.

    Args:
        path: The YAML file. Folders are relative to it and searched recursively. Files pair if
            their paths agree up to the suffixes.
        split: A key of its ``splits``.

    Returns:
        The samples, read on demand.

    Raises:
        InputError: For unknown or missing fields, values of a wrong type, an unknown split, and
            folders that do not pair. One line that starts with the file.
    """
    fields = _Fields(Path(path), _NEEDED, _KNOWN)
    card = _card(fields)
    labelling = _labels_of(fields, card)
    reading = _reading(fields)
    images, labels, listed = _files(fields, split)
    ending = replace(_TEXT, words="the end of file names, such as _mask.png")
    image_suffix = fields.take("image_suffix", ending)
    label_suffix = fields.take("label_suffix", ending, ".png")
    image_suffixes = (image_suffix,) if image_suffix else IMAGE_SUFFIXES
    try:
        pairs = paired_by_stem(
            images, labels, image_suffixes, (label_suffix,), nested=True, listed=listed
        )
    except InputError as error:
        raise InputError(f"{path}, split {split}: {error}") from None
    return Paired(pairs, card, labelling, reading)


def _reading(fields: _Fields) -> Reading:
    stated = fields.take("orientation", one_of("stored", "exif"))
    applied: dict[str | None, Exif | None] = {None: None, "stored": "ignore", "exif": "apply"}
    words = "a list of two numbers, the intensities that become 0 and 1, the lower first"
    ends = list_of(Field("a number", lambda value: type(value) in (int, float)), 2, 2)
    window = fields.take("window", Field(words, lambda v: ends.holds(v) and v[0] < v[1]))
    return Reading(
        exif=applied[stated],
        convert=fields.take("convert", TRUTH, False),
        window=None if window is None else Window(float(window[0]), float(window[1])),
    )


def _card(fields: _Fields) -> Card:
    names = _many(
        _TEXT, f"a list of 2 to {IGNORE - 1} names (a number or a yes in quotation marks)"
    )
    classes: list[str] = fields.take("classes", names)
    if not 2 <= len(classes) < IGNORE:
        fields.refuse("classes", names.words, classes)
    for number, name in enumerate(classes):
        if name in classes[:number]:
            fields.fail("each class once", f"{name!r} twice", "rename it", "classes", number)
    colours = _many(_COLOUR, "a list of [red, green, blue], 0..255")
    palette = fields.take("palette", colours, customary_palette(len(classes)))
    if len(palette) != len(classes):
        expected = f"a colour for each of {len(classes)} classes"
        fields.fail(expected, f"{len(palette)}", "add or remove some", "palette")
    channels = Field("3 (RGB) or 1 (grey)", lambda value: type(value) is int and value in (1, 3))
    return Card(
        name=fields.take("name", _TEXT),
        classes=tuple(classes),
        palette=tuple((red, green, blue) for red, green, blue in palette),
        channels=fields.take("channels", channels, 3),
        source=fields.take("source", _TEXT, f"described by {fields.path.name}"),
        licence=fields.take("licence", _TEXT, "as stated by the owner of the data"),
    )


def _files(fields: _Fields, split: str) -> tuple[Path, Path, Path | None]:
    """The two folders of a split, and its list of images or None."""
    words = "a mapping such as val: {images: FOLDER, labels: FOLDER} (with list: FILE for some)"
    splits: dict[Any, Any] = fields.take("splits", replace(_MAPPING, words=words))
    for name, places in splits.items():
        sides = places if isinstance(places, dict) else {}
        known = set(sides) - {"list"} == {"images", "labels"}
        if not known or not all(map(_TEXT.holds, (name, *sides.values()))):
            fields.refuse("splits", words, {name: places}, name)
    if split not in splits:
        known_splits = f"only {', '.join(splits)}"
        fields.fail(f"the split {split}", known_splits, "add or choose a split", "splits")
    found = {side: fields.path.parent / place for side, place in splits[split].items()}
    for side in ("images", "labels"):
        if not found[side].is_dir():
            at = ("splits", split, side)
            remedy = "paths are relative to the file"
            fields.fail(f"a folder of {side}", f"none at {found[side]}", remedy, *at)
    return found["images"], found["labels"], found.get("list")


def _labels_of(fields: _Fields, card: Card) -> Labels:
    """The reader of the label files. Raises InputError for fields that are invalid or cannot be
    combined."""
    if "colours" in fields:
        for name in _BY_ID:
            if name in fields:
                fields.fail(f"no {name} beside colours", "both", "keep one", name)
        return Colours(_colours(fields, card))
    if "ignore_colours" in fields:
        fields.fail("ignore_colours with colours", "it alone", "add colours", "ignore_colours")
    ids = _many(_ID, f"a list of whole numbers 0..{LARGEST_ID}")
    ignore: list[int] = fields.take("ignore", ids, [])
    if fields.take("mask", one_of("ids", "binary"), "ids") == "binary":
        for name in ("first_id", "label_map"):
            if name in fields:
                fields.fail(f"no {name} with binary masks", "both", "keep one", name)
        try:
            return BinaryMasks(card.num_classes, ignore)
        except InputError as error:
            raise InputError(f"{fields.path}: {error}") from None
    number = replace(whole(0, LARGEST_ID - IGNORE), words="a whole number")
    first: int = fields.take("first_id", number, 0)
    label_map = {first + label: label for label in range(card.num_classes)}
    if IGNORE in label_map:
        expected = f"first_id such that no class has id {IGNORE}, which stays ignored"
        fields.fail(expected, f"{first}", "write other ids", "first_id")
    if "label_map" in fields:
        if "first_id" in fields:
            fields.fail("label_map or first_id", "both", "keep one", "first_id")
        label_map = _label_map(fields, card)
        if both := sorted(label_map.keys() & set(ignore)):
            fields.fail("an id mapped or ignored", f"{both[0]} for both", "keep one", "ignore")
    return Ids(card.num_classes, ignore, label_map)


def _label_map(fields: _Fields, card: Card) -> dict[int, int]:
    words = "a mapping of raw ids to names of classes, such as {7: road}"
    given: dict[Any, Any] = fields.take("label_map", replace(_MAPPING, words=words))
    for raw, name in given.items():
        if not _ID.holds(raw) or name not in card.classes:
            fields.refuse("label_map", words, {raw: name}, raw)
    return {raw: card.classes.index(name) for raw, name in given.items()}


def _colours(fields: _Fields, card: Card) -> dict[Colour, int]:
    """Colour of a label file -> class or 255."""
    words = "palette, or a mapping of names of classes to lists of [red, green, blue]"
    named = Field(words, lambda value: value == "palette" or _MAPPING.holds(value))
    given: Any = fields.take("colours", named)
    if given == "palette":
        given = dict(zip(card.classes, ([list(c)] for c in card.palette), strict=True))
    found: dict[Colour, int] = {}
    shades = _many(_COLOUR, "a list of [red, green, blue]")

    def enter(colours: list[list[int]], label: int, *at: object) -> None:
        for red, green, blue in colours:
            if (red, green, blue) in found:
                shown = f"{[red, green, blue]} twice"
                fields.fail("each colour once", shown, "keep one", *at)
            found[red, green, blue] = label

    for name, colours in given.items():
        if name not in card.classes:
            fields.refuse("colours", words, name, name)
        if not shades.holds(colours):
            fields.refuse("colours", words, colours, name)
        enter(colours, card.classes.index(name), "colours", name)
    enter(fields.take("ignore_colours", shades, []), IGNORE, "ignore_colours")
    return found


class _Fields:
    """A mapping of known fields. Errors name the file, the line and the field."""

    def __init__(self, path: Path, needed: Sequence[str], known: Sequence[str]) -> None:
        self.path = path
        try:
            content, self._lines = read_with_lines(path)
        except ValueError as error:
            raise InputError(
                f"{path}: expected a YAML file that describes a data set, got {error}; "
                "see docs/datasets.md, or check the path"
            ) from None
        if not isinstance(content, dict):
            self.fail("a mapping of fields", "none", "see docs/datasets.md")
        self._content: dict[Any, Any] = content
        for name in content:
            if name not in known:
                self.fail(f"fields among {', '.join(known)}", repr(name), "correct it", name)
        for name in needed:
            if name not in content:
                self.fail(f"the field {name}", f"only {', '.join(content)}", "add it")

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def take(self, name: str, field: Field, default: Any = None) -> Any:
        """The checked value of a field, default where it is absent."""
        if name not in self._content:
            return default
        value = self._content[name]
        if not field.holds(value):
            self.refuse(name, field.words, value)
        return value

    def refuse(self, name: str, words: str, got: object, *within: object) -> NoReturn:
        """Raise the InputError for an unexpected value."""
        self.fail(f"{name} as {words}", f"{got!r:.60}", "see docs/datasets.md", name, *within)

    def fail(self, expected: str, got: str, remedy: str, *at: object) -> NoReturn:
        line = _line(self._lines, at) if hasattr(self, "_lines") else None
        where = f"{self.path}, line {line}" if line else f"{self.path}"
        raise InputError(f"{where}: expected {expected}, got {got}; {remedy}")


def _line(lines: Lines, at: Sequence[object]) -> int | None:
    """The line of the innermost value of a path that has one; None for an empty path."""
    place = tuple(map(str, at))
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


def _many(item: Field, words: str) -> Field:
    """A list of values that satisfy ``item``. words: what is expected."""
    return Field(words, lambda value: isinstance(value, list) and all(map(item.holds, value)))
