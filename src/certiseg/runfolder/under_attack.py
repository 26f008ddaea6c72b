"""Accuracy under attack: counts of each model by the norm of the attack, their checks and table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from certiseg.files.fields import ANY, Fields, checked, list_of, one_of
from certiseg.files.fields import number as decimal
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.records import counts_from_record
from certiseg.rounding import nearest, share_up
from certiseg.runfolder.comparison import BASE_CLEAN, NON_ROBUST
from certiseg.runfolder.difference import Fact
from certiseg.runfolder.metrics import number
from certiseg.table import Column, Table

PLAIN, BASE, SMOOTHED = "non-robust model", "base model", "smoothed model"
CLEAN = {PLAIN: NON_ROBUST, BASE: BASE_CLEAN}
"""Row of the comparison that states the same without an attack."""

_NORM = decimal(0.0, 1e9)
_ENTRY: Fields = {
    "model": one_of(PLAIN, BASE, SMOOTHED),
    "epsilon": _NORM,
    "norm": _NORM,
    "confusion": ANY,
}
MOST_NORMS = 100
_PLAN: Fields = {"epsilons": list_of(_NORM, 1, MOST_NORMS)}


@dataclass
class UnderAttack:
    """Counts by model and l2 norm allowed, in the order of the records; 0 is no attack."""

    counts: dict[str, dict[float, Confusion]] = field(default_factory=dict)

    @staticmethod
    def of(entries: Sequence[Any]) -> UnderAttack:
        """From a sample's record. Raises ValueError or InputError for a damaged one."""
        found = UnderAttack()
        for entry in entries:
            values = checked(entry, _ENTRY, "an attack")
            model, epsilon, norm = values["model"], values["epsilon"], values["norm"]
            of_model = found.counts.setdefault(model, {})
            if norm > epsilon or epsilon in of_model:
                raise ValueError(f"an attack of norm {norm} at {epsilon}, or two of them")
            counts = counts_from_record(Confusion, values["confusion"])
            first = next(iter(of_model.values()), counts)
            if norm == 0 and not np.array_equal(first.counts, counts.counts):
                raise ValueError(f"an attack of norm 0 at {epsilon} that changes labels")
            of_model[epsilon] = counts
        return found

    def plain(self) -> dict[str, Confusion]:
        """All counts, by words for model and norm."""
        return {
            f"{model} at {epsilon}": counts
            for model, by_norm in self.counts.items()
            for epsilon, counts in by_norm.items()
        }

    def add(self, other: UnderAttack) -> None:
        """Add the counts of another sample."""
        for model, by_norm in other.counts.items():
            mine = self.counts.setdefault(model, {})
            for epsilon, counts in by_norm.items():
                mine[epsilon] = mine[epsilon] + counts if epsilon in mine else counts

    def rows(self) -> list[AttackRow]:
        """Rows of the table, by model."""
        return [
            AttackRow(model, epsilon, counts.accuracy, counts.miou)
            for model, by_norm in self.counts.items()
            for epsilon, counts in by_norm.items()
        ]

    def records(self) -> list[dict[str, Any]]:
        """Entries of results.json: the rows, and IoU and accuracy by class."""
        return [
            {
                **row,
                "iou": [number(value) for value in counts.iou],
                "class_accuracy": [number(value) for value in counts.class_accuracy],
            }
            for row, counts in zip(
                attack_table(self.rows()).records(), self.plain().values(), strict=True
            )
        ]


@dataclass(frozen=True)
class AttackRow:
    """Accuracy and mIoU of a model on inputs attacked with an l2 norm of at most epsilon."""

    model: str
    epsilon: float
    accuracy: float
    miou: float


def attack_table(rows: Sequence[AttackRow], title: str = "") -> Table:
    """The rows as a table."""
    columns = (
        Column("model", "model"),
        Column("epsilon", "l2 norm of the attack", partial(nearest, decimals=4)),
        Column("accuracy", "accuracy", share_up),
        Column("miou", "mIoU", share_up),
    )
    note = (
        "Accuracy on attacked inputs is an upper bound on accuracy under the worst perturbation of "
        "that norm: a stronger attack may exist. Certified accuracy is the lower bound."
    )
    return Table(columns, rows, title, (note,))


def epsilons_of(plan: Mapping[str, Any] | None) -> tuple[float, ...] | None:
    """The norms that a manifest plans, or None. Raises ValueError for a damaged plan."""
    if plan is None:
        return None
    named = {name: plan[name] for name in _PLAN}
    return tuple(checked(named, _PLAN, "the attacks")["epsilons"])


def attack_facts(
    found: UnderAttack,
    epsilons: Sequence[float],
    non_robust: bool,
    models: Mapping[str, Confusion],
    held: Confusion | None,
) -> Iterator[Fact]:
    """Facts about a sample's counts beside those of all counts. models: of the comparison, by row.
    held: certified; None for a method of another package, whose labels may not be the majority."""
    expected = [name for name in (PLAIN, BASE, SMOOTHED) if name != PLAIN or non_robust]
    yield "attacked models", list(found.counts), expected
    for model, by_norm in found.counts.items():
        yield f"{model}: norms", list(by_norm), [0.0, *epsilons]
        clean = by_norm[0.0].counts
        if (row := CLEAN.get(model)) is not None:
            yield f"{model}: without an attack", clean.tolist(), models[row].counts.tolist()
        right = [int(np.trace(counts.counts)) for counts in by_norm.values()]
        yield f"{model}: right labels by norm", right, sorted(right, reverse=True)
    if held is None:
        return
    # A certified class is the one with most votes.
    clean = found.counts[SMOOTHED][0.0].counts
    least = np.maximum(clean[:, :-1], held.counts[:, :-1])
    yield f"{SMOOTHED}: beside what is certified", clean[:, :-1].tolist(), least.tolist()
