"""Numbers as people typed them: a float of a table becomes the decimal that it was read from."""

import math
from fractions import Fraction

FINEST = 10**30
"""Money is summed in units of 10^-30 USD: fractions over many capacities would grow denominators without end."""


def exact(value: float) -> Fraction:
    """The shortest decimal that reads as `value`, as a fraction: 0.1 becomes 1/10, not the binary neighbour.

    Raises:
        ValueError: `value` is NaN or infinite.
    """
    return Fraction(repr(float(value)))


def known(value: float) -> Fraction | None:
    """As `exact`, with None for NaN: absent stays absent."""
    return None if math.isnan(value) else exact(value)


def settled(value: Fraction) -> Fraction:
    """`value` rounded half-even to 10^-30: far below a cent even after a billion terms, with a bounded denominator."""
    return Fraction(round(value * FINEST), FINEST)


def cents(value: Fraction) -> int:
    """USD as whole cents, rounded half-even."""
    return round(value * 100)
