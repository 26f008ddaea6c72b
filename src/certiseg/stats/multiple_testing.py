"""Family-wise error control on a histogram of counts (theory T4).

A cutoff ``k*`` means "reject where hits >= k*". Components with equal counts are rejected together:
Holm's thresholds only grow within a tie, so that its first member decides for all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def bonferroni_cutoff(histogram: ArrayLike, pvalues: ArrayLike, alpha: float) -> int:
    """Bonferroni cutoff: smallest k with ``N * pvalues[j] <= alpha`` for all j >= k, else n + 1.

    histogram: ints (n + 1,), number of components with each count. pvalues: float64 (n + 1,), the
    p-value of each count.
    """
    hist, p = np.asarray(histogram), np.asarray(pvalues, dtype=np.float64)
    passed = np.logical_and.accumulate((int(hist.sum()) * p <= alpha)[::-1])
    return len(p) - int(passed.sum())


def step_down_cutoff(
    histogram: ArrayLike,
    pvalues: ArrayLike,
    alpha: float,
    *,
    everywhere: ArrayLike | None = None,
    budget: int = 1,
    certified: int = 0,
) -> int:
    """Step-down cutoff from a histogram of counts; n + 1 when nothing is rejected.

    Guarantee: P(at least ``budget`` false rejections) <= alpha under any dependence; budget = 1 is
    Holm's test, a larger one that of Lehmann and Romano. Counts are visited from n down. With r
    components rejected so far, those with count k are rejected too when

        (N - m) * pvalues[k] + N * everywhere[k] <= budget * alpha,   m = max(r - budget + 1, 0).

    A component whose null hypothesis is *false* can still be given a wrong label when the label is
    chosen by the same draws; ``everywhere[k]`` bounds the chance of that (default 0, for
    candidates fixed beforehand), and its multiplicity N never shrinks (theory T4, T5).
    histogram: ints (n + 1,), number of undecided components with each count. pvalues, everywhere:
    float64 (n + 1,), by count. certified: number of components rejected at earlier looks (theory
    T7), which N includes.
    Source: Holm 1979; Lehmann & Romano 2005; theory T4, T5, T7.
    """
    hist = np.asarray(histogram)
    p = np.asarray(pvalues, dtype=np.float64)
    extra = np.zeros_like(p) if everywhere is None else np.asarray(everywhere, dtype=np.float64)
    rejected, cutoff = certified, len(p)
    total = int(hist.sum()) + certified
    for count in range(len(p) - 1, -1, -1):
        shrunk = total - max(rejected - budget + 1, 0)
        # "not <=" rather than ">": a NaN stops the loop too.
        if rejected == total or not (shrunk * p[count] + total * extra[count] <= budget * alpha):
            break
        rejected += int(hist[count])
        cutoff = count
    return cutoff
