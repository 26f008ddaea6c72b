"""Runs without a model: made-up votes, written by the same code that writes those of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.grid import upsample_nearest
from certiseg.certifiers.hierarchical import hierarchical
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.regions import regions
from certiseg.certifiers.segcertify import certify
from certiseg.certifiers.sequential import sequential
from certiseg.datasets.card import Card, Sample
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.comparison import BASE_CLEAN, BASE_NOISE
from certiseg.runfolder.folder import RunFolder
from certiseg.runfolder.layout import Layout
from certiseg.runfolder.manifest import read_manifest
from certiseg.runfolder.view import view_content
from certiseg.runs.evaluate import manifest, prints_of
from certiseg.runs.experiment import Checked, Prediction
from certiseg.runs.sample_task import Baselines, SampleJob, SampleTask, finish
from certiseg.runs.settings import Settings
from certiseg.votes import Source, VoteCounts

CLASSES = ("road", "car", "sky")
PALETTE = ((128, 64, 128), (0, 0, 142), (70, 130, 180))
SIZE = (24, 40)
POINTS = 150
VOLUME = (12, 9, 20)


class Made:
    """Samples by name: images or volumes of three bands with a void corner (images of two
    classes: two), or clouds of three parts."""

    def __init__(
        self,
        names: Sequence[str],
        classes: Sequence[str] = CLASSES,
        *,
        clouds: bool = False,
        volumes: bool = False,
    ) -> None:
        parts = {"thing": (0, 1, 2)} if clouds else None
        colours = (PALETTE * len(classes))[: len(classes)]
        self.names, self.clouds, self.volumes = names, clouds, volumes
        self.card = Card(
            "made-up",
            tuple(classes),
            colours,
            3,
            "made up",
            "none",
            parts,
            "volumes" if volumes else None,
        )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self.names):
            raise IndexError(index)
        rng = np.random.default_rng(index)
        if self.clouds:
            x = rng.normal(size=(3, POINTS)).astype(np.float32)
            truth = np.digitize(x[0], (-0.4, 0.4)).astype(np.uint8)
            # As wide and flat as a table: harder to fit into a frame than a ball.
            x *= np.array([[4], [1], [0.2]], np.float32)
            return Sample(self.names[index], x, truth, "thing")
        if self.volumes:
            truth = np.digitize(np.arange(VOLUME[0]), (4 + index % 2, 8)).astype(np.uint8)
            truth = np.ascontiguousarray(np.broadcast_to(truth[:, None, None], VOLUME))
            truth[:2, :2] = 255
            x = rng.uniform(size=(3, *VOLUME)).astype(np.float32)
            return Sample(self.names[index], x, truth)
        height, width = SIZE
        edges = 12 + index % 5 + np.arange(height) // 6
        truth = (np.arange(width) >= edges[:, None]).astype(np.uint8)
        if self.card.num_classes > 2:
            truth += np.arange(width) >= edges[:, None] + 13
        x = rng.uniform(size=(3, *SIZE)).astype(np.float32)
        truth[:3, :4] = 255
        return Sample(self.names[index], x, truth)


def made_votes(
    sample: Sample,
    settings: Settings,
    num_classes: int,
    changed: Mapping[str, Any] | None = None,
) -> VoteCounts:
    """Votes mostly for the truth: sure in most places, torn in some, wrong in a few."""
    rng = np.random.default_rng(7)
    truth = np.where(sample.labels == 255, 0, sample.labels).astype(np.int64)
    if settings.grid is not None:
        truth = truth[:: settings.grid, :: settings.grid]
    favoured = np.where(rng.random(truth.shape) < 0.06, (truth + 1) % num_classes, truth)
    share = rng.choice([0.55, 0.75, 0.9, 0.97, 1.0], size=truth.shape, p=[0.1, 0.1, 0.2, 0.3, 0.3])
    hits = rng.binomial(settings.num_samples, share)
    counts = np.zeros((*truth.shape, num_classes), dtype=np.int64)
    np.put_along_axis(counts, favoured[..., None], hits[..., None], axis=-1)
    rest = settings.num_samples - hits
    other = (favoured + 1) % num_classes
    np.put_along_axis(counts, other[..., None], rest[..., None], axis=-1)
    source = replace(made_source(sample, settings), **(changed or {}))
    return VoteCounts(counts, settings.num_samples, source)


def made_source(sample: Sample, settings: Settings) -> Source:
    known = Checked.of(sample).input
    return Source(
        noise=settings.noise,
        seed=settings.seed or 0,
        seed_origin="caller",
        key=known,
        draws=((0, settings.num_samples),),
        model="0" * 64,
        model_name="made-up model",
        input=known,
        input_shape=sample.x.shape,
        value_range=None if sample.category else (0.0, 1.0),
    )


def made_certificate(votes: VoteCounts, settings: Settings) -> Certificate:
    noise, level = settings.noise, {"tau": settings.tau, "alpha": settings.alpha}
    if settings.radius_map:
        return radius_map(votes, noise=noise, alpha=settings.alpha)
    if settings.regions and settings.stopping is not None:
        return settings.certifier.ask(InParts(votes), noise=noise, num_samples=votes.trials)
    if settings.regions:
        return regions(votes, noise=noise, **level)
    if settings.hierarchy is not None:
        return hierarchical(votes, noise=noise, hierarchy=settings.hierarchy, **level)
    if settings.stopping is not None:
        return sequential(Once(votes), noise=noise, num_samples=votes.trials, looks=1, **level)
    return certify(
        votes, noise=noise, correction=settings.correction, budget=settings.budget, **level
    )


class Once:
    """All votes at once."""

    def __init__(self, votes: VoteCounts) -> None:
        self._votes = votes

    def sizes(self) -> tuple[int, int]:
        return self._votes.num_components, self._votes.num_classes

    def more(self, draws: int) -> VoteCounts:
        assert draws == self._votes.trials
        return self._votes


class InParts:
    """A source that deals out given votes in parts, at random as if drawn one by one."""

    def __init__(self, votes: VoteCounts) -> None:
        self._left, self._source, self._dealt = votes.counts.astype(np.int64), votes.source, 0
        self._rng = np.random.default_rng(11)

    def sizes(self) -> tuple[int, int]:
        return self._left[..., 0].size, self._left.shape[-1]

    def more(self, draws: int) -> VoteCounts:
        part, open_to = np.zeros_like(self._left), np.full(self._left.shape[:-1], draws)
        rest = self._left.sum(axis=-1)
        for label in range(self._left.shape[-1]):
            rest = rest - self._left[..., label]
            part[..., label] = self._rng.hypergeometric(self._left[..., label], rest, open_to)
            open_to = open_to - part[..., label]
        self._left = self._left - part
        dealt = ((self._dealt, self._dealt + draws),)
        self._dealt += draws
        return VoteCounts(part, draws, replace(self._source, draws=dealt))


def made_run(
    out: Path,
    names: Sequence[str] = ("one", "two", "three"),
    settings: Settings | None = None,
    *,
    classes: Sequence[str] = CLASSES,
    clouds: bool = False,
    volumes: bool = False,
    keep: int | None = None,
    done: int | None = None,
    model: str = "made-up model",
    source: Mapping[str, Any] | None = None,
) -> Made:
    """Write a run below ``out``.

    done: as many samples, as if the run had been interrupted. source: fields of the votes' source
    with other values, such as windows.
    """
    settings = settings or Settings(num_samples=200)
    settings = replace(settings, seed=1 if settings.seed is None else settings.seed)
    if settings.stopping is not None and not settings.regions:
        settings = replace(settings, stopping=replace(settings.stopping, looks=1))
    samples = Made(names, classes, clouds=clouds, volumes=volumes)
    card, num_classes = samples.card, len(classes)
    folder = RunFolder(out)
    loaded = LoadedModel(model, lambda x: x, num_classes)
    models = {"base": loaded}
    job = SampleJob(models, None, settings, card)
    checked, prints = [Checked.of(sample) for sample in samples], prints_of(models)
    folder.begin(manifest(samples, checked, models, prints, settings, "certiseg ...", keep=keep))
    for index in range(len(samples) if done is None else done):
        sample = samples[index]
        votes = made_votes(sample, settings, num_classes, source)
        certificate = made_certificate(votes, settings)
        clean = votes.mode()
        if clean.shape != sample.labels.shape:
            clean = upsample_nearest(clean, sample.labels.shape)
        baseline = {name: Prediction(clean, 0.01) for name in (BASE_CLEAN, BASE_NOISE)}
        noisy = sample.x + np.random.default_rng(9).normal(size=sample.x.shape) / 4
        kept, _ = folder.keeps(index)
        view = None
        if kept:
            view = view_content(sample, noisy.astype(np.float32), dict.fromkeys(baseline, clean))
        task = SampleTask(index, sample, kept, kept)
        made = finish(job, task, Baselines(baseline, view), certificate, 1.0)
        folder.write(index, made.record, *made.files)
    return samples


def certificates(run: Path) -> list[Certificate]:
    """Certificates of a run that keeps all."""
    layout = Layout(run)
    return [
        Certificate.load(layout.certificate(planned.file)) for planned in read_manifest(run).samples
    ]
