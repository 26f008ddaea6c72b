"""The page's slider for the radius: values, texts, and reasons why samples have no radius map."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from certiseg.datasets.card import KINDS
from certiseg.report.summary import RunSummary


def slider(
    summaries: Sequence[RunSummary], samples: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """Radii of the slider with texts; None if no sample on the page has a radius map.

    start: index of the certificates' radius. The last radius is one at which nothing is certified.
    """
    largest = Fraction(max(summary.largest for summary in summaries))
    if not largest or not any("table" in part for sample in samples for part in sample["runs"]):
        return None
    manifest = summaries[0].run.manifest
    step = _step(largest / 500)
    radii = [_least(place * step) for place in range(math.floor(largest / step) + 2)]
    decimals = max(4, -math.floor(math.log10(step)))
    own = all(summary.run.manifest.method == "radius_map" for summary in summaries)
    beside = (
        "It is the certificate's own statement."
        if own
        else "It is a second statement beside the certificate's own, from the same draws and at "
        "the same alpha: each holds with confidence 1 - alpha, both together with 1 - 2 alpha."
    )
    return {
        "label": manifest.noise.radius_name,
        "radii": radii,
        "texts": [manifest.noise.size(r, decimals).replace(" degrees", "°") for r in radii],
        "start": math.floor(Fraction(manifest.radius) / step),
        "words": (
            "Choose a radius, and the masks show what is certified at it. Looking first and "
            "choosing afterwards is sound here: the votes carry a map of radii for each "
            f"{KINDS[manifest.kind][0]}, which holds for all radii at once (theory T6). "
            f"{beside} At the end of the slider the draws can prove no more."
        ),
    }


def why_no_slider(summaries: Sequence[RunSummary]) -> list[str]:
    """Lines that explain why samples have no radius map, one per run and reason."""
    reasons = Counter((run.name, reason) for run in summaries for reason in run.why_no_radii)
    return [
        f"{f'{name}: n' if len(summaries) > 1 else 'N'}o radius can be chosen for {count} of the "
        f"samples: {reason}."
        for (name, reason), count in reasons.items()
    ]


def _step(least: Fraction) -> Fraction:
    """Smallest 1, 2 or 5 times a power of ten that is at least ``least``."""
    power = Fraction(10) ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10, 20) if m * power >= least)


def _least(radius: Fraction) -> float:
    """The smallest float >= radius, so that the text never overstates it."""
    near = float(radius)
    return near if Fraction(near) >= radius else math.nextafter(near, math.inf)
