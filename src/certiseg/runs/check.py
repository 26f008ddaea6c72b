"""What can be known to go wrong in an evaluation before its first draw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch

from certiseg.datasets.card import Sample, Samples
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.view import array_digest, shown
from certiseg.runs.model import check_classes, check_order, try_model
from certiseg.runs.percentiles import check_percentile
from certiseg.runs.settings import Settings
from certiseg.runs.smoothing import ByCategory
from certiseg.sampling.fingerprint import input_fingerprint


@dataclass(frozen=True)
class Checked:
    """A sample that was read: what its files are known by (docs/report.md)."""

    name: str
    digest: str
    category: str | None
    size: tuple[int, ...]
    input: str
    truth: str
    shown: str

    @staticmethod
    def of(sample: Sample) -> Checked:
        return Checked(
            sample.name,
            digest_of(sample),
            sample.category,
            sample.labels.shape,
            input_fingerprint(torch.from_numpy(sample.x)),
            array_digest(sample.labels),
            array_digest(shown(sample.x)),
        )


def check_evaluation(
    samples: Samples,
    loaded: LoadedModel,
    settings: Settings,
    *,
    non_robust: LoadedModel | None = None,
    percentile: bool = False,
) -> list[Checked]:
    """Raise InputError for whatever would stop the run later: reads every sample and passes one of
    each size (and category) through each model. Holds one sample at a time.
    """
    if not len(samples):
        raise InputError("expected at least one sample, got none; check the folders")
    if percentile:
        check_percentile(settings)
    if settings.hierarchy is not None:
        known = loaded.classes if loaded.classes is not None else samples.card.classes
        check_order(settings.hierarchy, known, samples.card.name)
    models = [ByCategory(model, settings) for model in (loaded, non_robust) if model is not None]
    tried: set[tuple[Any, ...]] = set()
    checked = []
    for index in range(len(samples)):
        sample = samples[index]
        checked.append(Checked.of(sample))
        settings.check(settings.components(*sample.labels.shape), loaded.num_classes)
        if (kind := (sample.category, *sample.x.shape)) in tried:
            continue
        tried.add(kind)
        for model in models:
            logits = settings.certifier.needs_logits and model is models[0]
            smoothed = model.of(sample)
            try_model(smoothed, sample.x, settings.hierarchy, logits=logits)
            check_classes(smoothed, samples.card)
    return checked


def digest_of(sample: Sample) -> str:
    """SHA-256 of input, truth and category."""
    parts = (str(sample.category), array_digest(sample.x), array_digest(sample.labels))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
