"""Binomial tails and Clopper-Pearson bounds, rounded away from the claim (theory T4, T6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, rel_entr

from certiseg.errors import InputError

# SciPy's incomplete beta function was off by at most 1.7e-16 * n in every case compared with
# exact rationals (tests/stats/test_binomial.py); three times that is added on the safe side.
_RELATIVE_ERROR_PER_TRIAL = 5e-16
# Far out it underflows to 0 too early (n = 200, p = 0.01: already at 1e-283), so results below
# this are replaced by Chernoff's bound, which needs no product of tiny factors.
_TRUSTED = 1e-250


def _relative_margin(trials: NDArray[np.int64]) -> NDArray[np.floating]:
    return _RELATIVE_ERROR_PER_TRIAL * (trials + 100.0)


def _checked(hits: ArrayLike, trials: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    k, n = np.asarray(hits), np.asarray(trials)
    for name, value in (("hits", k), ("trials", n)):
        if not np.issubdtype(value.dtype, np.integer):
            raise InputError(f"expected integer {name}, got {value.dtype}; pass counts, not shares")
    if np.any(n < 1) or np.any(k < 0) or np.any(k > n):
        raise InputError(
            "expected 0 <= hits <= trials and trials >= 1, got hits in "
            f"[{k.min()}, {k.max()}] and trials in [{n.min()}, {n.max()}]; check the counts"
        )
    return k.astype(np.int64), n.astype(np.int64)


def upper_tail(hits: ArrayLike, trials: ArrayLike, probability: ArrayLike) -> NDArray[np.float64]:
    """Tail ``h(k, n, p) = P(Bin(n, p) >= k)``, rounded up (never below the exact value).

    hits, trials: ints, probability: floats in [0, 1]; all broadcast. Returns float64 in [0, 1].
    Raises InputError unless 0 <= k <= n, n >= 1 and p is in [0, 1].
    Source: theory, setting and T4; regularised incomplete beta function I_p(k, n - k + 1).
    """
    k, n = _checked(hits, trials)
    p = np.asarray(probability, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise InputError(f"expected a probability in [0, 1], got {p}; check the arguments")
    inner = betainc(np.maximum(k, 1), n - np.maximum(k, 1) + 1, p)
    rounded = np.where(inner < _TRUSTED, _chernoff(k, n, p), inner * (1.0 + _relative_margin(n)))
    exact_zero = (p == 0.0) & (k > 0)
    tail = np.where(k == 0, 1.0, np.where(exact_zero, 0.0, np.minimum(rounded, 1.0)))
    return np.asarray(tail, dtype=np.float64)


def _chernoff(
    k: NDArray[np.int64], n: NDArray[np.int64], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``exp(-n KL(k / n || p)) >= h(k, n, p)`` for k > n p, never reported below 1e-300; else 1."""
    share = k / n
    exponent = -n * (rel_entr(share, p) + rel_entr(1.0 - share, 1.0 - p))
    # The exponent's rounding error is far below the 1e-6 added.
    return np.where(share > p, np.exp(np.maximum(exponent + 1e-6, np.log(1e-300))), 1.0)


def lower_bound(hits: ArrayLike, trials: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Exact one-sided lower confidence bound on a binomial proportion, rounded down.

    Guarantee: P(bound <= p) >= 1 - alpha for every p, trials fixed beforehand.
    hits: ints (...,), trials: ints broadcastable. Returns float64 (...,).
    The bound is the largest p with ``h(k, n, p) <= alpha``; the value returned is moved down
    until the outward-rounded tail confirms that inequality.
    Source: Clopper & Pearson 1934; theory T6.
    """
    k, n = np.broadcast_arrays(*_checked(hits, trials))
    alpha = float(alpha)
    if not 0.0 < alpha < 1.0:
        raise InputError(f"expected alpha in (0, 1), got {alpha}; alpha is the error probability")
    positive = k > 0
    bound = np.where(positive, betaincinv(np.maximum(k, 1), n - np.maximum(k, 1) + 1, alpha), 0.0)
    step = _relative_margin(n)
    bound = np.maximum(bound * (1.0 - step), 0.0)
    unsure = positive & (upper_tail(k, n, bound) > alpha)
    while np.any(unsure):
        step = np.where(unsure, 2.0 * step, step)
        bound = np.where(unsure, np.maximum(bound * (1.0 - step), 0.0), bound)
        unsure = unsure & (upper_tail(k, n, bound) > alpha)
    return np.asarray(bound, dtype=np.float64)
