"""One training from data sets to files: model.safetensors, card.json, CARD.md."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from certiseg.datasets.card import Samples
from certiseg.files import atomic_write, output_folder
from certiseg.models.pretrained import start_from
from certiseg.models.stored import (
    CARD_FILE,
    KIND,
    WEIGHTS_FILE,
    TrainedModel,
    load_trained,
    to_bytes,
)
from certiseg.runs.device import usable_device
from certiseg.runs.environment import processor
from certiseg.runs.output import refuse_existing
from certiseg.training.card import (
    architecture,
    card_page,
    describe_data,
    describe_figures,
    describe_training,
    describe_weights,
)
from certiseg.training.descent import Report
from certiseg.training.loop import fit
from certiseg.training.memory import hold
from certiseg.training.settings import TrainSettings
from certiseg.training.validate import validate

PAGE_FILE = "CARD.md"


def run_training(
    train: Samples,
    val: Samples,
    settings: TrainSettings,
    out: str | Path,
    command: str,
    make_report: Callable[[int], Report],
    *,
    init: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train, measure the rounded weights on val, write three files into `out`. Returns the card.

    init: what to start from, see ``models.pretrained``; fresh weights where None.
    command: the line that repeats the run, for the card. make_report: total steps -> Report.
    Nothing is written before the training is over, and each file appears whole. An earlier model
    in `out` is refused unless overwrite is set.
    """
    folder = Path(out)
    refuse_existing([folder / name for name in (WEIGHTS_FILE, CARD_FILE, PAGE_FILE)], overwrite)
    device = usable_device(settings.device)
    started = time.monotonic()
    held, checked = hold(train), hold(val)
    output_folder(folder)
    torch.manual_seed(settings.seed)
    mean, std = held.statistics()
    plan = architecture(train.card, settings, mean, std)
    card: dict[str, Any] = {
        "kind": KIND,
        "name": folder.resolve().name,
        "architecture": plan,
        "classes": list(train.card.classes),
        "palette": [list(colour) for colour in train.card.palette],
        "channels": train.card.channels,
    }
    model = TrainedModel(card)
    if init is not None:
        start_from(model, init)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    per_epoch = -(-len(held) // settings.batch_size)
    chosen = fit(model, held, checked, settings, make_report(per_epoch * settings.epochs))
    seconds = time.monotonic() - started
    model.load_state_dict(chosen.weights)
    data = to_bytes(model.network)
    parameters = sum(p.numel() for p in model.network.parameters())
    card["weights"] = describe_weights(WEIGHTS_FILE, data, parameters)
    stored = load_trained(card, data, card["name"]).to(device)
    clean = validate(stored, checked, 0.0, settings.seed)
    noisy = validate(stored, checked, settings.sigma, settings.seed) if settings.sigma > 0 else None
    card["figures"] = describe_figures(clean, noisy, settings.seed)
    card["data"] = describe_data(train.card, len(train), len(val))
    card["training"] = describe_training(settings, command, chosen.epoch, seconds, processor())
    atomic_write(folder / WEIGHTS_FILE, data)
    atomic_write(folder / CARD_FILE, (json.dumps(card, indent=1) + "\n").encode())
    atomic_write(folder / PAGE_FILE, card_page(card).encode())
    return card


def spell_command(options: Mapping[str, object], name: str = "train") -> str:
    """The command line of `certiseg NAME` with these options.

    A path is written as PATH/TO/its last part. So a card tells how to repeat a run and nothing
    about the folders of the machine it ran on.
    """
    words = ["certiseg", name]
    for option, value in options.items():
        if value is None:
            continue
        text = f"PATH/TO/{value.resolve().name}" if isinstance(value, Path) else str(value)
        words += [option, shlex.quote(text)]
    return " ".join(words)
