"""Baselines: CERTIFY and PREDICT of Cohen et al., and IndivClass and JointClass of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import Method
from certiseg.certifiers.checks import check_fresh, check_noise, check_stages, lowered
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.stats.binomial import lower_bound, upper_tail
from certiseg.stats.pvalues import checked_alpha
from certiseg.votes import ABSTAIN, Selection, VoteCounts, labels_dtype


@dataclass(frozen=True, kw_only=True)
class Individual(Method):
    """IndivClass with its alpha; ``individual`` states the guarantee."""

    name: ClassVar[str] = "individual"
    title: ClassVar[str] = "IndivClass"

    alpha: float = 1e-3
    selection: Selection = "pooled"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``individual``."""
        check_noise(votes, noise)
        level = self.alpha / votes.num_components
        if selection_votes is None:
            candidates, level = votes.mode(), level / 2
        else:
            check_stages(votes, selection_votes)
            candidates = selection_votes.mode()
        worst = votes.hits(candidates).min()
        # The smallest count has the smallest bound.
        bound = lowered(float(lower_bound(worst, votes.trials, level)), votes.eta)
        held = bound > 0.5
        labels = candidates if held else np.full(votes.shape, ABSTAIN)
        return Certificate(
            method=self.name,
            labels=np.asarray(labels).astype(labels_dtype(votes.num_classes)),
            radius=noise.radius(bound) if held else 0.0,
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            selection="pooled" if selection_votes is None else "split",
            selection_votes=selection_votes,
        )

    @classmethod
    def theorem(cls, certificate: Certificate) -> str:
        return "T6"


