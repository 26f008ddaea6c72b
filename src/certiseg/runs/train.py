"""One training from its task to its files: model.safetensors, card.json and CARD.md, and until then
a state."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from certiseg._version import __version__
from certiseg.datasets.card import Samples
from certiseg.datasets.folder import Folder, ImageFolder, folder_card
from certiseg.datasets.images import PLAIN, Reading
from certiseg.datasets.registry import open_images
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.files.folders import locked
from certiseg.models.pointnet.parts import TrainedClouds
from certiseg.models.pretrained import found_start, start_from
from certiseg.models.serialization import (
    CARD_FILE,
    KIND,
    WEIGHTS_FILE,
    load_trained,
    to_bytes,
)
from certiseg.runs.device import usable_device
from certiseg.runs.environment import processor
from certiseg.runs.output import write_text
from certiseg.training.loop import Report, TrainingContext, training_loop
from certiseg.training.processes import ALONE, Processes, processes, refuse_several
from certiseg.training.state import STATE_FILE, StateFile
from certiseg.training.task import Task

PAGE_FILE = "CARD.md"


def run_training(
    task: Task,
    out: str | Path,
    command: str,
    make_report: Callable[[int], Report],
    *,
    init: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any] | None:
    """Train, evaluate the rounded weights, and write three files into `out`.

    Returns the card, or None in all processes of torchrun but the first. command: the command line
    that repeats the run, for the card. make_report: total steps -> Report. init: initial weights,
    see ``models.pretrained``; None for random ones. Until the training ends only its state is
    written, for resume; each file is written atomically. An existing model in `out` is refused
    unless overwrite is set. note: called with warnings about the data, before the first step.
    """
    folder = Path(out)
    if not task.parallel:
        refuse_several(task.command)
    start = None if init is None else found_start(init)
    with ExitStack() as stack:
        with processes(task.settings.device) as (among, own):
            stack.enter_context(
                model_folder(folder, resume=resume, overwrite=overwrite, among=among)
            )
            task.settings = replace(task.settings, device=own)
            device = usable_device(own)
            facts = {task.inputs: task.size, **task.facts()}
            if task.parallel:
                facts["processes"] = among.count
            state = StateFile(folder, facts, resume=resume, overwrite=overwrite)
            task.prepare(device)
            for text in task.notes() if among.first else ():
                note(text)
            started = time.monotonic()
            torch.manual_seed(task.settings.seed)
            card = {"kind": KIND, "name": folder.resolve().name, **task.describe_model()}
            model = task.model(card)
            origin = None
            if start is not None:
                assert not isinstance(model, TrainedClouds)
                origin = start_from(model, start)
            model.to(device)
            if not isinstance(model, TrainedClouds):
                model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            steps = task.steps_per_epoch * task.settings.epochs
            report = make_report(steps) if among.first else _silent
            chosen = training_loop(model, task, report, TrainingContext(among, state))
            seconds = state.seconds + time.monotonic() - started
        if chosen is None:
            return None
        model.load_state_dict(chosen.weights)
        data = to_bytes(model.network)
        parameters = sum(p.numel() for p in model.network.parameters())
        card["weights"] = {
            "file": WEIGHTS_FILE,
            "dtype": "float16",
            "parameters": parameters,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        card["figures"] = task.describe_figures(load_trained(card, data, card["name"]).to(device))
        about = task.about
        data_words = {"name": about.name, "source": about.source, "licence": about.licence}
        card["data"] = {**data_words, **task.describe_splits()}
        card["training"] = {
            "command": command,
            **({"processes": among.count} if task.parallel else {}),
            **task.describe_training(),
            "chosen_epoch": chosen.epoch,
            "seconds": round(seconds),
            "certiseg": __version__,
            "torch": torch.__version__,
            "machine": {
                "cpu": processor(),
                "cores": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "python": platform.python_version(),
            },
        }
        if origin is not None:
            card["training"]["started_from"] = origin
        write_model(folder, data, card, task.page(card))
        state.remove()
        return card


@contextmanager
def model_folder(
    folder: Path, *, resume: bool, overwrite: bool, among: Processes = ALONE
) -> Iterator[None]:
    """Lock the folder for this training; the first process holds the lock for all.

    Raises InputError in all processes for an existing model that may not be replaced, and as
    ``locked``.
    """
    refused = None
    with ExitStack() as held:
        if among.first:
            try:
                outputs = held.enter_context(locked(folder))
                # A state beside a model: the training was interrupted while it wrote the model.
                resumable = resume and (folder / STATE_FILE).exists()
                outputs.claim((WEIGHTS_FILE, CARD_FILE, PAGE_FILE), overwrite or resumable)
                if not resume:
                    outputs.claim((STATE_FILE,), overwrite=True)
            except InputError as error:
                refused = str(error)
        if (said := among.gathered(refused)[0]) is not None:
            raise InputError(said)
        yield


def write_model(folder: Path, weights: bytes, card: dict[str, Any], page: str) -> None:
    """Write the three files, each atomically."""
    atomic_write(folder / WEIGHTS_FILE, weights)
    write_text(folder / CARD_FILE, json.dumps(card, indent=1) + "\n")
    write_text(folder / PAGE_FILE, page)


def training_samples(
    data: str,
    root: Path | None,
    pairs: Mapping[str, Path | None],
    classes: str | None,
    ignore: Sequence[int],
    channels: int,
    *,
    binary: bool = False,
    reading: Reading = PLAIN,
) -> tuple[Samples, Samples]:
    """(train, val) of a data set by name, of a YAML file, or of "folder" (pairs, classes, ...).

    pairs: option name -> folder, in the order images, labels, val images, val labels. binary,
    reading: for folders, see ``datasets.folder.Folder``. Raises InputError for missing options.
    """
    if data != "folder":
        if binary or reading != PLAIN:
            raise InputError(
                f"expected --mask, --exif and --convert with --data folder, got --data {data}; a "
                ".yaml file states them itself (mask, orientation, convert)"
            )
        train, val = (open_images(data, root, split, "or folder") for split in ("train", "val"))
        return train, val
    images, labels, val_images, val_labels = pairs.values()
    if not (images and labels and val_images and val_labels and classes):
        missing = [name for name, path in pairs.items() if path is None]
        missing += [] if classes else ["--classes"]
        raise InputError(f"expected {', '.join(missing)} with --data folder, got none; add them")
    _check_channels(channels)
    card = folder_card(images.resolve().name, classes, channels)
    train, val = (
        Folder(*folders, card, ignore, binary=binary, reading=reading)
        for folders in ((images, labels), (val_images, val_labels))
    )
    return train, val


def training_images(
    data: str,
    root: Path | None,
    images: Path | None,
    val_images: Path | None,
    channels: int,
    reading: Reading = PLAIN,
) -> tuple[Samples | ImageFolder, Samples | ImageFolder]:
    """(train, val) of a data set as in ``training_samples``, or of two folders of images without
    labels. Raises InputError for missing options."""
    if data != "folder":
        return training_samples(data, root, {}, None, (), channels, reading=reading)
    if images is None or val_images is None:
        raise InputError("expected --images and --val-images with --data folder; add them")
    _check_channels(channels)
    return ImageFolder(images, channels, reading), ImageFolder(val_images, channels, reading)


def _check_channels(channels: int) -> None:
    if channels not in (1, 3):
        raise InputError(f"expected --channels 1 or 3, got {channels}; 3 is RGB")


def _silent(done: int, epoch: float, loss: float, figures: object) -> None:
    """The report of processes other than the first."""
