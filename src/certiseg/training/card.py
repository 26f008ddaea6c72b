"""The card of a trained model: what a reader needs to judge or repeat the training.

This module has what the cards of all trainings share; each task adds its parts (``training.task``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from certiseg.rounding import share_down
from certiseg.training.task import Figures

STORED = "as stored (half precision)"


def describe_figures(clean: Figures, noisy: Figures | None, seed: int) -> dict[str, Any]:
    """Metrics on clean inputs, and under one draw of noise per input (noisy; None without
    noise)."""
    return {
        "clean": asdict(clean),
        "one_draw": None if noisy is None else {**asdict(noisy), "noise_seed": seed},
    }


def figure_lines(figures: dict[str, dict[str, Any]]) -> list[str]:
    """Metrics by split, as returned by ``describe_figures``, as lines for the terminal."""
    return [
        f"{split}, {words}: accuracy {share_down(v['accuracy'])}, mIoU {share_down(v['miou'])}"
        for split, found in figures.items()
        for words, v in (("clean", found["clean"]), ("one draw of noise", found["one_draw"]))
        if v is not None
    ]


def bare(spec: str | Path) -> str:
    """Replace a path by PATH/TO/NAME; other model names stay. Cards must not contain local
    folders."""
    if isinstance(spec, Path) or Path(spec).exists():
        return f"PATH/TO/{Path(spec).resolve().name}"
    return spec


def size_words(card: dict[str, Any]) -> str:
    weights = card["weights"]
    return f"{weights['parameters']} parameters in half precision ({weights['bytes']} bytes)"


def card_page(
    card: dict[str, Any],
    introduction: str,
    table: Sequence[Sequence[str]],
    about: str,
    facts: Sequence[str],
) -> str:
    """CARD.md as text.

    table: headings, then rows of metrics. about: the sentence below the table. facts: further items
    of the list, between the data and the training.
    """
    data, run = card["data"], card["training"]
    head, *body = (f"| {' | '.join(cells)} |" for cells in table)
    points = f", {data['points']} points a cloud" if "points" in data else ""
    splits = "; ".join(data[name] for name in ("train", "choice", "test") if name in data)
    machine = run["machine"]
    listed = [
        f"Data: {data['name']}{points}. {splits}",
        f"Source: {data['source']}",
        f"Licence of the data: {data['licence']}",
        *facts,
        f"Training: {run['epochs']} epochs (epoch {run['chosen_epoch']} kept), {run['seconds']} s "
        f"on {machine['cpu']}, {machine['cores']} cores, torch {run['torch']}, seed {run['seed']}",
    ]
    lines = [head, "|" + "---|" * len(table[0]), *body, "", about, ""]
    lines += [f"- {fact}." for fact in listed]
    command = f"```\n{run['command']}\n```\n{_origin_words(run.get('started_from'))}"
    return "\n".join([f"# {card['name']}", "", introduction, "", *lines, "", command])


def _origin_words(started_from: dict[str, Any] | None) -> str:
    if started_from is None:
        return ""
    if "package" in started_from:
        return f"\nIts encoder started from the weights of {started_from['package']}.\n"
    earlier = _origin_words(started_from.get("started_from"))
    return f"\nIt started from the weights of\n\n```\n{started_from['command']}\n```\n{earlier}"
