"""The methods as tables and figures name them."""

from __future__ import annotations

from certiseg.rounding import percent_exact

JOINT, INDIVIDUAL, BONFERRONI, HOLM = "JointClass", "IndivClass", "Bonferroni", "Holm"
RADIUS_MAP, STOPPING = "radius map", "early stopping"


def budget_name(budget: int | float) -> str:
    """An error budget: a whole number, or a fraction of the components."""
    return f"k = {budget}" if isinstance(budget, int) else f"k = {percent_exact(budget)} of N"


def k_fwer_name(budget: int | float) -> str:
    return f"k-FWER, {budget_name(budget)}"


def pooled_name(method: str) -> str:
    """The method when all draws choose and test; without it, separate draws choose."""
    return f"pooled {method}"


def uses_all_draws(method: str) -> bool:
    """Whether all draws choose and test; the other methods choose with the first n0 of them."""
    return method in (RADIUS_MAP, STOPPING) or method.startswith(pooled_name(""))
