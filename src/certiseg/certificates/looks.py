"""Interim looks of a sequential certificate: the plan, the evidence, and the reason to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.files.fields import RECORD, Field, Fields, checked, list_of, number, one_of, whole
from certiseg.rounding import share_up, significant
from certiseg.stats.pvalues import MOST_TRIALS
from certiseg.stats.spending import ANYTIME, MOST_LOOKS, SPENDINGS

SHARES = "shares"
"""Name of a spending rule that the caller gave as a table of shares."""
TARGET_REACHED = "wanted share reached"
NONE_OPEN = "no component open"
USED = "budget used"
NOT_WORTH = "further looks not worth their draws"
REASONS = (TARGET_REACHED, NONE_OPEN, USED, NOT_WORTH)
_TRIALS, _ALPHA = whole(1, MOST_TRIALS), number(0.0, 1.0)
_SHARE = Field(
    "a number of draws and a share of alpha",
    lambda value: (
        isinstance(value, list)
        and len(value) == 2
        and _TRIALS.holds(value[0])
        and _ALPHA.holds(value[1])
    ),
)
_LOOK: Fields = {
    "trials": _TRIALS,
    "alpha": _ALPHA,
    "cutoff": whole(1, MOST_TRIALS + 1),
    "certified": whole(0, 2**63),
}
_LOOKS: Fields = {
    "spending": one_of(*SPENDINGS, SHARES),
    "shares": list_of(_SHARE, 1, MOST_LOOKS),
    "looks": list_of(RECORD, 1, MOST_LOOKS),
    "stopped": one_of(*REASONS),
}


@dataclass(frozen=True)
class Look:
    """One interim look at the votes.

    trials: draws so far. alpha: its share of alpha; for the e-process, the whole alpha. cutoff:
    smallest count that certified an undecided component, trials + 1 for none. certified: number of
    components certified so far, including those that later became abstentions.
    """

    trials: int
    alpha: float
    cutoff: int
    certified: int


@dataclass(frozen=True, eq=False)
class Looks:
    """All looks at one input, with the evidence from which the labels can be recomputed.

    spending: "late", "equal", "shares" or "e-process". shares: the plan fixed before sampling,
    ((n_1, alpha_1), ...); the e-process has the whole alpha at each look. looks: those taken, a
    prefix of the plan. modes, hits: ints (L, *components), most frequent label at each look and
    its vote count. stopped: reason to stop, among ``REASONS``. Raises InputError if these
    contradict each other.
    """

    spending: str
    shares: tuple[tuple[int, float], ...]
    looks: tuple[Look, ...]
    modes: NDArray[np.integer]
    hits: NDArray[np.integer]
    stopped: str

    def __post_init__(self) -> None:
        _check_evidence(self.looks, self.modes, self.hits)
        _check_plan(self.shares, self.looks, self.stopped, self.modes[0].size)

    @property
    def anytime(self) -> bool:
        """True if the test is by e-values, which spend no alpha."""
        return self.spending == ANYTIME

    def described(self) -> str:
        """A description such as "after 60, 100 draws spending alpha as ... (T7, stopped: ...)"."""
        seen = ", ".join(str(look.trials) for look in self.looks)
        if self.anytime:
            rule = "by an e-process, valid at any time"
        else:
            plan = ", ".join(
                f"{significant(share, 4, share_up)} at {trials}" for trials, share in self.shares
            )
            rule = f"spending alpha as {plan}"
        return f"after {seen} draws {rule} (T7, stopped: {self.stopped})"

    def record(self) -> dict[str, Any]:
        """Serialize to plain JSON values, without the arrays."""
        return {
            "spending": self.spending,
            "shares": [list(share) for share in self.shares],
            "looks": [asdict(look) for look in self.looks],
            "stopped": self.stopped,
        }

    @staticmethod
    def from_record(
        record: Mapping[str, Any], modes: NDArray[np.integer], hits: NDArray[np.integer]
    ) -> Looks:
        """Inverse of record. Raises InputError for what no sequential run can have written."""
        values = checked(record, _LOOKS, "the looks")
        looks = [checked(look, _LOOK, "a look") for look in values["looks"]]
        return Looks(
            spending=values["spending"],
            shares=tuple((trials, alpha) for trials, alpha in values["shares"]),
            looks=tuple(Look(**look) for look in looks),
            modes=modes,
            hits=hits,
            stopped=values["stopped"],
        )


def _check_plan(
    shares: tuple[tuple[int, float], ...], looks: tuple[Look, ...], stopped: str, components: int
) -> None:
    """Raise InputError unless numbers of draws increase, the looks are a prefix of the plan, and
    the reason to stop is possible."""
    if not 1 <= len(looks) <= len(shares):
        raise _contradiction(f"{len(looks)} looks of {len(shares)} planned")
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(shares)):
        raise _contradiction("looks out of order")
    if stopped == USED and len(looks) < len(shares):
        raise _contradiction(f"a budget used after {len(looks)} looks of {len(shares)}")
    if stopped == NONE_OPEN and looks[-1].certified != components:
        raise _contradiction(f"no component open, {looks[-1].certified} certified")
    for look, planned in zip(looks, shares, strict=False):
        if (look.trials, look.alpha) != planned:
            raise _contradiction(f"a look at {look.trials} draws that was not planned")
        if look.cutoff > look.trials + 1:
            raise _contradiction(f"a cutoff of {look.cutoff} at {look.trials} draws")


def _check_evidence(
    looks: tuple[Look, ...], modes: NDArray[np.integer], hits: NDArray[np.integer]
) -> None:
    """Raise InputError unless the evidence is possible: between two looks, the count of the most
    frequent label grows by 0 to all of the new draws, even if the label changes."""
    if modes.dtype.kind not in "iu" or hits.dtype.kind not in "iu":
        raise _contradiction(f"evidence of {modes.dtype} and {hits.dtype}")
    if modes.shape != hits.shape or modes.shape[:1] != (len(looks),) or modes.size == 0:
        raise _contradiction(f"evidence of shapes {modes.shape} and {hits.shape}")
    if int(modes.min()) < 0 or int(hits[0].min()) < 1:
        raise _contradiction("a most frequent label without votes")
    if int(hits[0].max()) > looks[0].trials:
        raise _contradiction("more votes than draws")
    for index, (earlier, later) in enumerate(pairwise(looks)):
        gained = hits[index + 1].astype(np.int64) - hits[index]
        if gained.min() < 0 or gained.max() > later.trials - earlier.trials:
            raise _contradiction(f"votes that do not lead from {earlier.trials} draws to the next")


def _contradiction(found: str) -> InputError:
    return InputError(
        f"expected looks that agree with each other, got {found}; "
        "the file is damaged or of another version"
    )
