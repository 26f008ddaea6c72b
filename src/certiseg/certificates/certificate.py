"""The certificate: labels, certified radius, and the evidence for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certiseg._version import __version__
from certiseg.certificates.grid import upsample_nearest
from certiseg.certificates.method import method_named
from certiseg.errors import InputError
from certiseg.noise import Noise
from certiseg.rounding import down, exact, percent_down
from certiseg.votes import ABSTAIN, Selection, VoteCounts

if TYPE_CHECKING:
    from certiseg.certificates.looks import Looks
    from certiseg.certificates.windows import Groups
    from certiseg.hierarchies.hierarchy import Hierarchy


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """Certified labels of one input, their radius, and the votes that prove them.

    Returned by the methods (``certiseg.certify`` and the others) or read by ``load``. All
    parameters are fixed before sampling.

    Attributes:
        method: name of the certification method.
        labels: int16 or wider, in the shape of the components; ABSTAIN (-1) where nothing is
            certified. With a hierarchy, ids of its nodes (classes first).
        radius: certified radius of all certified labels, in the norm of the noise (l2 in units of
            the input, or an angle in radians); 0.0 if the method certifies nothing and has no
            fixed radius. A radius map has float64 in the shape of labels, 0.0 at abstentions.
        votes: vote counts of the testing draws.
        noise: noise of the draws.
        alpha: error probability for the whole input.
        tau: probability that a label must exceed; None for methods without a threshold.
        correction: correction for multiple testing, or None.
        budget: error budget k of theory T5, or None.
        selection: "pooled" or "split".
        selection_votes: vote counts of the draws that chose the candidate labels, with split
            selection (theory T2).
        candidates: candidate labels that do not follow from the votes (JointClass).
        cutoff: smallest vote count that certifies, or None.
        looks: interim looks of a sequential method (theory T7): numbers of draws, shares of alpha,
            and the evidence at each.
        hierarchy: class hierarchy (theory T8), or None.
        levels: hierarchy level of each component (AdaptiveCertify).
        parameters: parameters of the method without a field here, as JSON values.
        version: version of certiseg.

    Example:
        >>> import certiseg as cs
        >>> votes = cs.VoteCounts([[100, 0], [60, 40]], 100)
        >>> cert = cs.certify(votes, noise=cs.Gaussian(0.25), tau=0.75, alpha=0.01)
        >>> cert.labels.tolist(), cert.abstention
        ([0, -1], 0.5)

    Reference:
        Fischer, Baader, Vechev 2021; theory T1 to T8.
    """

    method: str
    labels: NDArray[np.signedinteger]
    radius: float | NDArray[np.float64]
    votes: VoteCounts
    noise: Noise
    alpha: float
    tau: float | None = None
    correction: str | None = None
    budget: int | None = None
    selection: Selection = "pooled"
    selection_votes: VoteCounts | None = None
    candidates: NDArray[np.signedinteger] | None = None
    cutoff: int | None = None
    looks: Looks | None = None
    hierarchy: Hierarchy | None = None
    levels: NDArray[np.integer] | None = None
    parameters: Mapping[str, Any] | None = None
    version: str = __version__

    def __repr__(self) -> str:
        shape = " x ".join(str(side) for side in self.labels.shape)
        share = percent_down(Fraction(int(self.certified.sum()), self.labels.size), 2)
        radius = down(float(np.max(self.radius)), 6) if self.certified.any() else "0"
        unit = f" {self.noise.unit}" if self.noise.unit else ""
        return (
            f"Certificate({self.method}: {share} of {shape or 1} certified, "
            f"{self.noise.radius_name} "
            f"{'up to ' if isinstance(self.radius, np.ndarray) else ''}{radius}{unit}, "
            f"alpha {exact(self.alpha)}, {self.votes.trials} draws)"
        )

    @cached_property
    def certified(self) -> NDArray[np.bool_]:
        """True where a label is certified."""
        return np.asarray(self.labels != ABSTAIN)

    @property
    def abstention(self) -> float:
        """Share of components without a certified label."""
        return float((self.labels == ABSTAIN).mean())

    @property
    def maps(self) -> int | None:
        """K for labels (K, *out) of an output declared as overlapping maps; else None."""
        source = self.votes.source
        binary = None if source is None else source.binary
        return self.labels.shape[0] if binary is not None and binary.multi_label else None

    @property
    def eta(self) -> float:
        """Total variation margin of the draws; the test is against tau + eta (theory T12)."""
        return self.votes.eta

    def at(self, radius: float) -> NDArray[np.signedinteger]:
        """Labels certified under every perturbation of norm < radius; ABSTAIN elsewhere.

        With a radius map, the radius may be chosen after seeing the map (theory T6).
        """
        if isinstance(radius, (str, bool)) or not radius >= 0:
            raise InputError(f"expected a radius >= 0, got {radius!r}; it is in units of the input")
        held = self.certified & (np.asarray(self.radius) >= radius)
        return np.where(held, self.labels, np.asarray(ABSTAIN, dtype=self.labels.dtype))

    def full_size(self) -> NDArray[np.signedinteger]:
        """Labels (H, W) at the input's resolution, by nearest neighbour (theory T14).

        For overlapping maps (K, H, W).

        Returns ``labels`` unchanged if they have that resolution, or if the votes do not record
        the input's shape.
        """
        source = self.votes.source
        sides = self.labels.ndim - (self.maps is not None)
        if source is None or sides != 2 or len(source.input_shape) != 3:
            return self.labels
        return upsample_nearest(self.labels, source.input_shape[1:])

    @property
    def allowed_errors(self) -> int:
        """Number of labels that the guarantee allows to be wrong (theory T5, T16)."""
        return self._errors(None)

    @cached_property
    def _errors(self) -> Callable[[NDArray[np.bool_] | None], int]:
        return method_named(self.method).errors(self)

    def at_least(self, region: ArrayLike) -> int:
        """Lower bound on the number of labels in a region that hold within the radius.

        The bounds for all regions hold at once with confidence 1 - alpha, so that a region may be
        chosen afterwards (theory T16 for ``certiseg.regions``; for other methods each certified
        label holds, except for an error budget).

        Args:
            region: bool, in the shape of the components.

        Returns:
            The number of components. Only methods that certify each label say which ones.

        Raises:
            InputError: for a region of another shape or type.

        Example:
            >>> import certiseg as cs
            >>> votes = cs.VoteCounts([[100, 0], [60, 40]], 100)
            >>> cs.certify(votes, noise=cs.Gaussian(0.25)).at_least([True, True])
            1
        """
        mask = self._region(region)
        return max(0, int((self.certified & mask).sum()) - self._errors(mask))

    def lost_at_most(self, epsilon: float, region: ArrayLike | None = None) -> int:
        """Upper bound on the labels in a region that a perturbation of norm <= epsilon may change.

        Beyond the radius it is informative for models that see their input by windows
        (``certiseg.Windows``), as a perturbation that changes the labels of some windows has little
        norm left for the others. It holds for all epsilon and all regions at once, with confidence
        1 - alpha (theory T17).

        Args:
            epsilon: norm of the perturbation over the whole input, in the units of the radius.
            region: bool, in the shape of the components; None for all of them.

        Returns:
            The number of labels; 0 for epsilon below every radius, unless some may be wrong anyway.

        Raises:
            InputError: for an epsilon below 0, and for a region of another shape or type.

        Example:
            >>> import certiseg as cs
            >>> votes = cs.VoteCounts([[100, 0], [60, 40]], 100)
            >>> cert = cs.certify(votes, noise=cs.Gaussian(0.25))
            >>> cert.lost_at_most(0.16), cert.lost_at_most(0.17)
            (0, 1)

        Reference:
            Schuchardt et al. 2021, Collective robustness certificates; theory T17.
        """
        from certiseg.certificates.windows import Losses

        everything = np.ones(self.labels.shape, dtype=np.bool_)
        return Losses(self, everything if region is None else self._region(region))(epsilon)

    @cached_property
    def groups(self) -> Groups:
        """Certified labels by window and radius (theory T17), counted once for all norms."""
        from certiseg.certificates.windows import Groups

        return Groups.of(self)

    def _region(self, region: ArrayLike) -> NDArray[np.bool_]:
        mask = np.asarray(region)
        if mask.dtype != np.bool_ or mask.shape != self.labels.shape:
            raise InputError(
                f"expected a bool region of shape {self.labels.shape}, got {mask.dtype} of shape "
                f"{mask.shape}; mark the components to count"
            )
        return mask

    def statement(self) -> str:
        """The guarantee and all its assumptions, in one English sentence."""
        from certiseg.certificates.statement import statement

        return statement(self)

    def save(self, path: str | Path) -> None:
        """Write the certificate as npz without pickle, atomically."""
        from certiseg.certificates.storage import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Certificate:
        """Read a certificate.

        Raises InputError if the file is not a certificate, ClaimError if it was altered after it
        was written. ``certiseg.verify`` recomputes the certificate from its votes.
        """
        from certiseg.certificates.storage import load

        return load(path)
