"""The certificate: labels, the radius they hold for, and everything the claim rests on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from certiseg._version import __version__
from certiseg.noise import Gaussian
from certiseg.votes import ABSTAIN, VoteCounts


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is certified about one input, with the evidence.

    labels: int16 or wider, shape of the components, ABSTAIN (-1) where nothing is certified.
    radius: the l2 radius at which every certified label holds, 0.0 when nothing is certified by a
    method that then has no radius.
    votes: the draws that were tested. selection_votes: the draws that chose the candidates, for
    two-stage methods (theory T2), else None. candidates: labels chosen from outside the votes
    (JointClass), else None.
    noise, alpha (per input), tau (None for methods that fix no threshold), correction, selection:
    the parameters, all fixed before sampling. cutoff: smallest count that certifies, where the
    method has one. method: the function that made it. version: of certiseg.
    """

    method: str
    labels: NDArray[np.signedinteger]
    radius: float
    votes: VoteCounts
    noise: Gaussian
    alpha: float
    tau: float | None = None
    correction: str | None = None
    selection: str = "pooled"
    selection_votes: VoteCounts | None = None
    candidates: NDArray[np.signedinteger] | None = None
    cutoff: int | None = None
    version: str = __version__

    @cached_property
    def certified(self) -> NDArray[np.bool_]:
        """True where a label is certified."""
        return np.asarray(self.labels != ABSTAIN)

    @property
    def abstention(self) -> float:
        """Share of all components without a certified label."""
        return 1.0 - float(self.certified.mean())

    def statement(self) -> str:
        """The claim in one English sentence, with every assumption it rests on."""
        from certiseg.certify.statement import statement

        return statement(self)

    def save(self, path: str | Path) -> None:
        """Write the certificate as npz without pickle, atomically."""
        from certiseg.certify.storage import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Certificate:
        """Read a certificate. Raises InputError for a file that is none, ClaimError for one that
        was altered after it was written. ``certify.verify`` recomputes the claim itself."""
        from certiseg.certify.storage import load

        return load(path)


def labels_dtype(num_classes: int) -> type[np.int16] | type[np.int32]:
    """Narrowest signed type for labels and ABSTAIN."""
    return np.int16 if num_classes <= np.iinfo(np.int16).max else np.int32
