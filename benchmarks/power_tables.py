"""What ``power.py`` gathers over the images, and the tables made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

import certiseg as cs
from certiseg.rounding import nearest, share_down
from certiseg.table import Column, Table
from compared_methods import HOLM, Method

Rows = list[dict[str, Any]]
Key = tuple[str, int]
"""Name of a method, and passes."""
Sum = TypeVar("Sum", cs.Confusion, cs.InformationGain)


@dataclass(frozen=True)
class Gathered:
    """Lists with one entry an image, and sums over the images; all by the method's name.

    share: certified at a number of passes. stopped: (certified, passes used) under a budget of
    passes. accuracy: certified labels. base: labels without certificates. nodes: (certified as any
    node, as a class), gain and node_accuracy of the comparison of hierarchies.
    """

    share: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    stopped: dict[Key, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    accuracy: dict[str, cs.Confusion] = field(default_factory=dict)
    base: dict[str, cs.Confusion] = field(default_factory=dict)
    nodes: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    gain: dict[str, cs.InformationGain] = field(default_factory=dict)
    node_accuracy: dict[str, cs.Confusion] = field(default_factory=dict)


def add(to: dict[str, Sum], name: str, part: Sum) -> None:
    to[name] = to[name] + part if name in to else part


def mean_share(out: Gathered, name: str, passes: int) -> float:
    return float(np.mean(out.share[name, passes]))


def _cut(share: float) -> float:
    """Four decimals, never more than it is."""
    return float(share_down(share))


def shares(out: Gathered, methods: Sequence[Method], shown: Sequence[int], at: int) -> Rows:
    """Certified share by method and passes; the certified accuracy at one number of passes."""
    return [
        {
            "method": method.name,
            **{f"n = {n}": _cut(mean_share(out, method.name, n)) for n in shown},
            f"certified accuracy, n = {at}": _cut(out.accuracy[method.name].certified_accuracy),
            "other claim": method.other_claim,
        }
        for method in methods
    ]


def passes_needed(
    out: Gathered, fixed: Sequence[Method], stopping: Sequence[Method], targets: Sequence[int]
) -> Rows:
    """The fewest passes whose mean share is at least that of Holm at each target.

    Of the methods that stop: mean passes used under the smallest budget that gets there.
    """
    rows: Rows = []
    for method in fixed:
        if method.looks:
            continue
        tried = sorted(n for name, n in out.share if name == method.name)
        row: dict[str, Any] = {"method": method.name}
        for target in targets:
            wanted = mean_share(out, HOLM, target)
            enough = (n for n in tried if mean_share(out, method.name, n) >= wanted)
            row[heading(out, target)] = next(enough, None)
        rows.append({**row, "other claim": method.other_claim})
    for method in stopping:
        budgets = sorted(n for name, n in out.stopped if name == method.name)
        found = {n: np.mean(out.stopped[method.name, n], axis=0) for n in budgets}
        row = {"method": method.name}
        for target in targets:
            enough = (n for n in budgets if found[n][0] >= mean_share(out, HOLM, target))
            budget = next(enough, None)
            used = None if budget is None else f"{nearest(found[budget][1], 0)} of at most {budget}"
            row[heading(out, target)] = used
        rows.append({**row, "other claim": ""})
    return rows


def heading(out: Gathered, target: int) -> str:
    return f"share of Holm at {target} ({share_down(mean_share(out, HOLM, target))})"


def stopped(out: Gathered, methods: Sequence[Method], shown: Sequence[int]) -> Rows:
    """Share and mean passes used, by the budget of passes."""

    def words(key: Key) -> str:
        share, used = np.mean(out.stopped[key], axis=0)
        return f"{share_down(share)} with {nearest(used, 0)}"

    return [
        {"method": method.name, **{f"n <= {n}": words((method.name, n)) for n in shown}}
        for method in methods
    ]


def hierarchies(out: Gathered) -> Rows:
    """Certificates of nodes: shares, information gain and accuracy."""
    return [
        {
            "method": name,
            "certified": _cut(float(np.mean([nodes for nodes, _ in out.nodes[name]]))),
            "as a class": _cut(float(np.mean([classes for _, classes in out.nodes[name]]))),
            "CIG": _cut(gain.cig),
            "class CIG": _cut(gain.class_cig),
            "certified accuracy": _cut(out.node_accuracy[name].certified_accuracy),
        }
        for name, gain in out.gain.items()
    ]


def base_models(out: Gathered) -> Rows:
    """Labels without certificates."""
    return [
        {"labels": name, "accuracy": _cut(counts.accuracy), "mIoU": _cut(counts.miou)}
        for name, counts in out.base.items()
    ]


def markdown(title: str, rows: Rows) -> str:
    """A table; what is missing or 0 is a dash."""

    def shown(value: Any) -> str:
        return share_down(value) if isinstance(value, float) and value else str(value or "-")

    table = Table([Column(name, name, shown) for name in rows[0]], rows)
    return f"**{title}**\n\n{table.markdown()}"
