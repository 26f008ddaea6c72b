"""Names and colours of classes, with defaults where the model has none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import Card, Colour, check_names, customary_palette
from certiseg.models.loaded import LoadedModel
from certiseg.report.palettes import with_nodes


@dataclass(frozen=True)
class ClassStyle:
    """Class c has the name classes[c] and the colour palette[c]."""

    classes: tuple[str, ...]
    palette: tuple[Colour, ...]


def class_style(loaded: LoadedModel, num_classes: int, card: Card | None = None) -> ClassStyle:
    """The data set's names and colours, else the model's, else numbers and the VOC colours.

    Raises InputError for a model with two classes of the same name.
    """
    if card is not None and card.num_classes == num_classes:
        return ClassStyle(card.classes, card.palette)
    classes = loaded.classes
    if classes is None or len(classes) != num_classes:
        classes = numbered_names(range(num_classes))
    check_names(classes, loaded.name, "rename one where the model is stored")
    palette = loaded.palette
    if palette is None or len(palette) != num_classes:
        palette = customary_palette(num_classes)
    return ClassStyle(tuple(classes), tuple(palette))


def numbered_names(classes: Iterable[object]) -> tuple[str, ...]:
    """Default names "class 0", "class 1", ... of as many classes."""
    return tuple(f"class {label}" for label, _ in enumerate(classes))


def map_names(loaded: LoadedModel, maps: int) -> tuple[str, ...]:
    """The model's names for its overlapping maps, else numbers."""
    if loaded.maps is not None and len(loaded.maps) == maps:
        return loaded.maps
    return tuple(f"map {number}" for number in range(maps))


def certificate_style(style: ClassStyle, certificate: Certificate) -> ClassStyle:
    """Names and colours of all labels that a certificate can have: the classes, then inner nodes of
    its hierarchy, each in the mean colour of its classes."""
    hierarchy = certificate.hierarchy
    if hierarchy is None:
        return style
    return ClassStyle(hierarchy.names, with_nodes(style.palette, hierarchy))
