"""Pooled confusion counts as rows of the comparison table."""

from __future__ import annotations

from certiseg.metrics.confusion import Confusion
from certiseg.report.tables import Row
from certiseg.runs.settings import Settings

NON_ROBUST = "non-robust, clean"
BASE_CLEAN = "base, clean"
BASE_NOISE = "base, one draw of noise"
CERTIFIED = "certified"


def model_row(name: str, confusion: Confusion, seconds: float) -> Row:
    """A model that predicts every pixel and promises nothing. seconds: mean per image."""
    return Row(name, confusion.accuracy, confusion.miou, seconds=seconds)


def certified_row(confusion: Confusion, settings: Settings, seconds: float) -> Row:
    """Certified masks. On them the accuracy is the certified accuracy (theory T9)."""
    kept = 1.0 - confusion.abstention
    return Row(
        model=f"{CERTIFIED}, n = {settings.num_samples}",
        accuracy=confusion.accuracy,
        miou=confusion.miou,
        certified_accuracy=confusion.accuracy,
        correct_where_certified=confusion.accuracy / kept if kept > 0 else None,
        abstention=confusion.abstention,
        abstention_all=confusion.abstention_all,
        radius=settings.noise.radius(settings.tau),
        seconds=seconds,
    )
