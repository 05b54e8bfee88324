"""What is known of a matrix as measurements go on, and the intervals that follow for the rest."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bench.closed_loop.matrices import Bool, Float, Ints, Matrix
from bench.closed_loop.world import regions, sites
from placement.inference import Known, infer
from placement.needs.belief import DAY_S
from placement.topology.pairs import Pairs, Provenance, State

NOW_S = 1_767_225_600.0  # 2026-01-01
OLDEST_DAYS = 60.0
STALE_DAYS = 30.0


@dataclass(frozen=True)
class Knowledge:
    """R × P: `rtt_ms` as measured last, NaN where never; `seen_s` when."""

    matrix: Matrix
    rtt_ms: Float
    seen_s: Float

    @classmethod
    def first(cls, matrix: Matrix, per_site: int, seed: int) -> Self:
        """A few random pairs of every site, measured up to OLDEST_DAYS ago, when the network was as before."""
        draw = np.random.default_rng([seed, 2])
        known = np.zeros(matrix.rtt_ms.shape, np.bool_)
        for p in range(matrix.rtt_ms.shape[-1]):
            there = np.flatnonzero(~np.isnan(matrix.before_ms[:, p]))
            known[draw.choice(there, min(per_site, len(there)), replace=False), p] = True
        age_s = draw.uniform(0.0, OLDEST_DAYS * DAY_S, known.shape)
        return cls(matrix, np.where(known, matrix.before_ms, np.nan), np.where(known, NOW_S - age_s, np.nan))

    @property
    def measured(self) -> Bool:
        return ~np.isnan(self.rtt_ms)

    @property
    def fresh(self) -> Bool:
        """Measured in this loop: nothing is left to learn."""
        return np.asarray(self.seen_s >= NOW_S, np.bool_)

    @property
    def open(self) -> Bool:
        """Pairs that a measurement would tell something of."""
        return ~self.fresh & ~np.isnan(self.matrix.rtt_ms)

    def after(self, which: Ints) -> "Knowledge":
        """With these pairs (places in the flat matrix) measured now."""
        rtt_ms, seen_s = self.rtt_ms.copy(), self.seen_s.copy()
        rtt_ms.flat[which] = self.matrix.rtt_ms.flat[which]
        seen_s.flat[which] = NOW_S
        return replace(self, rtt_ms=rtt_ms, seen_s=seen_s)

    def pairs(self, seed: int) -> Pairs:
        """Measured pairs as they were measured, intervals for the others; pairs without a truth stay unknown."""
        row, column = np.nonzero(self.measured)
        found = infer(Known(self.rtt_ms.shape, row, column, self.rtt_ms[row, column]), seed)
        inferred = ~self.measured & ~np.isnan(self.matrix.rtt_ms) & ~np.isnan(found.upper_ms)
        state = np.select([self.measured, inferred], [State.MEASURED, State.INFERRED], State.UNKNOWN)
        ends = (np.where(inferred, end, self.rtt_ms) for end in (found.lower_ms, found.mid_ms, found.upper_ms))
        return pairs_of(state, *ends, seen_s=self.seen_s)


def truth(matrix: Matrix) -> Pairs:
    """The pairs as they truly are."""
    state = np.where(np.isnan(matrix.rtt_ms), State.UNKNOWN, State.MEASURED)
    return pairs_of(state, matrix.rtt_ms, matrix.rtt_ms, matrix.rtt_ms, seen_s=np.full(state.shape, NOW_S))


def pairs_of(state: NDArray[np.int64], lower_ms: Float, mid_ms: Float, upper_ms: Float, *, seen_s: Float) -> Pairs:
    """Pairs with figures of latency alone."""
    nothing, none = np.full(state.shape, np.nan), np.zeros(state.shape, np.int8)
    measured = state == State.MEASURED
    source = np.select([measured, state == State.INFERRED], [Provenance.DIRECT, Provenance.NEIGHBOURS], Provenance.NONE)
    return Pairs(
        regions=regions(state.shape[0]),
        sites=sites(state.shape[1]),
        rtt_state=state.astype(np.int8),
        rtt_provenance=source.astype(np.int8),
        rtt_base_ms=np.where(measured, upper_ms, np.nan),
        rtt_p50_ms=np.where(measured, mid_ms, np.nan),
        rtt_p95_ms=np.where(measured, upper_ms, np.nan),
        rtt_lower_ms=lower_ms,
        rtt_mid_ms=mid_ms,
        rtt_upper_ms=upper_ms,
        loss=nothing,
        jitter_ms=nothing,
        samples=np.where(measured, 10, 0),
        mbps_state=none,
        mbps_provenance=none,
        mbps=nothing,
        observed_at_s=seen_s,
    )
