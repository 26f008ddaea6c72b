"""Declaration of a binary output: the meaning of its values, and the threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from certiseg.errors import InputError
from certiseg.files.fields import TRUTH, Fields, checked, number, one_of
from certiseg.rounding import exact

Output = Literal["probability", "logit"]
OUTPUTS = get_args(Output)
CLASSES = ("background", "foreground")
"""Default names of the two classes."""
_HALF = 0.5


@dataclass(frozen=True)
class BinaryOutput:
    """One channel that decides between two classes, or several independent ones (multi-label).

    Args:
        output: "probability" of class 1, or its "logit", whose sigmoid is the probability.
        threshold: class 1 if the probability exceeds it, in (0, 1); for logits too.
        multi_label: channels are overlapping maps, each with labels 0 and 1.

    Raises:
        InputError: For another output, or a threshold outside (0, 1).

    Example:
        >>> BinaryOutput("logit", 0.25).describe()
        'label 1 where the sigmoid of its one channel exceeds 0.25, else 0'
    """

    output: Output
    threshold: float = _HALF
    multi_label: bool = False

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise InputError(
                f"expected a binary output among {', '.join(OUTPUTS)}, got {self.output!r}; "
                "probability after a sigmoid, logit before one"
            )
        plain = isinstance(self.threshold, (int, float)) and not isinstance(self.threshold, bool)
        if not (plain and 0 < self.threshold < 1):
            raise InputError(
                f"expected a threshold in (0, 1), got {self.threshold!r}; it is on the "
                "probability, of logits too"
            )
        object.__setattr__(self, "threshold", float(self.threshold))
        object.__setattr__(self, "multi_label", bool(self.multi_label))

    @staticmethod
    def parse(
        text: str, multi_label: bool = False, stated: BinaryOutput | None = None
    ) -> BinaryOutput:
        """Parse "probability" or "logit", or either with :THRESHOLD, such as "logit:0.3". stated:

        declaration of the model's source, whose threshold is the default. Raises InputError for

        other text, and for a contradiction to the source.
        """
        if not isinstance(text, str):
            raise InputError(
                f"expected a binary output as 'probability' or 'logit', got {text!r}; with a "
                "threshold 'probability:0.3'"
            )
        output, colon, given = text.partition(":")
        threshold = _HALF if stated is None else stated.threshold
        if colon:
            try:
                threshold = float(given)
            except ValueError:
                raise InputError(
                    f"expected a binary output as probability:0.5 or logit:0.5, got {text!r}; the "
                    "number is a threshold on the probability"
                ) from None
        found = BinaryOutput(output, threshold, multi_label)  # type: ignore[arg-type]
        if stated is not None and (found.output, found.multi_label) != (
            stated.output,
            stated.multi_label,
        ):
            raise InputError(
                f"expected a binary output of {stated.words()}, as the model's source states, got "
                f"{found.words()}; leave it out, or state it so"
            )
        return found

    @property
    def level(self) -> float:
        """The threshold in units of the output: class 1 strictly above it."""
        if self.output == "probability":
            return self.threshold
        return math.log(self.threshold) - math.log1p(-self.threshold)

    def words(self) -> str:
        """A description such as "overlapping maps of logits"."""
        values = {"probability": "probabilities", "logit": "logits"}[self.output]
        return f"{'overlapping maps' if self.multi_label else 'one channel'} of {values}"

    def describe(self) -> str:
        """How labels follow from the output, for the statement."""
        channel = "channel k" if self.multi_label else "its one channel"
        value = channel if self.output == "probability" else f"the sigmoid of {channel}"
        where = "label 1 of map k" if self.multi_label else "label 1"
        unit = ", a probability," if self.output == "probability" else ""
        return f"{where} where {value}{unit} exceeds {exact(self.threshold)}, else 0"

    def record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> BinaryOutput:
        """Inverse of record. Raises InputError for anything else."""
        return BinaryOutput(**checked(record, _FIELDS, "a binary output"))


_FIELDS: Fields = {
    "output": one_of(*OUTPUTS),
    "threshold": number(0.0, 1.0),
    "multi_label": TRUTH,
}
