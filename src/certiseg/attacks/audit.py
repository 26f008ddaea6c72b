"""A certificate under attack: does any certified label lose its majority within the radius?

The attack uses the certificate: it aims at certified components alone, and most at those that are
easiest to move. Fresh draws at the attacked input decide whether one has moved.
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
from certiseg.attacks.rotations import rotation_attack
from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import IGNORE
from certiseg.errors import InputError
from certiseg.noise import Rotation
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
    """Result of one attack on the certified components.

    Attributes:
        factor: of the certified radius; at 1 the attack's norm, or its angle, is just below it.
        found: the attack.
        votes: fresh draws at the attacked input.
        components: number of certified components, all voted on; with a focus only some were
            attacked.
        moved: number of components whose certified label has probability below 1/2 there, at level
            alpha over all components of the audit (one-sided binomial test, Bonferroni).
        below_half: number of components with less than half of the votes, significant or not.
        fewest: smallest share of votes of a certified label.
    """

    factor: float
    found: Attack
    votes: VoteCounts
    components: int
    moved: int
    below_half: int
    fewest: float

    def record(self) -> dict[str, Any]:
        """The result as plain JSON values."""
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
    """Attack the certified components, at several norms, and vote again at each attacked input.

    Certificates of rotations are attacked by rotations around the axes that they cover, by at most
    pi, those of other noise by gradients.

    If no component moves at factors up to 1, the audit is passed; certificate or test err with
    probability at most the sum of both alphas. Factors above 1 show the strength of the attack: if
    nothing moves at 4 either, passing says little.

    Args:
        smoothed: the model that was certified.
        x: the input that was certified.
        certificate: with one radius for all components (not a radius map), without a hierarchy.
        factors: norms or angles of the attacks, in units of the certified radius.
        num_samples: fresh draws at each attacked input.
        alpha: of the test over all components and factors.
        loss, steps, restarts, draws, seed: parameters of the attack, as in ``certiseg.attack``.
            Losses that leave out components already reached stop at probability 1/2, where no test
            detects them. Of rotations ``steps`` are tried, once, and the loss is the weighted share
            of draws with other labels. The votes have fresh entropy, whatever the seed.
        focus: attack only this number of certified components nearest to the most fragile one,
            which moves them further than an attack on all; all are voted on. Nearest in the image,
            or by the coordinates of a point cloud. None: attack all.
        batch_size: largest number of draws in a pass of the votes.
        progress: True for a bar over gradients, or a function.

    Raises:
        InputError: For a certificate of another kind, model or noise, or without certified labels.

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
        given = check_input(x, smoothed.value_range, volumes=smoothed.volumes).cpu().numpy()
        places = given[:3] if given.ndim == 2 else np.indices(aim.shape)
        chosen = nearest(certificate, checked_count(focus), places)
        weights = np.where(chosen, weights, 0.0)
    tests = int(certified.sum()) * len(factors)
    audits = []
    for factor in factors:
        # The claim holds for norms strictly below the radius.
        size = float(np.nextafter(radius, 0)) if factor == 1 else factor * radius
        common: dict[str, Any] = {"weights": weights, "draws": draws, "seed": seed}
        found: Attack
        if isinstance(smoothed.noise, Rotation):
            found = rotation_attack(
                smoothed,
                x,
                aim,
                angle=min(size, np.pi),
                tries=steps,
                progress=progress,
                **common,
            )
        else:
            found = attack(
                smoothed,
                x,
                aim,
                epsilon=size,
                loss=loss,
                steps=steps,
                restarts=restarts,
                progress=progress,
                **common,
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
        # The draws have the claimed distribution up to eta (theory T12).
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
    """Votes for the given labels; for label 0 at abstentions."""
    index = np.maximum(labels, 0).astype(np.int64)[..., None]
    return np.take_along_axis(votes.counts, index, axis=-1)[..., 0].astype(np.int64)


def fragility(certificate: Certificate) -> NDArray[np.float64]:
    """Rate at which the probability of each certified label can fall with the norm of a
    perturbation.

    The density phi(Phi^-1(p)) at the share p of votes, 1 at p = 1/2: the slope of the bound that
    certifies it (theory T1). Components with a small radius count most; abstentions get 0.
    """
    votes = certificate.votes
    share = (held_votes(votes, certificate.labels) + 0.5) / (votes.trials + 1)
    slope = norm.pdf(norm.ppf(share)) / norm.pdf(0)
    return np.where(certificate.certified, slope, 0.0)


def nearest(certificate: Certificate, count: int, places: NDArray[np.number]) -> NDArray[np.bool_]:
    """Mask of this number of certified components nearest to the most fragile one, or a few more at
    equal distance.

    places: coordinates (axes, *out) of all components.
    """
    slope = fragility(certificate)
    flat = places.reshape(len(places), -1).astype(np.float64)
    far = ((flat - flat[:, [np.argmax(slope)]]) ** 2).sum(axis=0).reshape(slope.shape)
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
