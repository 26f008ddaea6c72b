"""Binomial tails and bounds rounded outward, and multiple testing. NumPy and SciPy only."""

from certiseg.stats.binomial import lower_bound, upper_tail
from certiseg.stats.multiple_testing import (
    bonferroni,
    bonferroni_cutoff,
    holm,
    step_down_cutoff,
)
from certiseg.stats.normal import quantile_down

__all__ = [
    "bonferroni",
    "bonferroni_cutoff",
    "holm",
    "lower_bound",
    "quantile_down",
    "step_down_cutoff",
    "upper_tail",
]
