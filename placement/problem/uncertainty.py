"""What a plan takes an inferred pair for, and how likely a route keeps its latency budget: docs/uncertainty.md."""

import numpy as np
from numpy.typing import NDArray

from placement.topology.chance import chance, quantile_ms
from placement.topology.pairs import Pairs, State

Float = NDArray[np.float64]
Int = NDArray[np.int64]

STEPS_PER_MS = 1000.0
"""A percentile is planned with in whole microseconds, rounded up, so that whoever works it out gets the same figure."""
ON_STEP = 1e-6
"""Of a step: what is no further above it is on it, as logarithms cannot tell."""
TIE = 1e-12
"""Of a budget: so much more of it counts where a chance is asked for, as floats cannot tell sums of decimals apart."""


def planned_rtt_ms(pairs: Pairs, percentile: float | None, regions: Int | int | slice = slice(None)) -> Float:
    """The round trips that rule 2 counts, of all regions or those given, regions × P (P for one of them), ms.

    A measured pair's p95; of an inferred one the `percentile` of its interval, in whole microseconds, without one its
    upper end; NaN where unknown.
    """
    if percentile is None:
        return np.asarray(pairs.planned_rtt_ms[regions], np.float64)
    state = pairs.rtt_state[regions]
    interval = (pairs.rtt_lower_ms[regions], pairs.rtt_mid_ms[regions], pairs.rtt_upper_ms[regions])
    ms = quantile_ms(state, *interval, percentile)
    stepped = np.ceil(ms * STEPS_PER_MS - ON_STEP) / STEPS_PER_MS
    return np.where(state == State.INFERRED, stepped, ms)


def met_chance(
    pairs: Pairs, region: Int, site: Int, budget_ms: Float | float, rest_ms: Float, round_trips: Float | float
) -> Float:
    """How likely round_trips · RTT + rest ≤ budget, for each (region, site), N; 1 or 0 for a measured pair.

    `rest_ms` is what does not depend on the round trip: the request's way up and the time to first token.
    """
    at = region, site
    limit_ms = (np.asarray(budget_ms) * (1 + TIE) - rest_ms) / round_trips
    interval = (pairs.rtt_lower_ms[at], pairs.rtt_mid_ms[at], pairs.rtt_upper_ms[at])
    return chance(pairs.rtt_state[at], *interval, limit_ms)
