"""Numbers as people typed them: a float of a table becomes the decimal that it was read from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Generic, TypeVar

Name = TypeVar("Name")

FINEST = 10**30
"""Money is summed in units of 10^-30 USD: fractions over many capacities would grow denominators without end."""


def exact(value: float) -> Fraction:
    """The shortest decimal that reads as `value`, as a fraction: 0.1 becomes 1/10, not the binary neighbour.

    Raises:
        ValueError: `value` is NaN or infinite.
    """
    figure = float(value)
    if not math.isfinite(figure):
        raise ValueError(f"{figure} is no figure")
    return Fraction(*Decimal(repr(figure)).as_integer_ratio())


def known(value: float) -> Fraction | None:
    """As `exact`, with None for NaN: absent stays absent."""
    return None if math.isnan(value) else exact(value)


def settled(value: Fraction) -> Fraction:
    """`value` rounded half-even to 10^-30: far below a cent even after a billion terms, with a bounded denominator."""
    return Fraction(round(value * FINEST), FINEST)


def cents(value: Fraction) -> int:
    """USD as whole cents, rounded half-even."""
    return round(value * 100)


@dataclass(frozen=True)
class Counted(Generic[Name]):
    """Figures as whole multiples of one unit: sums of whole numbers take a tenth of the time of sums of fractions."""

    units: Mapping[Name, int]
    per_one: int  # units in 1

    def value(self, units: int) -> Fraction:
        """So many units as the figure that they are."""
        return Fraction(units, self.per_one)


def counted(figures: Mapping[Name, Fraction]) -> Counted[Name]:
    """The figures in the largest unit of which each is a whole multiple."""
    per_one = math.lcm(*(figure.denominator for figure in figures.values()))
    return Counted({name: f.numerator * (per_one // f.denominator) for name, f in figures.items()}, per_one)
