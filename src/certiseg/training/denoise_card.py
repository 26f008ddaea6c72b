"""The card of a denoiser: what a reader needs to judge or repeat the training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from certiseg.rounding import exact, nearest, share_down
from certiseg.training.card import describe_machine, origin_words
from certiseg.training.denoise import Restored
from certiseg.training.denoise_settings import DenoiseSettings

CLASS = "certiseg.models.denoise.SmallDenoiser"


def describe_model(channels: int, settings: DenoiseSettings) -> dict[str, Any]:
    """What rebuilds the denoiser."""
    return {
        "architecture": {
            "class": CLASS,
            "channels": channels,
            "widths": list(settings.widths),
            "blocks": list(settings.blocks),
        },
        "channels": channels,
    }


def describe_data(
    name: str, source: str, licence: str, train: int, val: int, chosen_by: str
) -> dict[str, Any]:
    return {
        "name": name,
        "source": source,
        "licence": licence,
        "train": f"{train} pictures, without their labels",
        "choice": f"{val} validation pictures: highest {chosen_by} under one fixed draw each",
    }


def describe_training(
    settings: DenoiseSettings,
    processes: int,
    command: str,
    guide: dict[str, str] | None,
    epoch: int,
    seconds: float,
    processor: str,
) -> dict[str, Any]:
    """guide: name and fingerprint of the segmentation network, where there is one."""
    own = {k: v for k, v in asdict(settings).items() if k not in ("widths", "blocks")}
    return {
        "command": command,
        "processes": processes,
        **own,
        "for": guide,
        "chosen_epoch": epoch,
        **describe_machine(seconds, processor),
    }


def describe_figures(noisy: Restored, denoised: Restored, seed: int) -> dict[str, Any]:
    """Measured on the validation pictures with the weights as stored."""
    return {
        "split": "val",
        "weights": "as stored (half precision)",
        "noise_seed": seed,
        "noisy": [asdict(level) for level in noisy.levels],
        "denoised": [asdict(level) for level in denoised.levels],
    }


def denoiser_page(card: dict[str, Any]) -> str:
    """CARD.md: the same facts for a reader."""
    data, run, figures, weights = (
        card[name] for name in ("data", "training", "figures", "weights")
    )
    plan, machine = card["architecture"], run["machine"]
    rows = "\n".join(
        f"| {exact(before['sigma'])} | {nearest(before['psnr'], 2)} | {nearest(after['psnr'], 2)} "
        f"| {share_down(before['agreement'])} | {share_down(after['agreement'])} |"
        for before, after in zip(figures["noisy"], figures["denoised"], strict=True)
    )
    low, high = run["sigma_from"], run["sigma"]
    noise = (
        f"sigma = {exact(high)}" if low is None else f"sigma between {exact(low)} and {exact(high)}"
    )
    guide = run["for"]
    objective = (
        "squared error"
        if guide is None
        else f"squared error and {exact(run['stability'])} x cross-entropy for {guide['name']} "
        f"(fingerprint {guide['fingerprint'][:12]})"
    )
    return f"""# {card["name"]}

A denoiser to put before a segmentation network that never saw noise: SmallDenoiser, \
{weights["parameters"]} parameters in half precision ({weights["bytes"]} bytes), for Gaussian \
noise of {noise} in [0, 1] input units.

| sigma | PSNR noisy, dB | denoised, dB | labels kept under noise | denoised |
|---|---|---|---|---|
{rows}

On the validation pictures, one draw of noise each, means over pictures. Labels kept: share of \
pixels that get the label of the clean picture, by the network the denoiser is for. The checkpoint \
was chosen on these pictures, so the figures are optimistically biased by that choice.

- Data: {data["name"]}. {data["train"]}; {data["choice"]}.
- Source: {data["source"]}.
- Licence of the data: {data["licence"]}.
- Objective: {objective}.
- Channels: {card["channels"]}. Architecture: widths {plan["widths"]}, blocks {plan["blocks"]}.
- Training: {run["epochs"]} epochs (epoch {run["chosen_epoch"]} kept), {run["seconds"]} s on \
{machine["cpu"]}, {machine["cores"]} cores, torch {run["torch"]}, seed {run["seed"]}.

```
{run["command"]}
```
{origin_words(run.get("started_from"))}"""
