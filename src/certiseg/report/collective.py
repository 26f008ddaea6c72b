"""Certified accuracy under perturbations beyond the radius, for models of windows (theory T17)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.windows import Losses

_MULTIPLES = (0, 0.5, 0.75, 1, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8, 11, 16, 23, 32, 64)
"""Few, as each is a linear program for each sample."""


@dataclass(frozen=True, eq=False)
class CollectiveCurve:
    """Labels that are right under every perturbation below a norm, pooled by addition.

    norms: over the whole input, float64 (G,), increasing. right: int64 (G,), lower bounds on the
    number of right labels. labelled: number of components with truth. samples: number of them.
    """

    norms: NDArray[np.float64]
    right: NDArray[np.int64]
    labelled: int
    samples: int = 1

    @staticmethod
    def count(
        certificate: Certificate, right: NDArray[np.bool_], *, labelled: int, unit: float
    ) -> CollectiveCurve:
        """The curve of one certificate, at multiples of a norm > 0. right: where labels are."""
        norms, held = [multiple * unit for multiple in _MULTIPLES], [0] * len(_MULTIPLES)
        lost, given = Losses(certificate, right), int(right.sum())
        for place, norm in enumerate(norms):
            # Labels of one radius hold below it, while the bound is for norms up to epsilon.
            one = not isinstance(certificate.radius, np.ndarray) and norm == certificate.radius
            epsilon = math.nextafter(norm, 0) if one else norm
            held[place] = given - lost(epsilon)
            if held[place] == 0:
                break
        return CollectiveCurve(np.array(norms), np.array(held), labelled)

    def __add__(self, other: CollectiveCurve) -> CollectiveCurve:
        return replace(
            self,
            right=self.right + other.right,
            labelled=self.labelled + other.labelled,
            samples=self.samples + other.samples,
        )

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Certified accuracy at each norm."""
        return np.asarray(self.right / max(self.labelled, 1))
