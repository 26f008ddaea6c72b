"""One training on clouds, from data sets to files: model.safetensors, card.json, CARD.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from certiseg.datasets.card import Samples, note_of
from certiseg.models.pointnet.parts import TrainedClouds
from certiseg.models.serialization import KIND, WEIGHTS_FILE, load_trained, to_bytes
from certiseg.runs.clouds import open_clouds
from certiseg.runs.device import usable_device
from certiseg.runs.environment import processor
from certiseg.runs.model_files import model_folder, write_model
from certiseg.training.card import describe_weights
from certiseg.training.cloud_card import (
    cloud_page,
    describe_data,
    describe_figures,
    describe_model,
    describe_training,
)
from certiseg.training.cloud_noise import CloudNoise
from certiseg.training.cloud_settings import CloudSettings
from certiseg.training.clouds import batches_an_epoch, fit_clouds, hold_clouds, validate_clouds
from certiseg.training.descent import Means, Report
from certiseg.training.processes import refuse_several
from certiseg.training.state import StateFile


def open_splits(
    data: str,
    root: Path | None,
    *,
    points: int,
    channels: int,
    limit: int | None,
    skip_bad: bool,
) -> dict[str, Samples]:
    """The clouds of "train", at most limit of them, of "val" and of "test"; see ``open_clouds``."""
    return {
        split: open_clouds(
            data,
            channels=channels,
            root=root,
            split=split,
            points=points,
            limit=limit if split == "train" else None,
            skip_bad=skip_bad,
        )
        for split in ("train", "val", "test")
    }


def run_cloud_training(
    splits: Mapping[str, Samples],
    settings: CloudSettings,
    out: str | Path,
    command: str,
    make_report: Callable[[int], Report],
    reading: Callable[[int], Callable[[], None]] = lambda clouds: lambda: None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train on "train", choose on "val", measure the rounded weights on "val" and "test", write
    three files into `out`. Returns the card.

    command: the line that repeats the run, for the card. make_report: total steps -> Report.
    reading: clouds to read -> what is called after each.
    Until the training is over only its state is written, for resume; each file appears whole. An
    earlier model in `out` is refused unless overwrite is set.
    """
    folder = Path(out)
    refuse_several("train-clouds")
    with model_folder(folder, resume=resume, overwrite=overwrite):
        device = usable_device(settings.device)
        train_card = splits["train"].card
        plan = settings.plan(train_card)
        facts = {"data": train_card.name, "clouds": len(splits["train"]), **asdict(settings)}
        state = StateFile(folder, facts, resume=resume, overwrite=overwrite)
        advance = reading(sum(len(samples) for samples in splits.values()))
        held = {name: hold_clouds(samples, advance) for name, samples in splits.items()}
        started = time.monotonic()
        torch.manual_seed(settings.seed)
        card: dict[str, Any] = {
            "kind": KIND,
            "name": folder.resolve().name,
            **describe_model(train_card, plan),
        }
        model = TrainedClouds(card).to(device)
        steps = settings.epochs * batches_an_epoch(len(held["train"]), settings.batch_size)
        report, means = make_report(steps), Means(state=state)
        chosen = fit_clouds(model, held["train"], held["val"], settings, report, means)
        assert chosen is not None
        seconds = state.seconds + time.monotonic() - started
        model.load_state_dict(chosen.weights)
        data = to_bytes(model.network)
        parameters = sum(p.numel() for p in model.network.parameters())
        card["weights"] = describe_weights(WEIGHTS_FILE, data, parameters)
        stored = load_trained(card, data, card["name"])
        assert isinstance(stored, TrainedClouds)
        stored.to(device)
        clean, noisy = (
            {
                name: validate_clouds(stored, held[name], now, settings.seed)
                for name in ("val", "test")
            }
            for now in (CloudNoise(), settings.noise)
        )
        under_noise = settings.noise.kind != "none"
        card["figures"] = describe_figures(clean, noisy if under_noise else None, settings.seed)
        counts = {name: _count(samples) for name, samples in splits.items()}
        card["data"] = describe_data(train_card, held["train"].x.shape[2], counts, under_noise)
        card["training"] = describe_training(settings, command, chosen.epoch, seconds, processor())
        write_model(folder, data, card, cloud_page(card))
        state.remove()
        return card


def _count(samples: Samples) -> str:
    note = note_of(samples)
    return f"{len(samples)} clouds" + (f" ({note})" if note else "")
