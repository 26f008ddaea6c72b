"""Gaussian noise added to the input, or to its first channels (theory T1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from certiseg.errors import InputError
from certiseg.noise.noise import checked_sigma
from certiseg.rounding import down, exact, scientific_up
from certiseg.stats.normal import probability_up, quantile_down
from certiseg.stats.pvalues import checked_tau

LARGEST_SIGMA = 1e5
_LARGEST_ETA = 1e-4
_OUTERMOST = 9.2
"""A standard normal exceeds it with probability below 2^-64."""


@dataclass(frozen=True)
class Gaussian:
    """Isotropic Gaussian noise ``N(0, sigma^2 I)`` added to the input.

    The base model sees the noisy input rounded to multiples of ``grid``, a power of two of at most
    sigma / 256, so that the sum is exact in floating point (theory T12).

    Args:
        sigma: standard deviation in the units of the input (images in [0, 1]: 0.25 is a quarter of
            the range), in [1e-5, 1e5].
        channels: number of leading channels that get noise, such as 3 for the coordinates of a
            point cloud with normals; the certificate then covers perturbations of these alone.
            None: all channels.

    Raises:
        InputError: if sigma or channels is out of range.

    Example:
        >>> round(Gaussian(0.25).radius(0.75), 4)
        0.1686

    Reference:
        Cohen, Rosenfeld, Kolter 2019; theory T1.
    """

    sigma: float
    channels: int | None = None
    kind: ClassVar[str] = "gaussian"
    norm: ClassVar[str] = "l2"
    unit: ClassVar[str] = ""
    radius_name: ClassVar[str] = "l2 radius"
    largest: ClassVar[float] = math.inf
    measured: ClassVar[str] = "of l2 norm"

    def __post_init__(self) -> None:
        sigma = checked_sigma(
            self.sigma,
            LARGEST_SIGMA,
            usual="in images in [0, 1] the usual is 0.25",
            remedy="rescale the input",
        )
        object.__setattr__(self, "sigma", sigma)
        whole = isinstance(self.channels, int) and not isinstance(self.channels, bool)
        if self.channels is not None and not (whole and self.channels >= 1):
            raise InputError(
                f"expected channels >= 1 or None, got {self.channels!r}; "
                "3 for the coordinates of a point cloud, None for all of the input"
            )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless an input of this shape has ``channels`` channels and a small
        ``eta``."""
        if self.channels is not None and (not shape or shape[0] < self.channels):
            raise InputError(
                f"expected an input of at least {self.channels} channels, got shape {shape}; "
                "noise is added to the first ones"
            )
        if self.eta(shape) >= _LARGEST_ETA:
            raise InputError(
                f"expected an input whose noise is drawn to within eta < {_LARGEST_ETA:g}, got "
                f"{self.eta(shape):.3g} for shape {shape}; certify it in parts (theory T12)"
            )

    @property
    def grid(self) -> float:
        """Grid step h: the power of two with sigma / h in [256, 512)."""
        return math.ldexp(1.0, math.frexp(self.sigma)[1] - 9)

    def eta(self, shape: tuple[int, ...]) -> float:
        """Total variation distance between the drawn law and that of round_h(x + Z), rounded up.

        shape: of the input. A value can be rounded differently only where a grid boundary lies
        inside its quantile cell of probability 2^-64: one cell for each boundary, and the two
        outermost cells (theory T12).
        """
        values = math.prod(shape) if self.channels is None else self.channels * math.prod(shape[1:])
        boundaries = math.ceil(2.0 * _OUTERMOST * self.sigma / self.grid) + 1
        return math.nextafter(values * (boundaries + 2) * 2.0**-64, 1.0)

    def radius(self, tau: float) -> float:
        """Certified l2 radius ``R = sigma * PhiInv(tau)`` (theory T1), rounded down.

        A label whose probability under the noise exceeds tau stays the majority label under every
        perturbation of l2 norm < R. tau in [1/2, 1); raises InputError otherwise.
        """
        product = self.sigma * quantile_down(checked_tau(tau))
        return math.nextafter(product, 0.0) if product > 0 else 0.0

    def needed(self, radius: float) -> float:
        """Probability ``Phi(R / sigma)``, rounded up, that a label needs under the noise to keep at
        least 1/2 under every perturbation of l2 norm <= radius."""
        return probability_up(radius / self.sigma)

    def describe(self) -> str:
        """Phrase for a statement: the noise distribution."""
        on = "" if self.channels is None else f" on {self._first(None)}"
        return f"Gaussian noise N(0, {exact(self.sigma)}^2 I){on}"

    def applied(self, given: str, channels: int | None = None) -> str:
        """Phrase for a statement: the noise and how it is applied to ``given``, the input."""
        to = given if self.channels is None else f"{self._first(channels)} of {given}"
        return (
            f"Gaussian noise N(0, {exact(self.sigma)}^2 I) added, without clipping, to {to}, the "
            f"sum rounded to multiples of h = 2^{round(math.log2(self.grid))}"
        )

    def drawn(self, shape: tuple[int, ...]) -> str:
        """Phrase for a statement: how closely the draws follow the distribution."""
        return (
            "the rounded sums were drawn from a law within eta = "
            f"{scientific_up(self.eta(shape))} of theirs in total variation, and labels were "
            "tested against tau + eta (T12)"
        )

    def moved(self, channels: int | None = None) -> str:
        """Phrase for a statement: the perturbations covered. channels: of the input, if known."""
        if self.channels is None:
            return "perturbation of the input"
        return f"perturbation of {self._first(channels)} of the input"

    def size(self, radius: float, decimals: int = 6) -> str:
        """Phrase for a statement: the radius, rounded down."""
        return down(radius, decimals)

    def _first(self, total: int | None) -> str:
        plural = "" if self.channels == 1 else "s"
        if self.channels == total:
            return f"the {total} channel{plural}"
        of = "" if total is None else f" of {total}"
        return f"the first {self.channels}{of} channel{plural} (the others as given)"
