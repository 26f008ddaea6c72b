"""Percentile smoothing beside the votes: accuracy, mIoU and areas of single noisy passes, bounded
for each image (T10)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certifiers.percentile import percentile
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.metrics.scalars import accuracy, class_area, mean_iou
from certiseg.runfolder.metrics import at_size
from certiseg.runs.settings import Settings


class DrawnScalars:
    """Accuracy, mean IoU and class areas of every testing draw of one image.

    Pass ``watch`` to the sampler. truth: labels (H, W); if no pixel is labelled, only areas are
    computed.
    """

    def __init__(self, truth: NDArray[Any], num_classes: int) -> None:
        self._truth, self._num_classes = truth, num_classes
        self._values: dict[str, list[NDArray[np.float64]]] = {}

    def watch(self, labels: NDArray[np.int64]) -> None:
        """Receive the label maps (B, *out) of some draws."""
        maps = at_size(labels, self._truth.shape)
        if np.any(self._truth != IGNORE):
            self._add("accuracy", accuracy(maps, self._truth, IGNORE))
            self._add("mean_iou", mean_iou(maps, self._truth, IGNORE))
        for label in range(self._num_classes):
            self._add(f"area {label}", class_area(maps, label))

    def _add(self, name: str, values: NDArray[np.float64]) -> None:
        self._values.setdefault(name, []).append(values)

    def bounds(self, settings: Settings, eta: float) -> dict[str, Any]:
        """Bounds at the radius of tau, each with error probability alpha separately, as plain JSON
        values.

        accuracy, mean_iou: lower bounds; area: by class, [lowest, highest] share of the pixels; of:
        draws, radius and alpha. eta: of the draws (theory T12).
        """
        options: dict[str, Any] = {
            "noise": settings.noise,
            "radius": settings.noise.radius(settings.tau),
            "alpha": settings.alpha,
            "eta": eta,
        }
        drawn = {name: np.concatenate(parts) for name, parts in self._values.items()}
        areas = [
            percentile(drawn[f"area {label}"], side="both", **options)
            for label in range(self._num_classes)
        ]
        found: dict[str, Any] = {
            name: percentile(drawn[name], side="lower", **options).lower
            for name in ("accuracy", "mean_iou")
            if name in drawn
        }
        return {
            **found,
            "area": [[area.lower, area.upper] for area in areas],
            "of": {"draws": areas[0].trials, **{k: options[k] for k in ("radius", "alpha")}},
        }


def check_percentile(settings: Settings) -> None:
    """Raise InputError if the number of draws depends on the draws, or is too small for a bound."""
    if settings.certifier.stops_early:
        raise InputError(
            "expected a fixed number of draws with --percentile, got early stopping; "
            "its ranks need n before sampling"
        )
    # Any values do: whether a rank exists depends on their number alone.
    percentile(
        np.zeros(settings.num_samples),
        noise=settings.noise,
        radius=settings.noise.radius(settings.tau),
        alpha=settings.alpha,
        side="both",
    )
