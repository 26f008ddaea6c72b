"""Compare methods on stored votes: the share that each certifies from the same draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.checks import tested_tau
from certiseg.certifiers.radius_map import radius_by_count
from certiseg.certifiers.segcertify import SegCertify
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.studies.names import BONFERRONI, HOLM, RADIUS_MAP, k_fwer_name, pooled_name
from certiseg.votes import Selection, VoteCounts

BUDGETS: tuple[int | float, ...] = (2, 5, 0.001, 0.01)


@dataclass(frozen=True)
class Task:
    """Properties that all certificates of a study must share.

    trials, selection: numbers of testing and selection draws. model: fingerprint, None for votes
    without a source. grid: True if labels lie on a coarser grid than the input.
    """

    noise: Noise
    tau: float
    alpha: float
    trials: int
    selection: int
    model: str | None
    grid: bool

    @property
    def draws(self) -> int:
        return self.trials + self.selection


@dataclass(frozen=True)
class Compared:
    """One method over all images.

    share, lowest, highest: mean, smallest and largest share of certified components of an image.
    gain: mean share minus that of the first method (Bonferroni).
    """

    method: str
    draws: int
    images: int
    share: float
    lowest: float
    highest: float
    gain: float


def task_of(certificate: Certificate, name: str) -> Task:
    """Task of a certificate. name: of its file, for errors.

    Raises InputError for a certificate without tau, and for one of a sequential method: there the
    number of draws depends on the votes, so tests for a fixed number would be invalid.
    """
    if certificate.tau is None or certificate.looks is not None:
        raise InputError(
            f"{name}: expected a certificate with a fixed tau and number of draws, got one of "
            f"method {certificate.method}; pass those of certify or evaluate without these options"
        )
    first, source = certificate.selection_votes, certificate.votes.source
    return Task(
        noise=certificate.noise,
        tau=certificate.tau,
        alpha=certificate.alpha,
        trials=certificate.votes.trials,
        selection=0 if first is None else first.trials,
        model=None if source is None else source.model,
        grid=source is not None and certificate.labels.shape != source.input_shape[1:],
    )


def shares(certificate: Certificate, task: Task) -> dict[str, float]:
    """Certified share by method on the draws of one certificate, Bonferroni's first.

    With selection votes, the paper's split methods come first. Pooled methods use all draws,
    selection draws included. For the radius map it is the share certified at R(tau).
    """
    votes, first = certificate.votes, certificate.selection_votes
    found: dict[str, float] = {}
    if first is not None:
        found |= _flat(votes, votes.hits(first.mode()), task, "split")
        votes = votes + first
    _, hits = votes.top()
    found |= _flat(votes, hits, task, "pooled")
    radius = radius_by_count(hits, votes.trials, noise=task.noise, alpha=task.alpha, eta=votes.eta)
    # False for NaN, where nothing is certified.
    held = radius >= task.noise.radius(task.tau)
    found[RADIUS_MAP] = float(held[hits].mean())
    return found


def compared(images: Iterable[Mapping[str, float]], draws: int) -> list[Compared]:
    """Summarize the shares of all images in one row per method."""
    table = list(images)
    baseline = np.array([next(iter(row.values())) for row in table])
    rows = []
    for method in table[0]:
        share = np.array([row[method] for row in table])
        rows.append(
            Compared(
                method=method,
                draws=draws,
                images=len(table),
                share=float(share.mean()),
                lowest=float(share.min()),
                highest=float(share.max()),
                gain=float((share - baseline).mean()),
            )
        )
    return rows


def _flat(
    votes: VoteCounts, hits: NDArray[np.integer], task: Task, selection: Selection
) -> dict[str, float]:
    level: dict[str, Any] = {"tau": task.tau, "alpha": task.alpha, "selection": selection}
    methods = {BONFERRONI: SegCertify(correction="bonferroni", **level), HOLM: SegCertify(**level)}
    for budget in BUDGETS:
        k = min(budget, hits.size)
        methods[k_fwer_name(budget)] = SegCertify(correction="k-fwer", budget=k, **level)
    name = pooled_name if selection == "pooled" else str
    tested = tested_tau(task.tau, votes)
    return {
        name(method): float((hits >= made.cutoff(hits, votes.trials, tested)).mean())
        for method, made in methods.items()
    }
