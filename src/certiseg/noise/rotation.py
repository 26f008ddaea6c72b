"""Random rotations of a point cloud about its centroid (theory T11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from certiseg.errors import InputError
from certiseg.noise.noise import checked_sigma
from certiseg.rounding import degrees_down, down, exact
from certiseg.stats.normal import probability_up, quantile_down
from certiseg.stats.pvalues import checked_tau
from certiseg.stats.rotation_angles import largest_angle, needed_probability
from certiseg.stats.rotations import LARGEST_SIGMA

Axis = Literal["x", "y", "z"]
AXES = get_args(Axis)
_ABOVE_PI = math.nextafter(math.pi, 4.0)


@dataclass(frozen=True)
class Rotation:
    """Random rotation of a point cloud (3, N) or (6, N) about its centroid.

    Normals (channels 4 to 6 of a (6, N) cloud) are rotated with the points.

    Args:
        sigma: scale in radians, in [1e-5, 2.22].
        axis: None: the rotation is exp(v), v ~ N(0, sigma^2 I_3) restricted to |v| <= pi, and the
            certificate covers rotations around any axis. "x", "y" or "z": the angle around this
            axis is N(0, sigma^2), and the certificate covers rotations around it alone.

    Raises:
        InputError: if sigma or axis is out of range.

    Example:
        >>> round(Rotation(0.125, axis="z").degrees(0.75), 2)
        4.83

    Reference:
        theory T11.
    """

    sigma: float
    axis: Axis | None = None
    kind: ClassVar[str] = "rotation"
    norm: ClassVar[str] = "rotation"
    unit: ClassVar[str] = "rad"
    radius_name: ClassVar[str] = "rotation angle"
    largest: ClassVar[float] = math.pi
    measured: ClassVar[str] = "by an angle"

    def __post_init__(self) -> None:
        sigma = checked_sigma(
            self.sigma,
            LARGEST_SIGMA,
            usual="it is in radians, such as 0.125 (7 degrees)",
            remedy="it is in radians, and wider distributions are nearly uniform",
        )
        object.__setattr__(self, "sigma", sigma)
        if self.axis is not None and self.axis not in AXES:
            raise InputError(
                f"expected axis {', '.join(AXES)} or None, got {self.axis!r}; None is any axis"
            )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless the shape is (3, N) or (6, N)."""
        if len(shape) != 2 or shape[0] not in (3, 6):
            transposed = len(shape) == 2 and shape[1] in (3, 6)
            raise InputError(
                f"expected a point cloud (3, N), or (6, N) with normals, got shape {shape}; "
                f"{'pass x.T' if transposed else 'only clouds are rotated'}"
            )

    def eta(self, shape: tuple[int, ...]) -> float:
        """Returns 0.0: rotations in float64 are taken as exact (theory T11); ``drawn`` says so."""
        return 0.0

    def drawn(self, shape: tuple[int, ...]) -> str:
        """Phrase for a statement: how closely the draws follow the distribution."""
        return "rotations were drawn and applied in float64, which the theory treats as exact"

    def radius(self, tau: float) -> float:
        """Certified angle in radians (theory T11), rounded down.

        A label whose probability under the rotations exceeds tau stays the majority label under
        every rotation by an angle < R; pi: under every rotation at all. tau in [1/2, 1); raises
        InputError otherwise.
        """
        tau = checked_tau(tau)
        if self.axis is None:
            return largest_angle(self.sigma, tau)
        product = self.sigma * quantile_down(tau)
        if product > _ABOVE_PI:
            return math.pi
        return math.nextafter(min(product, math.pi), 0.0) if product > 0 else 0.0

    def needed(self, radius: float) -> float:
        """Probability, rounded up, that a label needs under the random rotations to keep at least
        1/2 under every rotation by an angle <= radius."""
        if self.axis is None:
            return needed_probability(self.sigma, radius)
        return probability_up(min(radius, _ABOVE_PI) / self.sigma)

    def describe(self) -> str:
        """Phrase for a statement: the noise distribution."""
        if self.axis is None:
            law = f"by exp(v), v ~ N(0, {exact(self.sigma)}^2 I) with |v| <= pi (T11)"
            return f"random rotations about the centroid {law}"
        return (
            f"random rotations around the {self.axis} axis through the centroid, the angle "
            f"~ N(0, {exact(self.sigma)}^2) (T11)"
        )

    def applied(self, given: str, channels: int | None = None) -> str:
        """Phrase for a statement: the noise and how it is applied to ``given``, the input."""
        return f"{self.describe()}, of {given}{self._normals(channels).rstrip(',')}"

    def moved(self, channels: int | None = None) -> str:
        """Phrase for a statement: the rotations covered. channels: of the input, if known."""
        around = "any axis" if self.axis is None else f"the {self.axis} axis"
        return (
            f"rotation of the input around {around} through its centroid{self._normals(channels)}"
        )

    def size(self, radius: float, decimals: int = 6) -> str:
        """Phrase for a statement: the angle in radians and degrees, rounded down."""
        degrees = down(degrees_down(radius), decimals - 2)
        return f"{down(radius, decimals)} rad ({degrees} degrees)"

    def degrees(self, tau: float) -> float:
        """``radius`` in degrees, rounded down."""
        return degrees_down(self.radius(tau))

    def _normals(self, channels: int | None) -> str:
        known = {3: "", 6: ", normals rotating along,"}
        return known.get(channels or 0, ", normals, if any, rotating along,")
