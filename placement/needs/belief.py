"""What is believed of a pair's RTT before it is measured (again): an interval, and the chance to stay below a limit.

These figures only rank pairs. Nothing of them reaches a plan.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.geo import fibre_floor_ms
from placement.topology.pairs import Codes, Float, Pairs, State

INSIDE = 0.9
"""How often the true figure lies within the interval; the rest is shared by both sides of it."""
DRIFT = 1.25
"""A figure that is too old may have changed by so much either way: routes come and go."""
LEAST_MS = 0.01
DAY_S = 86_400.0


class Why(IntEnum):
    """Why a pair is to be measured; NOT where it is not."""

    NOT = 0
    STALE = 1
    INFERRED = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Belief:
    """R × P arrays. `floor_ms` is light in fibre, `lower_ms` and `upper_ms` the interval, finite and above 0."""

    why: Codes
    floor_ms: Float
    lower_ms: Float
    upper_ms: Float

    @cached_property
    def _log_lower(self) -> Float:
        return np.asarray(np.log(self.lower_ms), np.float64)

    @cached_property
    def _log_span(self) -> Float:
        return np.asarray(np.log(self.upper_ms) - self._log_lower, np.float64)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the upper end is more than a guess."""
        return np.asarray(self.why != Why.UNKNOWN, np.bool_)

    def chance(self, limit_ms: Float, rows: NDArray[np.int64]) -> Float:
        """The chance that the RTT is at most `limit_ms`, rows × P: even over the logarithm within the interval.

        0 where light would need longer; no other figure is ever sure.
        """
        low, span = self._log_lower[rows], self._log_span[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = np.log(np.maximum(limit_ms, 0.0)) - low
            inside = np.where(span > 0, beyond / span, beyond >= 0)
        outside = (1 - INSIDE) / 2
        likely = outside + INSIDE * np.clip(inside, 0.0, 1.0)
        return np.asarray(np.where(limit_ms < self.floor_ms[rows], 0.0, likely), np.float64)


def believe(pairs: Pairs, distance_km: Float, oldest_s: float) -> Belief:
    """The belief from the pairs; a measured pair whose newest record is from before `oldest_s` is stale.

    A fresh measured pair keeps its p95; a stale one may have drifted from its base or its p95. An unknown pair lies
    between light in fibre and twice the world's mean at its distance, 24 + 1.74 ms per 100 km, or light where more.
    """
    measured = pairs.rtt_state == State.MEASURED
    stale = measured & ~(pairs.observed_at_s >= oldest_s)  # an unknown time is no fresh one
    inferred = pairs.rtt_state == State.INFERRED
    floor_ms = fibre_floor_ms(distance_km)
    mean_ms = 24.0 + 1.74 * distance_km / 100.0
    base_ms = np.fmin(pairs.rtt_base_ms, pairs.rtt_p95_ms)
    lower = np.select([stale, measured | inferred], [base_ms / DRIFT, pairs.rtt_lower_ms], floor_ms)
    upper = np.select([stale, measured | inferred], [pairs.rtt_p95_ms * DRIFT, pairs.rtt_upper_ms], 2 * mean_ms)
    lower = np.maximum(lower, LEAST_MS)
    return Belief(
        why=np.select([stale, inferred, measured], [Why.STALE, Why.INFERRED, Why.NOT], np.int8(Why.UNKNOWN)).astype(
            np.int8
        ),
        floor_ms=floor_ms,
        lower_ms=lower,
        upper_ms=np.maximum(upper, lower),
    )
