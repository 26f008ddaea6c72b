"""The smoothed models of a run: one, or for point clouds one per category."""

from __future__ import annotations

from certiseg.datasets.card import Sample
from certiseg.models.loaded import Kind, LoadedModel
from certiseg.runs.settings import Settings
from certiseg.sampling.sampler import Smoothed

_KINDS: dict[int, Kind] = {1: "clouds", 2: "images", 3: "volumes"}


class ByCategory:
    """The loaded model under the noise of the settings, made once for each category."""

    def __init__(self, loaded: LoadedModel, settings: Settings) -> None:
        self._loaded, self._settings = loaded, settings
        self._made: dict[str | None, Smoothed] = {}

    def of(self, sample: Sample) -> Smoothed:
        """The smoothed model for the sample's category, if it has one."""
        if sample.category not in self._made:
            kind = _KINDS[sample.labels.ndim]
            made = self._settings.smoothed(self._loaded, sample.category, kind=kind)
            self._made[sample.category] = made
        return self._made[sample.category]