@dataclass(frozen=True, kw_only=True)
class Classify(Individual):
    """CERTIFY with its alpha; ``classify`` states the guarantee."""

    name: ClassVar[str] = "classify"
    title: ClassVar[str] = "CERTIFY"

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``classify``."""
        if votes.num_components != 1:
            raise InputError(
                f"expected votes of one component, got {votes.num_components}; "
                "certify many at once with certiseg.certify"
            )
        return super().certify(votes, noise=noise, selection_votes=selection_votes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint(Method):
    """JointClass with its alpha and label map (candidates); ``joint`` states the guarantee."""

    name: ClassVar[str] = "joint"
    title: ClassVar[str] = "JointClass"

    alpha: float = 1e-3
    candidates: NDArray[np.int32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))
        object.__setattr__(self, "candidates", checked_labels(self.candidates))

    @property
    def selection(self) -> Selection:
        return "split"

    def certify(
        self, votes: VoteCounts, *, noise: Noise, selection_votes: VoteCounts | None = None
    ) -> Certificate:
        """See ``joint``."""
        if votes.counts.shape != (2,):
            raise InputError(
                f"expected votes of shape (2,), equal and not equal, got {votes.counts.shape}; "
                "count them with Smoothed.vote_joint"
            )
        check_noise(votes, noise)
        if selection_votes is not None:
            check_fresh(votes, selection_votes)
        hits = int(votes.counts[0])
        bound = lowered(float(lower_bound(hits, votes.trials, self.alpha)), votes.eta)
        held, labels = bound > 0.5, self.candidates
        return Certificate(
            method=self.name,
            labels=labels if held else np.full_like(labels, ABSTAIN),
            radius=noise.radius(bound) if held else 0.0,
            votes=votes,
            noise=noise,
            alpha=self.alpha,
            selection="split",
            candidates=labels,
        )

    @classmethod
    def of(cls, stored: Certificate) -> Self:
        if stored.candidates is None:
            raise InputError("expected all parameters of the method, got no candidates")
        return cls(alpha=stored.alpha, candidates=stored.candidates)

    @classmethod
    def whole_claim(cls, certificate: Certificate) -> str | None:
        total = certificate.labels.size
        return f"the whole label map of {total} components is the smoothed model's"

    @classmethod
    def assumed(cls, certificate: Certificate) -> str | None:
        if certificate.votes.source is None:
            return None
        return "the caller answers for the draws that chose the candidates"


def individual(
    votes: VoteCounts,
    *,
    noise: Noise,
    alpha: float = 1e-3,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """IndivClass: CERTIFY at level alpha / N for each component, with their smallest radius.

    Guarantee: with probability >= 1 - alpha over the draws, all labels stay the majority labels
    under every perturbation of norm < radius. If one component has a bound of at most 1/2, all
    abstain; the paper therefore replaced it by SegCertify.

    Args:
        votes: counts (*components, C) of the testing draws.
        noise: noise of the draws.
        alpha: error probability in (0, 1), fixed before sampling.
        selection_votes: counts of separate draws that choose the candidates (the paper's two
            stages, T2). None: the testing draws choose them, at half the level (T6).

    Returns:
        The certificate: all components at one radius, or all ABSTAIN.

    Raises:
        InputError: for alpha outside (0, 1), for draws in both sets of votes, and for votes of
            another noise.

    Reference:
        Fischer, Baader, Vechev 2021, section 4 (baseline IndivClass); theory T1, T2, T6.
    """
    return Individual(alpha=alpha).certify(votes, noise=noise, selection_votes=selection_votes)


def classify(
    votes: VoteCounts,
    *,
    noise: Noise,
    alpha: float = 1e-3,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """CERTIFY: the label of a single component and the largest radius that its votes prove.

    Guarantee: with probability >= 1 - alpha over the draws, the label (unless ABSTAIN) is the
    smoothed classifier's under every perturbation of norm < radius.

    Args:
        votes: counts (C,) of the testing draws.
        noise: noise of the draws.
        alpha: error probability in (0, 1), fixed before sampling.
        selection_votes: counts (C,) of separate draws that choose the candidate, as published.
            None: the testing draws choose it, at half the level (T6).

    Returns:
        The certificate: radius = noise.radius(p) with p the one-sided Clopper-Pearson bound;
        ABSTAIN and radius 0.0 where p <= 1/2.

    Raises:
        InputError: for votes of more than one component, and for draws in both sets of votes.

    Example:
        >>> import certiseg as cs
        >>> made = cs.classify(cs.VoteCounts([99, 1], 100), noise=cs.Gaussian(0.25))
        >>> int(made.labels), round(made.radius, 3)
        (0, 0.327)

    Reference:
        Cohen, Rosenfeld, Kolter 2019, Algorithm CERTIFY; theory T1, T2, T6.
    """
    return Classify(alpha=alpha).certify(votes, noise=noise, selection_votes=selection_votes)


def joint(
    votes: VoteCounts,
    *,
    candidates: ArrayLike,
    noise: Noise,
    alpha: float = 1e-3,
    selection_votes: VoteCounts | None = None,
) -> Certificate:
    """JointClass: CERTIFY with the whole label map as one class; all or no components abstain.

    Guarantee: with probability >= 1 - alpha over the draws, the whole label map is the most
    probable one under every perturbation of norm < radius.

    Args:
        votes: counts (2,): draws whose label map equals candidates, and all others, from
            ``Smoothed.vote_joint``. They do not record the map that was compared, so ``verify``
            checks the count and the radius, not the map.
        candidates: label map, ints (*components), chosen by *separate* draws.
        noise: noise of the draws.
        alpha: error probability in (0, 1), fixed before sampling.
        selection_votes: counts of the draws that chose the candidates, to check that they are
            separate. None: the caller answers for it.

    Returns:
        The certificate: the candidates at one radius, or all ABSTAIN.

    Raises:
        InputError: for votes of another shape, and for candidates that are not labels.

    Reference:
        Fischer, Baader, Vechev 2021, section 4 (baseline JointClass); theory T1, T2.
    """
    method = Joint(alpha=alpha, candidates=np.asarray(candidates))
    return method.certify(votes, noise=noise, selection_votes=selection_votes)


def predict(votes: VoteCounts, *, alpha: float = 1e-3) -> NDArray[np.signedinteger]:
    """PREDICT: the majority label of the ideal smoothed model, or ABSTAIN. No radius.

    Guarantee: with probability >= 1 - alpha over the draws, every label returned is the most
    probable label of its component under the noise (Bonferroni over N components). It bounds the
    error of a deployed majority vote (theory T15), not robustness.

    Args:
        votes: counts (*components, C).
        alpha: error probability in (0, 1), fixed before sampling.

    Returns:
        Labels, int16 or wider, of shape components.

    Raises:
        InputError: for alpha outside (0, 1).

    Example:
        >>> import certiseg as cs
        >>> cs.predict(cs.VoteCounts([[90, 10], [55, 45]], 100))
        array([ 0, -1], dtype=int16)

    Reference:
        Cohen, Rosenfeld, Kolter 2019, Algorithm PREDICT (two-sided test of the two most frequent
        labels); Hung & Fithian 2019.
    """
    alpha = checked_alpha(alpha)
    # The joint law of n draws is within n eta of the ideal one in total variation (T12).
    left = alpha - votes.trials * votes.eta
    top = votes.mode()
    first = votes.hits(top)
    rest = votes.counts.astype(np.int64)
    np.put_along_axis(rest, top[..., None], -1, axis=-1)
    second = np.maximum(rest.max(axis=-1), 0)
    pvalues = np.minimum(2.0 * upper_tail(first, first + second, 0.5), 1.0)
    labels = np.where(pvalues * votes.num_components <= left, top, ABSTAIN)
    return np.asarray(labels).astype(labels_dtype(votes.num_classes))


def checked_labels(candidates: ArrayLike) -> NDArray[np.int32]:
    """The label map as int32. Raises InputError unless all its values are labels >= 0."""
    labels = np.asarray(candidates)
    if labels.dtype.kind not in "iu" or labels.size == 0:
        raise InputError(
            f"expected candidates that are integer labels, got {labels.dtype} of shape "
            f"{labels.shape}; pass a whole label map"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise InputError(
            f"expected candidates that are labels >= 0, got [{labels.min()}, {labels.max()}]; "
            "a joint label map has no abstentions"
        )
    return labels.astype(np.int32)
