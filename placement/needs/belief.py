"""What is believed of a pair's RTT before it is measured (again): an interval, and the chance to stay below a limit.

An inferred pair keeps the topology's interval. What is stale or unknown gets one here, of the same distribution
(`placement.topology.chance`). These figures only rank pairs: nothing of them reaches a plan.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from placement.geo import fibre_floor_ms
from placement.topology import chance
from placement.topology.pairs import Codes, Float, Pairs, State

DRIFT = 1.1
"""What a figure that is too old may have changed by: of 119,805 PlanetLab pairs, measured again, 5 % fell to less than
1/1.11 and 5 % rose above 1.098 times what they were."""
LEAST_CHANCE = 0.005
"""A round trip that is less likely than this to be kept is not hoped for."""
DAY_S = 86_400.0
Ints = NDArray[np.int64]


class Why(IntEnum):
    """Why a pair is to be measured; NOT where it is not."""

    NOT = 0
    STALE = 1
    INFERRED = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Belief:
    """R × P arrays. `floor_ms` is light in fibre; `lower_ms`, `mid_ms` and `upper_ms` are finite and above 0: 5 %, 50 %
    and 95 % of the chance lie below them; where nothing is to be measured, all are the figure that is planned with."""

    why: Codes
    floor_ms: Float
    lower_ms: Float
    mid_ms: Float
    upper_ms: Float

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the upper end is more than a guess."""
        return np.asarray(self.why != Why.UNKNOWN, np.bool_)

    def chance(self, limit_ms: Float, rows: Ints, columns: Ints | slice = slice(None)) -> Float:
        """The chance that the RTT is at most `limit_ms`: of rows × P, or of the pairs (row, column).

        A plan is promised nothing below the lower end, but one pair in twenty is there: the chance falls off in
        proportion to the round trip. 0 where light would need longer.
        """
        at = rows, columns
        asked, lower_ms = self.why[at] != Why.NOT, self.lower_ms[at]
        state = np.where(asked, State.INFERRED, State.MEASURED)
        likely = chance.chance(state, lower_ms, self.mid_ms[at], self.upper_ms[at], limit_ms)
        below = asked & (limit_ms < lower_ms)
        likely = np.where(below, chance.OUTSIDE * np.maximum(limit_ms, 0.0) / lower_ms, likely)
        return np.asarray(np.where(limit_ms < self.floor_ms[at], 0.0, likely), np.float64)

    @property
    def least_ms(self) -> Float:
        """What is hardly ever undercut (LEAST_CHANCE), and never by light."""
        drop = np.where(self.why == Why.NOT, 1.0, LEAST_CHANCE / chance.OUTSIDE)
        return np.asarray(np.maximum(self.lower_ms * drop, self.floor_ms), np.float64)


def believe(pairs: Pairs, distance_km: Float, oldest_s: float) -> Belief:
    """The belief from the pairs; a measured pair whose newest record is from before `oldest_s` is stale.

    A fresh measured pair keeps its p95; a stale one may have drifted from it by DRIFT either way. An unknown pair lies
    between light in fibre and twice the world's mean at its distance, 24 + 1.74 ms per 100 km, or light where more,
    and has that mean for its middle.
    """
    measured = pairs.rtt_state == State.MEASURED
    stale = measured & ~(pairs.observed_at_s >= oldest_s)  # an unknown time is no fresh one
    inferred = pairs.rtt_state == State.INFERRED
    floor_ms = fibre_floor_ms(distance_km)
    mean_ms = 24.0 + 1.74 * distance_km / 100.0
    which = [stale, measured | inferred]
    lower = np.maximum(np.select(which, [pairs.rtt_p95_ms / DRIFT, pairs.rtt_lower_ms], floor_ms), chance.LEAST_MS)
    mid = np.maximum(np.select(which, [pairs.rtt_p95_ms, pairs.rtt_mid_ms], mean_ms), lower)
    upper = np.maximum(np.select(which, [pairs.rtt_p95_ms * DRIFT, pairs.rtt_upper_ms], 2 * mean_ms), mid)
    why = np.select([stale, inferred, measured], [Why.STALE, Why.INFERRED, Why.NOT], np.int8(Why.UNKNOWN))
    return Belief(why.astype(np.int8), floor_ms, lower, mid, upper)
