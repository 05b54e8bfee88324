"""Figures as people typed them, and sums of many of them without a fraction for each.

`exact(x)` is the decimal that the table's author typed; nothing is rounded before the last line. Columns of figures
become whole numbers over one common denominator, so that hundreds of thousands of routes are summed in integers.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import floor, isnan, lcm

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Whole = NDArray[np.object_]
"""Whole numbers of any size: Python's own, since a product of a share and a rate outgrows 64 bits."""

FINEST = 10**30
"""Quotients are kept in units of 10^-30: far below a cent after a billion terms, with a bounded denominator."""


@lru_cache(maxsize=100_000)
def exact(value: float) -> Fraction:
    """A table's figure as the decimal it was typed as."""
    return Fraction(repr(float(value)))


def exact_or_zero(value: float) -> Fraction:
    """An optional price: absent means that nothing is charged."""
    return Fraction() if isnan(value) else exact(value)


def known(value: float) -> Fraction | None:
    """As `exact`, with None for NaN: absent stays absent."""
    return None if isnan(value) else exact(value)


def settled(value: Fraction) -> Fraction:
    """`value` to the nearest 10^-30, half to even."""
    return Fraction(round(value * FINEST), FINEST)


def finest(numerator: int, denominator: int) -> int:
    """The nearest whole number of 10^-30 to a quotient of whole numbers: `settled` without a fraction."""
    return (2 * numerator * FINEST + denominator) // (2 * denominator)


def cents(value: Fraction) -> float:
    """To the cent, half to even."""
    return float(round(value, 2))


def cents_below(value: float) -> float:
    """The cent at or below: how a bound is told."""
    return floor(Fraction(value) * 100) / 100


def total(values: Iterable[Fraction]) -> Fraction:
    """The sum, a fraction even where there is nothing to add."""
    return sum(values, Fraction())


def scaled(values: Iterable[Fraction]) -> tuple[Whole, int]:
    """Whole numbers n and a denominator d with value = n/d for each of `values`."""
    figures = list(values)
    denominator = lcm(*{figure.denominator for figure in figures}) if figures else 1
    whole = np.empty(len(figures), object)
    whole[:] = [figure.numerator * (denominator // figure.denominator) for figure in figures]
    return whole, denominator


def grouped(keys: Sequence[Int], weights: Whole) -> tuple[tuple[Int, ...], Whole]:
    """Sums of whole `weights` by the distinct rows of `keys`: those rows, sorted, and their sums."""
    if not len(weights):
        return tuple(np.empty(0, np.int64) for _ in keys), np.empty(0, object)
    order = np.lexsort(tuple(reversed(keys)))
    ordered = [key[order] for key in keys]
    starts = np.flatnonzero(np.r_[True, np.any([key[1:] != key[:-1] for key in ordered], axis=0)])
    return tuple(key[starts] for key in ordered), np.add.reduceat(weights[order], starts)
