"""What is known of every (region, site) pair: a state for latency, one for bandwidth, and where figures come from."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Codes = NDArray[np.int8]


class State(IntEnum):
    """A pair is in exactly one of these; unknown never becomes zero and never becomes admissible."""

    UNKNOWN = 0
    INFERRED = 1
    MEASURED = 2


class Provenance(IntEnum):
    """Where a figure comes from."""

    NONE = 0
    DIRECT = 1  # measured between this region and this site
    PATH = 2  # sum over measured links
    AGGREGATE = 3  # a figure for countries or ASNs that the pair belongs to
    MODEL = 4  # distance with the country pair's own inflation and last mile
    NEIGHBOURS = 5  # what other pairs of the same region and of the same site measured: see `placement.inference`


@dataclass(frozen=True)
class Pairs:
    """R regions × P sites. Every array is R × P; NaN where unknown. Names are sorted."""

    regions: tuple[str, ...]
    sites: tuple[str, ...]
    rtt_state: Codes
    rtt_provenance: Codes
    rtt_base_ms: Float  # windowed minimum; for inferred pairs the interval's middle is not claimed: NaN unless known
    rtt_p50_ms: Float
    rtt_p95_ms: Float  # measured only
    rtt_lower_ms: Float  # the interval, and within it what is as likely above as below; measured: all are the p95
    rtt_mid_ms: Float
    rtt_upper_ms: Float
    loss: Float  # share of probes lost, 0..1
    jitter_ms: Float
    samples: NDArray[np.int64]  # 0 where there are none
    mbps_state: Codes
    mbps_provenance: Codes  # of the bandwidth: it may come from elsewhere than the latency
    mbps: Float  # region to site
    observed_at_s: Float  # newest observation, seconds since 1970 UTC

    @property
    def planned_rtt_ms(self) -> Float:
        """What is promised, ms: a measured pair's p95, an inferred one's upper end, NaN when unknown.

        It is what plans count unless their scenario sets a percentile: `placement.problem.uncertainty.planned_rtt_ms`.
        """
        return np.where(self.rtt_state == State.UNKNOWN, np.nan, self.rtt_upper_ms)
