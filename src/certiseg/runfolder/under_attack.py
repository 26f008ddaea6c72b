"""Accuracy under attack: counts of each model by the norm of the attack, their checks and table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

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
_PLAN: Fields = {"epsilons": list_of(_NORM, 1, 1000)}


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
            if values["norm"] > values["epsilon"]:
                raise ValueError(f"an attack of norm {values['norm']} at {values['epsilon']}")
            of_model = found.counts.setdefault(values["model"], {})
            of_model[values["epsilon"]] = counts_from_record(Confusion, values["confusion"])
        return found

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
                "iou": [number(value) for value in self._of(row).iou],
                "class_accuracy": [number(value) for value in self._of(row).class_accuracy],
            }
            for row in attack_table(self.rows()).records()
        ]

    def _of(self, row: Mapping[str, Any]) -> Confusion:
        return self.counts[row["model"]][row["epsilon"]]


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
    held: Confusion,
) -> Iterator[Fact]:
    """Facts about a sample's counts. models: of the comparison, by row. held: certified."""
    expected = [name for name in (PLAIN, BASE, SMOOTHED) if name != PLAIN or non_robust]
    yield "attacked models", list(found.counts), expected
    truth = held.counts.sum(axis=1).tolist()
    for model, by_norm in found.counts.items():
        yield f"{model}: norms", list(by_norm), [0.0, *epsilons]
        for epsilon, counts in by_norm.items():
            name = f"{model} at {epsilon}"
            yield f"{name}: shape", counts.counts.shape, held.counts.shape
            yield f"{name}: components by true class", counts.counts.sum(axis=1).tolist(), truth
            yield f"{name}: unlabelled components", counts.unlabelled, held.unlabelled
            abstained = int(counts.counts[:, -1].sum()) + counts.unlabelled_abstained
            yield f"{name}: abstentions", abstained, 0
        if (row := CLEAN.get(model)) is not None:
            clean = by_norm[0.0].counts.tolist()
            yield f"{model}: without an attack", clean, models[row].counts.tolist()
