"""Names and colours for a model's classes, made up where the model brings none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import Card, Colour, check_names, customary_palette
from certiseg.models.loaded import LoadedModel
from certiseg.report.palettes import with_nodes


@dataclass(frozen=True)
class Appearance:
    """classes[c] and palette[c] are the name and the colour of class c."""

    classes: tuple[str, ...]
    palette: tuple[Colour, ...]


def appearance(loaded: LoadedModel, num_classes: int, card: Card | None = None) -> Appearance:
    """The data set's names and colours, else the model's, else numbers and the VOC colours.

    Raises InputError for a model with two classes of one name.
    """
    if card is not None and card.num_classes == num_classes:
        return Appearance(card.classes, card.palette)
    classes = loaded.classes
    if classes is None or len(classes) != num_classes:
        classes = made_up(range(num_classes))
    check_names(classes, loaded.name, "rename one where the model is stored")
    palette = loaded.palette
    if palette is None or len(palette) != num_classes:
        palette = customary_palette(num_classes)
    return Appearance(tuple(classes), tuple(palette))


def made_up(classes: Iterable[object]) -> tuple[str, ...]:
    """Names for as many classes, where none are known."""
    return tuple(f"class {label}" for label, _ in enumerate(classes))


def map_names(loaded: LoadedModel, maps: int) -> tuple[str, ...]:
    """The model's names of its overlapping maps, else numbers."""
    if loaded.maps is not None and len(loaded.maps) == maps:
        return loaded.maps
    return tuple(f"map {number}" for number in range(maps))


def of_certificate(look: Appearance, certificate: Certificate) -> Appearance:
    """Names and colours of all labels a certificate may give: the classes, then inner nodes of its
    hierarchy, each in the mean colour of its classes."""
    hierarchy = certificate.hierarchy
    if hierarchy is None:
        return look
    return Appearance(hierarchy.names, with_nodes(look.palette, hierarchy))
