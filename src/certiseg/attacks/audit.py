"""A certificate under attack: does any certified label lose its majority within the radius?

The attack knows the certificate: it asks only for certified components, and those that are easiest
to move count most. Whether one has moved is decided by fresh draws at the attacked input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from torch import Tensor

from certiseg.attacks.attack import Attack, attack
from certiseg.attacks.losses import Loss
from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.sampling.checks import check_input, checked_count
from certiseg.sampling.fingerprint import input_fingerprint
from certiseg.sampling.progress import Progress
from certiseg.sampling.sampler import Smoothed
from certiseg.stats.binomial import upper_tail
from certiseg.stats.pvalues import checked_alpha
from certiseg.votes import VoteCounts

FACTORS = (0.5, 0.9, 1.0, 1.5, 2.0, 4.0)


@dataclass(frozen=True, eq=False)
class Audit:
    """What one attack did to the certified components.

    Attributes:
        factor: of the certified radius; at 1 the attack's norm is just below it.
        found: the attack.
        votes: fresh draws at the attacked input.
        components: certified components, all voted on; with a focus, few of them were aimed at.
        moved: those whose certified label has a probability below 1/2 there, at a level alpha for
            all components of the audit together (Bonferroni, one-sided binomial test).
        below_half: those with votes of less than half, whether or not that is significant.
        fewest: the smallest share of votes that a certified label had.
    """

    factor: float
    found: Attack
    votes: VoteCounts
    components: int
    moved: int
    below_half: int
    fewest: float

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "factor": self.factor,
            "epsilon": self.found.epsilon,
            "norm": self.found.norm,
            "loss": self.found.loss,
            "components": self.components,
            "moved": self.moved,
            "below_half": self.below_half,
            "fewest": self.fewest,
        }


def audit(
    smoothed: Smoothed,
    x: Tensor | ArrayLike,
    certificate: Certificate,
    *,
    factors: Sequence[float] = FACTORS,
    num_samples: int = 100,
    alpha: float = 1e-3,
    loss: Loss | Sequence[Loss] = "ce",
    steps: int = 50,
    restarts: int = 1,
    draws: int = 4,
    focus: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    progress: Progress = False,
) -> list[Audit]:
    """Attack what is certified, at several sizes, and vote again at each attacked input.

    If no component is moved at factors up to 1, the certificate stood; it, or this test, errs with
    probability at most the sum of both alphas. Factors above 1 show what the attack can do: where
    it moves nothing at 4 either, it says little.

    Args:
        smoothed: the model that was certified.
        x: the input that was certified.
        certificate: with one radius for all components (not a radius map), without a hierarchy.
        factors: sizes of the attacks, in certified radii.
        num_samples: fresh draws at each attacked input.
        alpha: of the test over all components and factors.
        loss, steps, restarts, draws, seed: of the attack, as in ``certiseg.attack``. Losses that
            leave out components already reached stop at 1/2, where no test can see them. Draws
            that vote have fresh entropy whatever the seed.
        focus: attack only the so many certified components nearest to the most fragile one, which
            moves them further than all at once; all are voted on. None: all.
        batch_size: the most draws in a pass of the votes.
        progress: True for a bar over gradients, or a function.

    Raises:
        InputError: a certificate of another kind, model or noise, or with nothing certified.

    Example:
        >>> import torch
        >>> import certiseg as cs
        >>> smooth = cs.Smoothed(lambda x: torch.cat([1 - x, x], dim=1), cs.Gaussian(0.25))
        >>> x = torch.full((1, 2, 2), 0.8)
        >>> certificate = smooth.certify(x, 200, seed=0)
        >>> inside, outside = audit(smooth, x, certificate, factors=(1, 6), steps=5, seed=0)
        >>> inside.moved, outside.moved > 0
        (0, True)
    """
    alpha = checked_alpha(alpha)
    radius = _checked(smoothed, x, certificate)
    if not factors or not all(0 < factor < np.inf for factor in factors):
        raise InputError(f"expected factors > 0, got {factors}; 0.9 is nine tenths of the radius")
    certified = certificate.certified
    aim = np.where(certified, certificate.labels.astype(np.int64), IGNORE)
    weights = fragility(certificate)
    if focus is not None:
        weights = np.where(nearest(certificate, checked_count(focus)), weights, 0.0)
    tests = int(certified.sum()) * len(factors)
    audits = []
    for factor in factors:
        # The claim is for norms below the radius.
        size = float(np.nextafter(radius, 0)) if factor == 1 else factor * radius
        found = attack(
            smoothed,
            x,
            aim,
            epsilon=size,
            loss=loss,
            steps=steps,
            restarts=restarts,
            draws=draws,
            weights=weights,
            seed=seed,
            progress=progress,
        )
        votes = smoothed.vote(found.attacked, num_samples, batch_size=batch_size)
        assert certificate.votes.source is not None
        assert votes.source is not None
        if certificate.votes.source.model != votes.source.model:
            raise InputError(
                "expected the model that was certified, got another; pass the one whose "
                "fingerprint the certificate holds"
            )
        hits = held_votes(votes, certificate.labels)[certified]
        # The draws follow the law of the claim up to eta (theory T12).
        lost = upper_tail(votes.trials - hits, votes.trials, 0.5 + votes.eta) * tests <= alpha
        audits.append(
            Audit(
                factor=float(factor),
                found=found,
                votes=votes,
                components=int(certified.sum()),
                moved=int(lost.sum()),
                below_half=int((2 * hits < votes.trials).sum()),
                fewest=float(hits.min() / votes.trials),
            )
        )
    return audits


def held_votes(votes: VoteCounts, labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Votes for the given labels; those of label 0 where it abstains."""
    index = np.maximum(labels, 0).astype(np.int64)[..., None]
    return np.take_along_axis(votes.counts, index, axis=-1)[..., 0].astype(np.int64)


