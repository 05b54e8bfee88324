"""Intervals of inferred pairs, as the auditor reads docs/uncertainty.md by itself.

The chance that a round trip is at most t is 5 % at the interval's lower end, 50 % at its middle and 95 % at its upper
one, in between in proportion to log t; none below the lower end, and 1 - 5 % · (upper/t)² beyond the upper one. A
measured pair keeps its p95 and nothing less, of an unknown one nothing is promised.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.exact import exact
from placement.topology.pairs import Pairs, State

END, HALF = Fraction(1, 20), Fraction(1, 2)
LEAST_MS = 0.01
"""A lower end below it counts as this: it has no logarithm at 0."""
TIE = Fraction(1, 10**12)
"""Share of a budget that is added where a chance is asked for."""
OUTWARD = 1e-12
"""What a chance that is worked out in arrays may lack: some ten roundings, none of which cancels."""


@dataclass(frozen=True)
class Interval:
    """The round trip of an inferred pair, ms: none below the one before it, and none below `LEAST_MS`."""

    lower: Fraction
    middle: Fraction
    upper: Fraction

    def chance(self, limit: Fraction) -> Fraction:
        """That the round trip is at most `limit`."""
        if limit < self.lower:
            return Fraction(0)
        if limit < self.middle:
            return END + (HALF - END) * _way(self.lower, limit, self.middle)
        if limit < self.upper:
            return HALF + (HALF - END) * _way(self.middle, limit, self.upper)
        return 1 - END * (self.upper / limit) ** 2


def _way(begin: Fraction, at: Fraction, end: Fraction) -> Fraction:
    """How far `at` is from begin to end by its logarithm, 0 to 1."""
    return Fraction(_log_ratio(at, begin)) / Fraction(_log_ratio(end, begin))


def _log_ratio(above: Fraction, below: Fraction) -> float:
    return math.log1p(float((above - below) / below))


def interval_of(pairs: Pairs, at: tuple[int, int]) -> Interval | None:
    """The interval of a pair; None where it is not inferred or an end is no figure."""
    if pairs.rtt_state[at] != State.INFERRED:
        return None
    ends = [float(figure[at]) for figure in (pairs.rtt_lower_ms, pairs.rtt_mid_ms, pairs.rtt_upper_ms)]
    if not all(math.isfinite(end) for end in ends):
        return None
    _, *ordered = accumulate((exact(end) for end in (LEAST_MS, *ends)), max)
    return Interval(*ordered)


def percentile_ms(pairs: Pairs, share: Fraction) -> Float:
    """What inferred pairs are planned with, R × P, ms: the percentile in whole microseconds, rounded up.

    What is no more than a millionth of a microsecond above one is that one.
    """
    lower, middle, upper = _ordered(pairs)
    part = (share - END) / (HALF - END)
    begin, end, part = (lower, middle, part) if part <= 1 else (middle, upper, part - 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ms = np.exp(np.log(begin) + float(part) * (np.log(end) - np.log(begin)))
        return np.asarray(np.ceil(1000 * ms - 1e-6) / 1000, np.float64)


def most_chance(pairs: Pairs, region: Int, site: int, limit_ms: Float) -> Float:
    """At least the chance that a round trip is at most `limit_ms`, n × D, between n regions and one site."""
    at = region, site
    lower, middle, upper = (end[:, None] for end in _ordered(pairs, at))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first = 0.05 + 0.45 * _part(lower, limit_ms, middle)
        second = 0.5 + 0.45 * _part(middle, limit_ms, upper)
        beyond = 1 - 0.05 * (upper / limit_ms) ** 2
    inferred = np.select([limit_ms < lower, limit_ms < middle, limit_ms < upper], [0.0, first, second], beyond)
    measured = limit_ms >= pairs.rtt_p95_ms[at][:, None]
    state = pairs.rtt_state[at][:, None]
    found = np.select([state == State.INFERRED, state == State.MEASURED], [inferred, measured.astype(np.float64)], 0.0)
    return np.asarray(np.minimum(found + OUTWARD, 1.0), np.float64)


def _part(begin: Float, at: Float, end: Float) -> Float:
    return np.asarray(np.log1p((at - begin) / begin) / np.log1p((end - begin) / begin), np.float64)


def _ordered(pairs: Pairs, at: tuple[Int, int] | slice = slice(None)) -> tuple[Float, Float, Float]:
    """Ends and middle of intervals, each at least what stands before it."""
    lower = np.maximum(pairs.rtt_lower_ms[at], LEAST_MS)
    middle = np.maximum(pairs.rtt_mid_ms[at], lower)
    return lower, middle, np.maximum(pairs.rtt_upper_ms[at], middle)
