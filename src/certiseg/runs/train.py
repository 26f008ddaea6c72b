"""One training from data sets to files: model.safetensors, card.json, CARD.md."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from certiseg.datasets.card import Samples
from certiseg.models.networks import TrainedModel
from certiseg.models.pretrained import found_start, start_from
from certiseg.models.serialization import KIND, WEIGHTS_FILE, load_trained, to_bytes
from certiseg.runs.device import usable_device
from certiseg.runs.environment import processor
from certiseg.runs.model_files import model_folder, write_model
from certiseg.training.card import (
    architecture,
    card_page,
    describe_data,
    describe_figures,
    describe_training,
    describe_weights,
)
from certiseg.training.descent import Means, Report
from certiseg.training.loop import fit
from certiseg.training.memory import check_memory, hold
from certiseg.training.processes import processes
from certiseg.training.settings import TrainSettings
from certiseg.training.state import StateFile
from certiseg.training.validate import validate


def run_training(
    train: Samples,
    val: Samples,
    settings: TrainSettings,
    out: str | Path,
    command: str,
    make_report: Callable[[int], Report],
    *,
    init: str | None = None,
    memory: float = 4.0,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any] | None:
    """Train, measure the rounded weights on val, write three files into `out`. Returns the card, or
    None in all processes of torchrun but the first.

    init: what to start from, see ``models.pretrained``; fresh weights where None. memory: GiB of
    pictures to keep. command: the line that repeats the run, for the card. make_report: total
    steps -> Report. Until the training is over only its state is written, for resume; each file
    appears whole. An earlier model in `out` is refused unless overwrite is set.
    """
    folder = Path(out)
    check_memory(memory)
    start = None if init is None else found_start(init)
    with ExitStack() as stack:
        with processes(settings.device) as (among, own):
            stack.enter_context(
                model_folder(folder, resume=resume, overwrite=overwrite, among=among)
            )
            settings = replace(settings, device=own)
            device = usable_device(own)
            facts = {"data": train.card.name, "pictures": len(train), "processes": among.count}
            facts |= asdict(settings)
            state = StateFile(folder, facts, resume=resume, overwrite=overwrite)
            started = time.monotonic()
            held, checked = hold(train, memory), hold(val, memory)
            torch.manual_seed(settings.seed)
            mean, std = held.statistics()
            card: dict[str, Any] = {
                "kind": KIND,
                "name": folder.resolve().name,
                "architecture": architecture(train.card, settings, mean, std),
                "classes": list(train.card.classes),
                "palette": [list(colour) for colour in train.card.palette],
                "channels": train.card.channels,
            }
            model = TrainedModel(card)
            origin = None if start is None else start_from(model, start)
            model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            steps = -(-len(held) // settings.batch_size) * settings.epochs
            report = make_report(steps) if among.first else silent
            chosen = fit(model, held, checked, settings, report, Means(among, state))
            seconds = state.seconds + time.monotonic() - started
        if chosen is None:
            return None
        model.load_state_dict(chosen.weights)
        data = to_bytes(model.network)
        parameters = sum(p.numel() for p in model.network.parameters())
        card["weights"] = describe_weights(WEIGHTS_FILE, data, parameters)
        stored = load_trained(card, data, card["name"]).to(device)
        clean = validate(stored, checked, 0.0, settings.seed)
        noisy = (
            validate(stored, checked, settings.sigma, settings.seed) if settings.sigma > 0 else None
        )
        card["figures"] = describe_figures(clean, noisy, settings.seed)
        card["data"] = describe_data(train.card, len(train), len(val))
        card["training"] = describe_training(
            settings, among.count, command, chosen.epoch, seconds, processor()
        )
        if origin is not None:
            card["training"]["started_from"] = origin
        write_model(folder, data, card, card_page(card))
        state.remove()
        return card


def silent(done: int, epoch: float, loss: float, figures: object) -> None:
    """The report of a process that is not the first."""


def bare(spec: str | Path) -> str:
    """A path as PATH/TO/its last part, other names of models as they are: a card says nothing
    about the folders of the machine it was made on."""
    if isinstance(spec, Path) or Path(spec).exists():
        return f"PATH/TO/{Path(spec).resolve().name}"
    return spec


def spell_command(options: Mapping[str, object], name: str = "train") -> str:
    """The command line of `certiseg NAME` with these options, so that a card tells how to repeat a
    run. A path is written as ``bare`` does.
    """
    words = ["certiseg", name]
    for option, value in options.items():
        if value is None:
            continue
        text = bare(value) if isinstance(value, Path) else str(value)
        words += [option, shlex.quote(text)]
    return " ".join(words)
