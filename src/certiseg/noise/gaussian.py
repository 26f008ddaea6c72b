"""Gaussian noise added to the input, or to its first channels (theory T1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from certiseg.errors import InputError
from certiseg.noise.checks import checked_sigma
from certiseg.noise.words import cut
from certiseg.stats.normal import probability_up, quantile_down
from certiseg.stats.pvalues import checked_tau

LARGEST_SIGMA = 1e5


@dataclass(frozen=True)
class Gaussian:
    """Isotropic Gaussian noise ``N(0, sigma^2 I)`` added to the input.

    sigma: standard deviation in the units of the input (images in [0, 1]: 0.25 is a quarter of
    the range), in [1e-5, 1e5]: noise is added in float32, where less would be lost in rounding.
    channels: noise for the first so many channels alone, such as 3 for the coordinates of a point
    cloud with normals; the claim is then about perturbations of these, the others as given. None:
    all of the input.
    Raises InputError otherwise. Source: Cohen et al. 2019; theory T1.
    """

    sigma: float
    channels: int | None = None
    kind: ClassVar[str] = "gaussian"
    norm: ClassVar[str] = "l2"
    unit: ClassVar[str] = ""
    radius_name: ClassVar[str] = "l2 radius"
    largest: ClassVar[float] = math.inf
    measured: ClassVar[str] = "of l2 norm"
    idealised: ClassVar[str] = (
        "noise was drawn in floating point, which the theory treats as exactly Gaussian"
    )

    def __post_init__(self) -> None:
        sigma = checked_sigma(
            self.sigma,
            LARGEST_SIGMA,
            usual="in images in [0, 1] the usual is 0.25",
            remedy="other noise is lost in float32, rescale the input",
        )
        object.__setattr__(self, "sigma", sigma)
        whole = isinstance(self.channels, int) and not isinstance(self.channels, bool)
        if self.channels is not None and not (whole and self.channels >= 1):
            raise InputError(
                f"expected channels >= 1 or None, got {self.channels!r}; "
                "3 for the coordinates of a point cloud, None for all of the input"
            )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise InputError for inputs (*shape) without so many channels."""
        if self.channels is not None and (not shape or shape[0] < self.channels):
            raise InputError(
                f"expected an input of at least {self.channels} channels, got shape {shape}; "
                "noise is added to the first ones"
            )

    def radius(self, tau: float) -> float:
        """Certified l2 radius ``R = sigma * PhiInv(tau)`` (theory T1), rounded down.

        A label whose probability under the noise exceeds tau stays the majority label under every
        perturbation of l2 norm < R. tau in [1/2, 1); raises InputError otherwise.
        """
        product = self.sigma * quantile_down(checked_tau(tau))
        return math.nextafter(product, 0.0) if product > 0 else 0.0

    def needed(self, radius: float) -> float:
        """The probability ``Phi(R / sigma)``, rounded up: what has it or more under the noise has
        at least 1/2 under every perturbation of l2 norm <= radius."""
        return probability_up(radius / self.sigma)

    def describe(self) -> str:
        """The law in words, for a statement."""
        on = "" if self.channels is None else f" on {self._first(None)}"
        return f"Gaussian noise N(0, {self.sigma:g}^2 I){on}"

    def applied(self, given: str, channels: int | None = None) -> str:
        """The law and what is done with it, in words. given: the input in words."""
        law = f"Gaussian noise N(0, {self.sigma:g}^2 I)"
        if self.channels is None:
            return f"{law} added, without clipping, to {given}"
        return f"{law} added, without clipping, to {self._first(channels)} of {given}"

    def moved(self, channels: int | None = None) -> str:
        """What the claim allows for, in words. channels: those of the input, where known."""
        if self.channels is None:
            return "perturbation of the input"
        return f"perturbation of {self._first(channels)} of the input"

    def size(self, radius: float) -> str:
        """A radius in words, cut off."""
        return cut(radius)

    def _first(self, total: int | None) -> str:
        plural = "" if self.channels == 1 else "s"
        if self.channels == total:
            return f"the {total} channel{plural}"
        of = "" if total is None else f" of {total}"
        return f"the first {self.channels}{of} channel{plural} (the others as given)"
