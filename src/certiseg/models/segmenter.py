"""A network of another library as a base model, with what is known about its classes."""

from __future__ import annotations

from torch import nn

from certiseg.datasets.card import Colour
from certiseg.models.preprocess import OfBase, Preprocess


class Segmenter(OfBase, nn.Module):
    """Logits (B, classes, H, W) from (B, channels, H, W) in [0, 1], at the input's size.

    base: the network with its normalisation, so that noise is added to the [0, 1] input. classes,
    palette: None if the source names none. name: of the network, for statements. made_by: what the
    layers do not show (library version, configuration), for the fingerprint. notes: printed by
    commands before they start.
    """

    kind = "images"

    def __init__(
        self,
        base: Preprocess,
        num_classes: int,
        name: str,
        *,
        channels: int = 3,
        classes: tuple[str, ...] | None = None,
        palette: tuple[Colour, ...] | None = None,
        made_by: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        assert classes is None or len(classes) == num_classes
        self.base = base
        self.num_classes = num_classes
        self.channels = channels
        self.classes = classes
        self.palette = palette
        self.made_by = made_by
        self.notes = notes
        # Name in statements, unless a command sets the name that the user gave.
        self.model_name = name

    def extra_repr(self) -> str:
        return self.made_by
