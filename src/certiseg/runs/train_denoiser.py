"""One training of a denoiser, from pictures to files: model.safetensors, card.json, CARD.md."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.denoise import TrainedDenoiser
from certiseg.models.loaded import LoadedModel
from certiseg.models.pretrained import start_from
from certiseg.models.serialization import (
    KIND,
    WEIGHTS_FILE,
    Trained,
    load_trained,
    to_bytes,
)
from certiseg.outputs.decide import tensor_of
from certiseg.runs.device import usable_device
from certiseg.runs.environment import processor
from certiseg.runs.model_files import model_folder, write_model
from certiseg.runs.train import bare, silent
from certiseg.sampling.checks import check_evaluation_mode
from certiseg.sampling.fingerprint import model_fingerprint
from certiseg.training.card import describe_weights
from certiseg.training.denoise import Guide, fit_denoiser, measure
from certiseg.training.denoise_card import (
    denoiser_page,
    describe_data,
    describe_figures,
    describe_model,
    describe_training,
)
from certiseg.training.denoise_settings import DenoiseSettings
from certiseg.training.descent import Means, Report
from certiseg.training.memory import Kept
from certiseg.training.processes import processes
from certiseg.training.state import StateFile


@dataclass(frozen=True)
class PictureSet:
    """Pictures to learn from and to choose on, uint8 (channels, H, W), and whose they are."""

    name: str
    source: str
    licence: str
    channels: int
    train: Kept[Tensor]
    val: Kept[Tensor]


def run_denoiser_training(
    data: PictureSet,
    settings: DenoiseSettings,
    loaded: LoadedModel | None,
    out: str | Path,
    command: str,
    make_report: Callable[[int], Report],
    *,
    start: str | Trained | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any] | None:
    """Train, measure the rounded weights on val, write three files into `out`. Returns the card.

    loaded: the segmentation network whose labels are to stay, if any. start: the denoiser to
    start from. Otherwise as ``run_training``.
    """
    folder = Path(out)
    guided = None
    if loaded is not None:
        guided = {"name": bare(loaded.name), "fingerprint": model_fingerprint(loaded.model)[0]}
    with ExitStack() as stack:
        with processes(settings.device) as (among, own):
            stack.enter_context(
                model_folder(folder, resume=resume, overwrite=overwrite, among=among)
            )
            settings = replace(settings, device=own)
            device = usable_device(own)
            facts = {"data": data.name, "pictures": len(data.train), "processes": among.count}
            facts |= {"for": guided, **asdict(settings)}
            state = StateFile(folder, facts, resume=resume, overwrite=overwrite)
            guide = None if loaded is None else _guide(loaded, data, device)
            started = time.monotonic()
            torch.manual_seed(settings.seed)
            card: dict[str, Any] = {
                "kind": KIND,
                "name": folder.resolve().name,
                **describe_model(data.channels, settings),
            }
            model = TrainedDenoiser(card)
            origin = None if start is None else start_from(model, start)
            model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            steps = -(-len(data.train) // settings.batch_size) * settings.epochs
            report = make_report(steps) if among.first else silent
            means = Means(among, state)
            chosen = fit_denoiser(model, data.train, data.val, settings, guide, report, means)
            seconds = state.seconds + time.monotonic() - started
        if chosen is None:
            return None
        model.load_state_dict(chosen.weights)
        weights = to_bytes(model.network)
        parameters = sum(p.numel() for p in model.network.parameters())
        card["weights"] = describe_weights(WEIGHTS_FILE, weights, parameters)
        stored = load_trained(card, weights, card["name"]).to(device)
        levels, seed = settings.levels, settings.seed
        noisy = measure(nn.Identity(), data.val, levels, seed, guide, device)
        denoised = measure(stored, data.val, levels, seed, guide)
        card["figures"] = describe_figures(noisy, denoised, seed)
        by = "mean PSNR" if guide is None else "share of labels kept"
        card["data"] = describe_data(
            data.name, data.source, data.licence, len(data.train), len(data.val), by
        )
        card["training"] = describe_training(
            settings, among.count, command, guided, chosen.epoch, seconds, processor()
        )
        if origin is not None:
            card["training"]["started_from"] = origin
        write_model(folder, weights, card, denoiser_page(card))
        state.remove()
        return card


def _guide(loaded: LoadedModel, data: PictureSet, device: torch.device) -> Guide:
    """The network, checked on one picture: it must take it and return logits that have a slope."""
    if loaded.kind == "clouds":
        raise InputError(
            f"expected a model of pictures with --for, got {loaded.name}, which is of point clouds"
        )
    if loaded.channels is not None and loaded.channels != data.channels:
        raise InputError(
            f"expected a model for the {data.channels} channels of {data.name} with --for, got "
            f"one for {loaded.channels}; choose another model or other data"
        )
    model = loaded.model
    check_evaluation_mode(model)
    if isinstance(model, nn.Module):
        model.to(device).requires_grad_(False)
    x = (data.val[0][None].to(torch.float32) / 255).to(device).requires_grad_()
    logits = tensor_of(model(x))[0]
    if logits.ndim != 4 or not logits.requires_grad:
        raise InputError(
            f"expected logits (B, classes, H, W) with a gradient from {loaded.name}, got "
            f"{logits.dtype} of shape {tuple(logits.shape)}; leave --for out"
        )
    return model
