"""How likely a pair's round trip is to stay below a limit, from its interval: one distribution for all who ask.

An inferred pair has three figures, m = `rtt_mid_ms` between l = `rtt_lower_ms` and u = `rtt_upper_ms`: 5 %, 50 % and
95 % of the chance lie below them. In between the chance is linear in log RTT; nothing is promised below l, and above u
the rest falls off with the square of the distance:

    F(t) = 0                                              t < l
    F(t) = 0.05 + 0.45 · log(t/l) / log(m/l)              l <= t < m
    F(t) = 0.50 + 0.45 · log(t/m) / log(u/m)              m <= t < u
    F(t) = 1 - 0.05 · (u/t)^2                             u <= t

A measured pair has one figure, its p95, and l = m = u: F is 0 below it and 1 from there on, as that figure is what the
plan promises. An unknown pair has none: F is 0, and there is no quantile.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placement.topology.pairs import Codes, Float, State

OUTSIDE = 0.05
"""The chance below the lower end, and that above the upper one."""
LEAST_MS = 0.01
"""A figure of less is taken for this, as logarithms want one above 0: two ends in one building."""


def chance(state: Codes, lower_ms: Float, mid_ms: Float, upper_ms: Float, limit_ms: ArrayLike) -> Float:
    """F(limit) of every pair, 0..1; the arrays broadcast against `limit_ms`."""
    limit = np.asarray(limit_ms, np.float64)
    lower_ms, mid_ms, upper_ms = (np.maximum(end, LEAST_MS) for end in (lower_ms, mid_ms, upper_ms))
    with np.errstate(divide="ignore", invalid="ignore"):
        below = OUTSIDE + (0.5 - OUTSIDE) * _part(limit, lower_ms, mid_ms)
        above = 0.5 + (0.5 - OUTSIDE) * _part(limit, mid_ms, upper_ms)
        beyond = 1 - OUTSIDE * (upper_ms / limit) ** 2
        inferred = np.select([limit < lower_ms, limit < mid_ms, limit < upper_ms], [0.0, below, above], beyond)
        found = np.select(
            [state == State.MEASURED, state == State.INFERRED], [(limit >= upper_ms).astype(np.float64), inferred], 0.0
        )
    return np.asarray(found, np.float64)


def quantile_ms(state: Codes, lower_ms: Float, mid_ms: Float, upper_ms: Float, share: float) -> Float:
    """The round trip, ms, that a share of 0.05 to 0.95 of the chance lies below; NaN where the pair is unknown.

    Raises:
        ValueError: the share is outside of what an interval says.
    """
    if not OUTSIDE <= share <= 1 - OUTSIDE:
        raise ValueError(f"an interval says nothing of a share of {share:g}: it must lie within 0.05 and 0.95")
    lower_ms, mid_ms = np.maximum(lower_ms, LEAST_MS), np.maximum(mid_ms, LEAST_MS)
    part = (share - OUTSIDE) / (0.5 - OUTSIDE)
    from_ms, to_ms, part = (lower_ms, mid_ms, part) if part <= 1 else (mid_ms, upper_ms, part - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inferred = from_ms ** (1 - part) * to_ms**part
    return np.select([state == State.MEASURED, state == State.INFERRED], [upper_ms, inferred], np.nan)


def _part(limit: NDArray[np.float64], from_ms: Float, to_ms: Float) -> Float:
    """How far a limit is on the way by its logarithm, 0..1; by differences, as ratios near 1 have few digits left."""
    return np.asarray(np.log1p((limit - from_ms) / from_ms) / np.log1p((to_ms - from_ms) / from_ms), np.float64)
