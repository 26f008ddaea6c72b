"""The card of a model trained on clouds: what a reader needs to judge or repeat the training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from certiseg.datasets.card import Card
from certiseg.models.pointnet.network import Plan
from certiseg.rounding import share_down
from certiseg.training.card import describe_machine
from certiseg.training.cloud_settings import CloudSettings
from certiseg.training.validate import Figures

CLASS = "certiseg.models.pointnet.network.PointNet2"


def describe_model(card: Card, plan: Plan) -> dict[str, Any]:
    """What rebuilds the model: architecture, classes, categories (in one-hot order), parts."""
    assert card.parts is not None
    return {
        "architecture": {"class": CLASS, **plan.record()},
        "classes": list(card.classes),
        "palette": [list(colour) for colour in card.palette],
        "channels": card.channels,
        "categories": list(card.parts),
        "parts": {name: list(labels) for name, labels in card.parts.items()},
    }


def describe_data(card: Card, points: int, counts: dict[str, str], noisy: bool) -> dict[str, Any]:
    """counts: of "train", "val" and "test", such as "250 clouds". noisy: whether trained so."""
    draw = " under one fixed draw of noise each" if noisy else ""
    return {
        "name": card.name,
        "source": card.source,
        "licence": card.licence,
        "points": points,
        "train": f"train split, {counts['train']}",
        "choice": f"val split, {counts['val']}: highest mIoU{draw}",
        "test": f"test split, {counts['test']}: no part in any choice",
    }


def describe_training(
    settings: CloudSettings, command: str, epoch: int, seconds: float, processor: str
) -> dict[str, Any]:
    own = {k: v for k, v in asdict(settings).items() if k != "noise"}
    noise = settings.noise
    return {
        "command": command,
        "noise": noise.kind,
        "sigma": noise.sigma,
        "axis": noise.axis,
        "in_words": noise.words(),
        **own,
        "chosen_epoch": epoch,
        **describe_machine(seconds, processor),
    }


def describe_figures(
    clean: dict[str, Figures], noisy: dict[str, Figures] | None, seed: int
) -> dict[str, Any]:
    """clean, noisy: figures of "val" and "test", with the weights as stored."""

    def of(split: str) -> dict[str, Any]:
        one = None if noisy is None else {**asdict(noisy[split]), "noise_seed": seed}
        return {"clean": asdict(clean[split]), "one_draw": one}

    weights = "as stored (half precision)"
    return {"split": "val", "weights": weights, **of("val"), "test": of("test")}


def cloud_page(card: dict[str, Any]) -> str:
    """CARD.md: the same facts for a reader."""
    data, run, figures, weights = (
        card[name] for name in ("data", "training", "figures", "weights")
    )
    measured = (
        (split, words, found[name])
        for split, found in (("val", figures), ("test", figures["test"]))
        for words, name in (("clean", "clean"), (f"one draw: {run['in_words']}", "one_draw"))
    )
    table = "\n".join(
        f"| {split} | {words} | {share_down(values['accuracy'])} | {share_down(values['miou'])} |"
        for split, words, values in measured
        if values is not None
    )
    machine, plan = run["machine"], card["architecture"]
    return f"""# {card["name"]}

PointNet++ (preset {run["preset"]}), {weights["parameters"]} parameters in half precision \
({weights["bytes"]} bytes), trained with {run["in_words"]}.

| split | input | point accuracy | mIoU |
|---|---|---|---|
{table}

Accuracy is over all points, mIoU over the classes. The checkpoint was chosen on the val split.

- Data: {data["name"]}, {data["points"]} points a cloud. {data["train"]}; {data["choice"]}; \
{data["test"]}.
- Source: {data["source"]}.
- Licence of the data: {data["licence"]}.
- Categories: {", ".join(card["categories"])}. Classes: {", ".join(card["classes"])}.
- Channels: {card["channels"]}. Groups {plan["groups"]}, radii {plan["radii"]}, neighbours \
{plan["neighbours"]}.
- Training: {run["epochs"]} epochs (epoch {run["chosen_epoch"]} kept), {run["seconds"]} s on \
{machine["cpu"]}, {machine["cores"]} cores, torch {run["torch"]}, seed {run["seed"]}.

```
{run["command"]}
```
"""
