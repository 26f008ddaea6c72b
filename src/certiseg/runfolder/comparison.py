"""The comparison of non-robust model, base model and certified labels: rows and table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from certiseg.metrics.confusion import Confusion
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.part_iou import PartIou
from certiseg.rounding import down, nearest, share_down, share_up, trimmed
from certiseg.table import Column, Table

NON_ROBUST = "non-robust, clean"
BASE_CLEAN = "base, clean"
BASE_NOISE = "base, one draw of noise"
CERTIFIED = "certified"


@dataclass(frozen=True)
class Row:
    """Metrics of one model over a data set, as shares in [0, 1]; None if not applicable.

    accuracy: correct / labelled pixels; abstentions count as wrong. miou: as in the paper, with
    abstention as an extra label. mean_dice: mean Dice coefficient, for volumes. instance_miou,
    category_miou: for point clouds, means over shapes and over categories as in the ShapeNet part
    benchmark. worst_tenth: mean certified accuracy of the tenth of the inputs where it is lowest,
    from ten inputs on. certified_...: lower bounds on these under every perturbation within radius
    (theory T9). correct_where_certified: correct / certified labelled pixels.
    certified_node: share of labelled pixels with a certified class or inner node of a hierarchy;
    in all other metrics inner nodes count as abstentions. cig, class_cig: certified
    information gain, and its mean over classes (T8). radius: in the norm of the noise. draws: mean
    number per input, if not constant. seconds: mean per input.
    """

    model: str
    accuracy: float
    miou: float | None
    certified_accuracy: float | None = None
    worst_tenth: float | None = None
    certified_miou: float | None = None
    mean_dice: float | None = None
    certified_mean_dice: float | None = None
    instance_miou: float | None = None
    category_miou: float | None = None
    certified_instance_miou: float | None = None
    certified_category_miou: float | None = None
    correct_where_certified: float | None = None
    certified_node: float | None = None
    cig: float | None = None
    class_cig: float | None = None
    abstention: float | None = None
    abstention_all: float | None = None
    radius: float | None = None
    draws: float | None = None
    seconds: float | None = None


def model_row(
    name: str,
    confusion: Confusion,
    seconds: float,
    shapes: PartIou | None = None,
    *,
    dice: bool = False,
) -> Row:
    """Row of a model without certificates. shapes: part IoU, for point clouds, whose mIoU is pooled
    only if they have one category. dice: whether to state Dice coefficients."""
    return Row(
        name,
        confusion.accuracy,
        confusion.miou if _pools(shapes) else None,
        mean_dice=confusion.mean_dice if dice else None,
        instance_miou=None if shapes is None else shapes.instance_miou,
        category_miou=None if shapes is None else shapes.category_miou,
        seconds=seconds,
    )


def certified_row(
    name: str,
    confusion: Confusion,
    *,
    radius: float,
    seconds: float,
    draws: float | None = None,
    gain: InformationGain | None = None,
    nodes: int | None = None,
    shapes: PartIou | None = None,
    dice: bool = False,
    worst: float | None = None,
) -> Row:
    """Row of certified labels: the paper's metrics, and lower bounds under attack (theory T9).

    radius: of all certificates. nodes: number of labelled components with a certified node, if
    there is a hierarchy. shapes: part IoU, for point clouds. dice: as in model_row. worst: of
    ``worst_tenth``.
    """
    kept = 1.0 - confusion.abstention
    return Row(
        model=name,
        accuracy=confusion.accuracy,
        miou=confusion.miou if _pools(shapes) else None,
        certified_accuracy=confusion.certified_accuracy,
        worst_tenth=worst,
        certified_miou=confusion.certified_miou if _pools(shapes) else None,
        mean_dice=confusion.mean_dice if dice else None,
        certified_mean_dice=confusion.certified_mean_dice if dice else None,
        instance_miou=None if shapes is None else shapes.instance_miou,
        category_miou=None if shapes is None else shapes.category_miou,
        certified_instance_miou=None if shapes is None else shapes.certified_instance_miou,
        certified_category_miou=None if shapes is None else shapes.certified_category_miou,
        correct_where_certified=confusion.accuracy / kept if kept > 0 else None,
        certified_node=None if nodes is None else nodes / confusion.labelled,
        cig=None if gain is None else gain.cig,
        class_cig=None if gain is None else gain.class_cig,
        abstention=confusion.abstention,
        abstention_all=confusion.abstention_all,
        radius=radius,
        draws=draws,
        seconds=seconds,
    )


def worst_tenth(accuracies: Sequence[float | None]) -> float | None:
    """Mean of the lowest tenth, rounded up to whole inputs; None for fewer than ten.

    accuracies: certified accuracy of each input, None where nothing is labelled. Means over a data
    set hide the inputs on which a model fails.

    Example:
        >>> worst_tenth([0.5, 0.25, *[0.75] * 18])
        0.375
    """
    known = sorted(value for value in accuracies if value is not None)
    if len(known) < 10:
        return None
    low = known[: math.ceil(len(known) / 10)]
    return math.fsum(low) / len(low)


def _pools(shapes: PartIou | None) -> bool:
    """Whether a class means the same in all inputs, so that counts may be pooled."""
    return shapes is None or len(shapes.shapes) == 1


def draws_text(value: float | None) -> str:
    return trimmed(nearest(value, 1))


def seconds_text(value: float | None) -> str:
    return nearest(value, 2)


_COLUMNS = (
    Column("model", "model"),
    Column("accuracy", "accuracy", share_down),
    Column("miou", "mIoU", share_down),
    Column("certified_accuracy", "certified accuracy", share_down),
    Column("worst_tenth", "certified accuracy, worst tenth", share_down),
    Column("certified_miou", "certified mIoU", share_down),
    Column("mean_dice", "Dice", share_down),
    Column("certified_mean_dice", "certified Dice", share_down),
    Column("instance_miou", "instance mIoU", share_down),
    Column("category_miou", "category mIoU", share_down),
    Column("certified_instance_miou", "certified instance mIoU", share_down),
    Column("certified_category_miou", "certified category mIoU", share_down),
    Column("correct_where_certified", "correct where certified", share_down),
    Column("certified_node", "certified, class or group", share_down),
    Column("cig", "CIG", share_down),
    Column("class_cig", "CIG (classes)", share_down),
    Column("abstention", "abstention (labelled)", share_up),
    Column("abstention_all", "abstention (all)", share_up),
    Column("radius", "radius", down),
    Column("draws", "draws", draws_text),
    Column("seconds", "s / input", seconds_text),
)

_HOLDS = (
    "hold under perturbation, what abstains becoming anything: each input's certificate with "
    "confidence 1 - alpha, all of them together with 1 - inputs x alpha."
)


def footnote(rows: Sequence[Row]) -> str:
    """Explanation of the metrics, for images and volumes or for point clouds."""
    dice = any(row.mean_dice is not None for row in rows)
    if any(row.instance_miou is not None for row in rows):
        one = any(row.miou is not None for row in rows)
        pooled = "; mIoU without such a word pools all clouds" if one else ""
        return (
            "Accuracy is over all points and counts an abstention as wrong; mIoU is the mean over "
            "the parts of a shape's category, then over shapes (instance) or categories, "
            f"abstention being a label of its own{pooled}. Only the certified figures "
        ) + _HOLDS
    figures = "mIoU and Dice (mean over classes) pool" if dice else "mIoU pools"
    treat = "treat" if dice else "treats"
    certified = (
        "certified accuracy, certified mIoU and certified Dice"
        if dice
        else "certified accuracy and certified mIoU"
    )
    return (
        "Accuracy is over all that the truth labels and counts an abstention as wrong; "
        f"{figures} all inputs and {treat} abstention as an extra label, as the paper does. Only "
        f"{certified} (over the classes in truth or certificate) "
    ) + _HOLDS


def comparison_table(rows: Sequence[Row], title: str = "") -> Table:
    """The rows as a table, without columns that no row has a value for."""
    return Table(_COLUMNS, rows, title, (footnote(rows),), sparse=True)
