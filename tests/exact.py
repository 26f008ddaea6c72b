"""Exact oracles in rational arithmetic, independent of SciPy."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import comb


def tail(hits: int, trials: int, probability: Fraction | float) -> Fraction:
    """P(Bin(trials, probability) >= hits), exactly."""
    p = Fraction(probability)
    num, rest, den = p.numerator, p.denominator - p.numerator, p.denominator
    terms = (comb(trials, j) * num**j * rest ** (trials - j) for j in range(hits, trials + 1))
    return Fraction(sum(terms), den**trials)


def tails(trials: int, probability: float) -> tuple[list[int], int]:
    """Numerators of P(Bin >= k) for k = 0..trials over one common denominator.

    Kept as integers: reducing fractions of thousands of digits would take most of the time.
    """
    p = Fraction(probability)
    num, rest, den = p.numerator, p.denominator - p.numerator, p.denominator
    sums, total = [0] * (trials + 1), 0
    for k in range(trials, -1, -1):
        total += comb(trials, k) * num**k * rest ** (trials - k)
        sums[k] = total
    return sums, den**trials


def binomial(trials: int, probability: Fraction) -> list[Fraction]:
    """Probabilities of 0..trials hits."""
    p = Fraction(probability)
    return [comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]


def multinomial(trials: int, probabilities: list[Fraction]):
    """Yield (counts, probability) over all outcomes of ``trials`` draws."""

    def split(left: int, cells: int):
        if cells == 1:
            yield (left,)
            return
        for first in range(left + 1):
            for rest in split(left - first, cells - 1):
                yield (first, *rest)

    for counts in split(trials, len(probabilities)):
        weight, left = Fraction(1), trials
        for count, p in zip(counts, probabilities, strict=True):
            weight *= comb(left, count) * Fraction(p) ** count
            left -= count
        yield counts, weight


def independent_votes(trials: int, favoured: list[Fraction]):
    """Yield (hits of label 0 per component, probability); two labels, independent components."""
    tables = [binomial(trials, p) for p in favoured]
    for hits in product(range(trials + 1), repeat=len(favoured)):
        weight = Fraction(1)
        for table, k in zip(tables, hits, strict=True):
            weight *= table[k]
        if weight:
            yield hits, weight


def coupled_votes(trials: int, favoured: list[Fraction]):
    """As independent_votes, but one uniform number per draw decides all components.

    Component i gets label 0 where the number is below favoured[i].
    """
    cuts = sorted(set(favoured) | {Fraction(0), Fraction(1)})
    cells = [(low, high) for low, high in pairwise(cuts) if high > low]
    for counts, weight in multinomial(trials, [high - low for low, high in cells]):
        hits = tuple(
            sum(count for count, (_, high) in zip(counts, cells, strict=True) if high <= p)
            for p in favoured
        )
        if weight:
            yield hits, weight
