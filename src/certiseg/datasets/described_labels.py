"""The fields of a described data set that say what its label files hold: ids, or colours."""

from __future__ import annotations

from typing import Any

from certiseg.datasets.card import IGNORE, Card, Colour
from certiseg.datasets.sheet import Sheet, anything, colour, many, mapping, whole
from certiseg.datasets.truth import LARGEST_ID, Colours, Ids, Truth

BY_ID = ("ignore", "first_id", "label_map")
BY_COLOUR = ("colours", "ignore_colours")


def truth_of(sheet: Sheet, card: Card) -> Truth:
    """How the label files are read. Raises InputError for fields that are wrong or do not go
    together."""
    if "colours" in sheet:
        for field in BY_ID:
            if field in sheet:
                sheet.fail(f"no {field} beside colours", "both", "keep one", field)
        return Colours(_colours(sheet, card))
    if "ignore_colours" in sheet:
        sheet.fail("ignore_colours with colours", "it alone", "add colours", "ignore_colours")
    words = f"a list of whole numbers 0..{LARGEST_ID}"
    ignore: list[int] = sheet.take("ignore", many(whole(0, LARGEST_ID)), words, [])
    first = sheet.take("first_id", whole(0, LARGEST_ID - IGNORE), "a whole number", 0)
    label_map = {first + label: label for label in range(card.num_classes)}
    if IGNORE in label_map:
        sheet.fail(
            f"first_id such that no class has id {IGNORE}, which stays ignored",
            f"{first}",
            "write other ids",
            "first_id",
        )
    if "label_map" in sheet:
        if "first_id" in sheet:
            sheet.fail("label_map or first_id", "both", "keep one", "first_id")
        label_map = _label_map(sheet, card)
    for raw in ignore:
        if "label_map" in sheet and raw in label_map:
            sheet.fail("an id mapped or ignored", f"{raw} for both", "keep one", "ignore")
    return Ids(card.num_classes, ignore, label_map)


def _label_map(sheet: Sheet, card: Card) -> dict[int, int]:
    words = "a mapping of raw ids to names of classes, such as {7: road}"
    given: dict[Any, Any] = sheet.take("label_map", mapping, words, {})
    check = whole(0, LARGEST_ID)
    for raw, name in given.items():
        if check(raw) is None or name not in card.classes:
            sheet.refuse("label_map", words, {raw: name}, raw)
        if raw == IGNORE:
            sheet.fail(
                f"{IGNORE} to stay ignored", f"{name!r} for it", "leave it out", "label_map", raw
            )
    return {raw: card.classes.index(name) for raw, name in given.items()}


def _colours(sheet: Sheet, card: Card) -> dict[Colour, int]:
    """Colour of a label file -> class or 255."""
    words = "palette, or a mapping of names of classes to lists of [red, green, blue]"
    given: Any = sheet.take("colours", lambda v: v if v == "palette" else mapping(v), words, {})
    if given == "palette":
        given = dict(zip(card.classes, ([list(c)] for c in card.palette), strict=True))
    found: dict[Colour, int] = {}

    def enter(shades: Any, label: int, *at: object) -> None:
        checked = many(colour)(shades)
        if checked is None:
            sheet.refuse(str(at[0]), words, shades, *at[1:])
        for shade in checked:
            if shade in found:
                sheet.fail("each colour once", f"{list(shade)} twice", "keep one", *at)
            found[shade] = label

    for name, shades in given.items():
        if name not in card.classes:
            sheet.refuse("colours", words, name, name)
        enter(shades, card.classes.index(name), "colours", name)
    words = "a list of [red, green, blue]"
    if "ignore_colours" in sheet:
        enter(sheet.take("ignore_colours", anything, words, []), IGNORE, "ignore_colours")
    return found