def fragility(certificate: Certificate) -> NDArray[np.float64]:
    """How fast the probability of each certified label can fall with the size of a perturbation.

    The density phi(Phi^-1(p)) at the share p of votes, 1 at p = 1/2: the slope of the bound that
    certifies it (theory T1). Components with a small radius count most; abstentions get 0.
    """
    votes = certificate.votes
    share = (held_votes(votes, certificate.labels) + 0.5) / (votes.trials + 1)
    slope = norm.pdf(norm.ppf(share)) / norm.pdf(0)
    return np.where(certificate.certified, slope, 0.0)


def nearest(certificate: Certificate, count: int) -> NDArray[np.bool_]:
    """The so many certified components nearest to the most fragile one, or a few at equal distance
    more."""
    slope = fragility(certificate)
    centre = np.unravel_index(np.argmax(slope), slope.shape)
    places = np.indices(slope.shape).astype(np.float64)
    far = np.sum([(axis - at) ** 2 for axis, at in zip(places, centre, strict=True)], axis=0)
    reach = np.sort(far[certificate.certified])[:count][-1]
    return np.asarray(certificate.certified & (far <= reach))


def _checked(smoothed: Smoothed, x: Tensor | ArrayLike, certificate: Certificate) -> float:
    """The certificate's radius, if it can be audited at x."""
    if isinstance(certificate.radius, np.ndarray) or certificate.hierarchy is not None:
        raise InputError(
            "expected a certificate with one radius and labels that are classes, got a radius map "
            "or one with a hierarchy; certify with the default method"
        )
    if certificate.votes.source is None or certificate.noise != smoothed.noise:
        raise InputError(
            f"expected a certificate under {smoothed.noise!r} that says where its draws come from, "
            f"got one under {certificate.noise!r}; certify with this model"
        )
    given = check_input(x, smoothed.value_range, volumes=smoothed.volumes)
    if certificate.votes.source.input != input_fingerprint(given):
        raise InputError(
            "expected the input that was certified, got another; pass the one whose fingerprint "
            "the certificate holds"
        )
    if not certificate.certified.any():
        raise InputError("expected a certified component, got none; take more draws")
    return float(certificate.radius)
