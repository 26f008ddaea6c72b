"""Names of the methods in tables and figures."""

from __future__ import annotations

from certiseg.rounding import percent_exact

JOINT, INDIVIDUAL, BONFERRONI, HOLM = "JointClass", "IndivClass", "Bonferroni", "Holm"
RADIUS_MAP, STOPPING = "radius map", "early stopping"


def k_fwer_name(budget: int | float) -> str:
    """Name of k-FWER with an error budget, a number or a fraction of the components."""
    k = f"{budget}" if isinstance(budget, int) else f"{percent_exact(budget)} of N"
    return f"k-FWER, k = {k}"


def pooled_name(method: str) -> str:
    """Name of a method with pooled selection; without the prefix, selection is split."""
    return f"pooled {method}"


def uses_all_draws(method: str) -> bool:
    """True for methods that test with all draws; others use the first n0 for selection only."""
    return method in (RADIUS_MAP, STOPPING) or method.startswith(pooled_name(""))
