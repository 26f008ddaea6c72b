"""SegCertify: certify all components whose label has probability > tau, at one radius."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import Method
from certiseg.certifiers.checks import check_noise, check_stages, tested_tau
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.multiple_testing import bonferroni_cutoff, step_down_cutoff
from certiseg.stats.pvalues import (
    checked_alpha,
    checked_tau,
    dominant_tail,
    min_trials,
    pooled_pvalues,
    wrong_label_tail,
)
from certiseg.votes import ABSTAIN, Selection, VoteCounts, labels_dtype

Correction = Literal["holm", "bonferroni", "k-fwer", "k-fwer-single"]
CORRECTIONS: dict[Correction, str] = {
    "holm": "Holm correction",
    "bonferroni": "Bonferroni correction",
    "k-fwer": "step-down error budget",
    "k-fwer-single": "single-step error budget",
}
"""Corrections by name, with their phrase for a statement."""
Budget = int | float | None
"""Error budget k: a number of components, a fraction of them, or None."""


@dataclass(frozen=True, kw_only=True)
class SegCertify(Method):
    """SegCertify with its parameters; ``certify`` states the guarantee.

    Raises InputError for invalid parameters.
    """

    name: ClassVar[str] = "segcertify"
    title: ClassVar[str] = "SegCertify"
    corrections: ClassVar[tuple[Correction, ...]] = get_args(Correction)
    selections: ClassVar[tuple[Selection, ...]] = get_args(Selection)

    tau: float = 0.75
    alpha: float = 1e-3
    correction: Correction = "holm"
    budget: Budget = None
    selection: Selection = "pooled"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", checked_tau(self.tau))
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))
        *most, last = self.corrections
        if self.correction not in self.corrections:
            raise InputError(
                f"expected correction {', '.join(most)} or {last} with {self.title}, got "
                f"{self.correction!r}; choose one"
            )
        if self.selection not in self.selections:
            raise InputError(
                f"expected selection {' or '.join(self.selections)} with {self.title}, got "
                f"{self.selection!r}; choose one"
            )
        if self.correction.startswith("k-fwer") != (self.budget is not None):
            raise InputError(
                "expected a budget with the k-fwer corrections and only with them, got correction "
                f"{self.correction!r} and budget {self.budget!r}; pass both, such as k-fwer with "
                "0.001"
            )
        checked_budget(self.budget, None)

    def check_draws(
        self, components: int, num_samples: int, num_classes: int | None = None
    ) -> None:
        """Raise InputError for fewer than n_min draws (theory T7), with which not even n of n votes
        certify a component; the message states n_min."""
        self._check_draws(components, num_samples, self.tau)

    def _check_draws(self, components: int, trials: int, tau: float) -> None:
        allowed = checked_budget(self.budget, components)
        needed = min_trials(components, tau, self.alpha, selection=self.selection, budget=allowed)
        if trials < needed:
            raise InputError(
                f"expected at least {needed} draws for {components} components at tau = {tau:g}, "
                f"alpha = {self.alpha:g}, got {trials}; with fewer nothing can be certified, "
                f"set num_samples (-n) to {needed} or more"
            )

    def _checked(self, votes: VoteCounts, noise: Noise) -> float:
        """Check votes and noise, and return the tested threshold tau + eta."""
        tested = tested_tau(self.tau, votes)
        self._check_draws(votes.num_components, votes.trials, tested)
        check_noise(votes, noise)
        return tested

    def cutoff(self, hits: NDArray[np.integer], trials: int, tested: float) -> int:
        """Smallest vote count that certifies a candidate label. tested: tau + eta (T12)."""
        return flat_cutoff(
            hits,
            trials,
            tau=tested,
            alpha=self.alpha,
            correction=self.correction,
            selection=self.selection,
            budget=checked_budget(self.budget, hits.size),
        )

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``certify``."""
        if (self.selection == "split") != (selection_votes is not None):
            raise InputError(
                f"expected selection_votes with selection='split' and only then, got "
                f"{self.selection!r} {'without' if selection_votes is None else 'with'} them; pass "
                "both or neither"
            )
        tested = self._checked(votes, noise)
        if selection_votes is None:
            candidates, hits = votes.top()
        else:
            check_stages(votes, selection_votes)
            candidates, _ = selection_votes.top()
            hits = votes.hits(candidates)
        cutoff = self.cutoff(hits, votes.trials, tested)
        labels = candidates.astype(labels_dtype(votes.num_classes), copy=False)
        # ABSTAIN = -1 has all bits set; several times faster than np.where.
        labels = labels | ABSTAIN * (hits < cutoff).astype(labels.dtype)
        return self._made(labels, votes, noise, cutoff=cutoff, selection_votes=selection_votes)

    def _made(
        self, labels: NDArray[np.signedinteger], votes: VoteCounts, noise: Noise, **others: Any
    ) -> Certificate:
        k = None if self.budget is None else checked_budget(self.budget, votes.num_components)
        return Certificate(
            method=self.name,
            labels=labels,
            radius=noise.radius(self.tau),
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            tau=self.tau,
            correction=self.correction,
            budget=k,
            selection=self.selection,
            **others,
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self | None:
        """The default: selected if no other method is."""
        names = ("tau", "alpha", "correction", "budget", "selection")
        return cls(**{name: settings[name] for name in names})

    @classmethod
    def tested_by(cls, certificate: Certificate) -> str:
        budget = "" if certificate.budget is None else f" k = {certificate.budget} (T5)"
        correction = CORRECTIONS[certificate.correction]  # type: ignore[index]
        return f", tau = {certificate.tau!r}, {correction}{budget}"


def certify(
    votes: VoteCounts,
    *,
    noise: Noise,
    tau: float = 0.75,
    alpha: float = 1e-3,
    correction: Correction = "holm",
    budget: Budget = None,
    selection: Selection | None = None,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """Certify every component whose label has probability > tau, family-wise error <= alpha.

    Guarantee: with probability >= 1 - alpha over the draws, every certified label has probability
    > tau under the noise, so it stays the majority label under every perturbation of norm
    < ``noise.radius(tau)``, for all certified components at once (theory T1). With an error
    budget k: all but at most k - 1 of the certified labels (T5).

    Args:
        votes: counts (*components, C) of n draws.
        noise: noise of the draws.
        tau: in [1/2, 1), fixed before sampling.
        alpha: error probability in (0, 1), fixed before sampling.
        correction: "holm" or "bonferroni" (T4), or with a budget "k-fwer" (step-down) or
            "k-fwer-single" (T5).
        budget: k in [1, N], or a fraction of N in (0, 1).
        selection: "pooled": the same draws choose the candidate labels and test them (T3). "split":
            selection_votes choose and votes test them (T2), as in the paper. None: "split" if
            selection_votes are given.
        selection_votes: counts of separate draws.

    Returns:
        The certificate, with one radius for all certified components.

    Raises:
        InputError: for bad parameters, for n below n_min, for draws in both sets of votes, and for
            votes of another noise.

    Example:
        >>> import certiseg as cs
        >>> votes = cs.VoteCounts([[98, 2], [60, 40]], 100)
        >>> cs.certify(votes, noise=cs.Gaussian(0.25)).labels
        array([ 0, -1], dtype=int16)

    Reference:
        Fischer, Baader, Vechev 2021, Algorithm SegCertify; Lehmann & Romano 2005; theory T2 to T5.
    """
    if selection is None:
        selection = "pooled" if selection_votes is None else "split"
    method = SegCertify(
        tau=tau, alpha=alpha, correction=correction, budget=budget, selection=selection
    )
    return method.certify(votes, noise=noise, selection_votes=selection_votes)


def checked_budget(budget: Budget, components: int | None) -> int:
    """The error budget k as an integer; 1 if budget is None. Raises InputError.

    budget: int in [1, N], or a float in (0, 1), of which k is max(1, floor(budget * N)).
    components: N; None if unknown, when a fraction gives 1.
    """
    if budget is None:
        return 1
    most = "the number of components" if components is None else str(components)
    refused = InputError(
        f"expected a budget that is a whole number in [1, {most}] or a fraction in (0, 1), got "
        f"{budget!r}; with budget k up to k - 1 certified components may be wrong"
    )
    if isinstance(budget, (int, np.integer)) and not isinstance(budget, bool):
        if budget < 1 or (components is not None and budget > components):
            raise refused
        return int(budget)
    if not isinstance(budget, (float, np.floating)) or not 0.0 < budget < 1.0:
        raise refused
    return max(1, math.floor(float(budget) * (components or 0)))


def flat_cutoff(
    hits: NDArray[np.integer],
    trials: int,
    *,
    tau: float,
    alpha: float,
    correction: str,
    selection: str = "pooled",
    budget: int = 1,
) -> int:
    """Smallest vote count that certifies a label, ``trials + 1`` for none (theory T4, T5).

    hits: vote count of each component's candidate label, any shape. budget: k.
    """
    histogram = np.bincount(hits.ravel(), minlength=trials + 1)
    pooled = selection == "pooled"
    if correction in ("bonferroni", "k-fwer-single"):
        table = pooled_pvalues(trials, tau) if pooled else dominant_tail(trials, tau)
        return bonferroni_cutoff(histogram, table, budget * alpha)
    stray = wrong_label_tail(trials, tau) if pooled else None
    return step_down_cutoff(
        histogram, dominant_tail(trials, tau), alpha, everywhere=stray, budget=budget
    )
