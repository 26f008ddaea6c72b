"""What is drawn, and what radius it buys. Frozen records; drawing is done in sampling/."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from certiseg.errors import InputError
from certiseg.stats.normal import quantile_down
from certiseg.stats.pvalues import checked_tau

SMALLEST_SIGMA, LARGEST_SIGMA = 1e-5, 1e5


@dataclass(frozen=True)
class Gaussian:
    """Isotropic Gaussian noise ``N(0, sigma^2 I)`` added to the input.

    sigma: standard deviation in the units of the input (images in [0, 1]: 0.25 is a quarter of
    the range), in [1e-5, 1e5]: noise is added in float32, where less would be lost in rounding.
    Raises InputError otherwise. Source: Cohen et al. 2019; theory T1.
    """

    sigma: float
    kind: ClassVar[str] = "gaussian"
    norm: ClassVar[str] = "l2"

    def __post_init__(self) -> None:
        sigma = math.nan if isinstance(self.sigma, (str, bool)) else float(self.sigma)
        if not sigma > 0:
            raise InputError(
                f"expected sigma > 0, got {self.sigma!r}; in images in [0, 1] the usual is 0.25"
            )
        if not SMALLEST_SIGMA <= sigma <= LARGEST_SIGMA:
            raise InputError(
                f"expected sigma > 0 in [{SMALLEST_SIGMA:g}, {LARGEST_SIGMA:g}], got {self.sigma}; "
                "other noise is lost in float32, rescale the input"
            )
        object.__setattr__(self, "sigma", sigma)

    def radius(self, tau: float) -> float:
        """Certified l2 radius ``R = sigma * PhiInv(tau)`` (theory T1), rounded down.

        A label whose probability under the noise exceeds tau stays the majority label under every
        perturbation of l2 norm < R. tau in [1/2, 1); raises InputError otherwise.
        """
        product = self.sigma * quantile_down(checked_tau(tau))
        return math.nextafter(product, 0.0) if product > 0 else 0.0

    def describe(self) -> str:
        """The law in words, for a statement."""
        return f"Gaussian noise N(0, {self.sigma:g}^2 I)"


def noise_record(noise: Gaussian) -> dict[str, Any]:
    """The noise as plain JSON values."""
    return {"kind": noise.kind, **asdict(noise)}


def noise_from_record(record: Mapping[str, Any]) -> Gaussian:
    """Inverse of noise_record. Raises InputError for a law this version does not know."""
    values = dict(record)
    kind = values.pop("kind", None)
    if kind != Gaussian.kind or set(values) != {"sigma"}:
        raise InputError(
            f"expected noise of kind 'gaussian' with sigma, got {dict(record)}; "
            "a newer certiseg may know it"
        )
    return Gaussian(float(values["sigma"]))
