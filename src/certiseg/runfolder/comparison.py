"""Pooled figures as rows of the comparison table."""

from __future__ import annotations

from certiseg.metrics.confusion import Confusion
from certiseg.metrics.information_gain import InformationGain
from certiseg.metrics.part_iou import PartIou
from certiseg.runfolder.rows import Row

NON_ROBUST = "non-robust, clean"
BASE_CLEAN = "base, clean"
BASE_NOISE = "base, one draw of noise"
CERTIFIED = "certified"


def model_row(
    name: str, confusion: Confusion, seconds: float, shapes: PartIou | None = None
) -> Row:
    """A model that predicts every component and promises nothing. seconds: mean per input.
    shapes: of point clouds, for which mIoU is taken over the parts of each shape's category."""
    return Row(
        name,
        confusion.accuracy,
        confusion.miou if shapes is None else None,
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
) -> Row:
    """Certified masks; bounds by theory T9 beside the paper's own figures.

    radius: at which all of them hold. draws: mean per input, where it is no constant. nodes:
    labelled components with a certified class or group, where there is a hierarchy. shapes: of
    point clouds, as in model_row.
    """
    kept = 1.0 - confusion.abstention
    return Row(
        model=name,
        accuracy=confusion.accuracy,
        miou=confusion.miou if shapes is None else None,
        certified_accuracy=confusion.certified_accuracy,
        certified_miou=confusion.certified_miou if shapes is None else None,
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
