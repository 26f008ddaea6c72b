"""The card of a trained model: everything a reader needs to judge or repeat the training."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import asdict
from typing import Any

import torch

from certiseg._version import __version__
from certiseg.datasets.card import Card
from certiseg.models.efficientnet import DECODER_WIDTH, MEAN, STD
from certiseg.models.networks import EFFICIENT, UNET
from certiseg.rounding import share_down
from certiseg.training.settings import TrainSettings
from certiseg.training.validate import Figures


def architecture(card: Card, settings: TrainSettings, mean: list[float], std: list[float]) -> dict:
    """Constructor arguments of the network and its preprocessing, as JSON values."""
    if settings.network == "unet":
        own: dict[str, Any] = {
            "class": UNET,
            "widths": list(settings.widths),
            "blocks": list(settings.blocks),
        }
    else:
        own = {
            "class": EFFICIENT,
            "variant": settings.network.removeprefix("efficientnet-"),
            "width": DECODER_WIDTH,
        }
        if card.channels == 3:
            mean, std = list(MEAN), list(STD)
    return {
        **own,
        "in_channels": card.channels,
        "num_classes": card.num_classes,
        "mean": mean,
        "std": std,
    }


def describe_data(card: Card, train: int, val: int) -> dict[str, Any]:
    return {
        "name": card.name,
        "source": card.source,
        "licence": card.licence,
        "train": f"train split, {train} pictures",
        "choice": f"val split, {val} pictures: highest mIoU under one fixed draw of noise each",
    }


def describe_training(
    settings: TrainSettings,
    processes: int,
    command: str,
    epoch: int,
    seconds: float,
    processor: str,
) -> dict:
    return {
        "command": command,
        "processes": processes,
        **{k: v for k, v in asdict(settings).items() if k not in ("widths", "blocks")},
        "chosen_epoch": epoch,
        **describe_machine(seconds, processor),
    }


def describe_machine(seconds: float, processor: str) -> dict[str, Any]:
    """How long the training took, on what and with which versions."""
    return {
        "seconds": round(seconds),
        "certiseg": __version__,
        "torch": torch.__version__,
        "machine": {
            "cpu": processor,
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
        },
    }


def describe_figures(clean: Figures, noisy: Figures | None, seed: int) -> dict[str, Any]:
    """Measured on the val split with the weights as stored. noisy: None for sigma = 0."""
    return {
        "split": "val",
        "weights": "as stored (half precision)",
        "clean": asdict(clean),
        "one_draw": None if noisy is None else {**asdict(noisy), "noise_seed": seed},
    }


def describe_weights(file: str, data: bytes, parameters: int) -> dict[str, Any]:
    return {
        "file": file,
        "dtype": "float16",
        "parameters": parameters,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _spelled(plan: dict[str, Any]) -> str:
    told = ("class", "in_channels", "num_classes")
    return ", ".join(f"{name} {value}" for name, value in plan.items() if name not in told)


def origin_words(started_from: dict[str, Any] | None) -> str:
    if started_from is None:
        return ""
    if "package" in started_from:
        return f"\nIts encoder started from the weights of {started_from['package']}.\n"
    earlier = origin_words(started_from.get("started_from"))
    return f"\nIt started from the weights of\n\n```\n{started_from['command']}\n```\n{earlier}"


def card_page(card: dict[str, Any]) -> str:
    """CARD.md: the same facts for a reader."""
    data, run, figures = card["data"], card["training"], card["figures"]
    plan, weights = card["architecture"], card["weights"]
    rows = [("clean", figures["clean"])]
    if figures["one_draw"] is not None:
        rows.append((f"one draw of noise, sigma = {run['sigma']}", figures["one_draw"]))
    table = "\n".join(
        f"| {k} | {share_down(v['accuracy'])} | {share_down(v['miou'])} |" for k, v in rows
    )
    machine = run["machine"]
    low = run["sigma_from"]
    sigma = f"= {run['sigma']}" if low is None else f"between {low} and {run['sigma']}"
    noise = f"with Gaussian noise of sigma {sigma} in [0, 1] input units"
    return f"""# {card["name"]}

{plan["class"].rpartition(".")[2]}, {weights["parameters"]} parameters in half precision \
({weights["bytes"]} bytes), trained {noise if run["sigma"] > 0 else "without noise"}.

| on the val split | accuracy | mIoU |
|---|---|---|
{table}

The checkpoint was chosen on this val split: these figures are optimistically biased by that choice.

- Data: {data["name"]}. {data["train"]}; {data["choice"]}.
- Source: {data["source"]}.
- Licence of the data: {data["licence"]}.
- Classes: {", ".join(card["classes"])}. Channels: {card["channels"]}.
- Architecture: {_spelled(plan)}.
- Training: {run["epochs"]} epochs (epoch {run["chosen_epoch"]} kept), {run["seconds"]} s on \
{machine["cpu"]}, {machine["cores"]} cores, torch {run["torch"]}, seed {run["seed"]}.

```
{run["command"]}
```
{origin_words(run.get("started_from"))}"""
