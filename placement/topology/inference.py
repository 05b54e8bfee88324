"""What is not measured between a pair's own ends, but follows: over links, or from a figure for whole countries."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.direct import Direct
from placement.topology.endpoints import Endpoints
from placement.topology.pairs import Codes, Float, Provenance


@dataclass(frozen=True)
class Inferred:
    """R × P arrays: NaN (samples 0) where nothing follows."""

    rtt_lower_ms: Float
    rtt_upper_ms: Float
    provenance: Codes
    loss: Float
    samples: NDArray[np.int64]
    mbps: Float
    observed_at_s: Float

    @classmethod
    def nothing(cls, shape: tuple[int, int]) -> "Inferred":
        """No pair can be inferred."""
        empty = np.full(shape, np.nan)
        return cls(
            empty, empty, np.full(shape, Provenance.NONE, np.int8), empty, np.zeros(shape, np.int64), empty, empty
        )


def inferred(
    summaries: pd.DataFrame,
    ends: Endpoints,
    measured: Direct,
    links: pd.DataFrame,
    regions: pd.DataFrame,
    sites: pd.DataFrame,
    distance_km: Float,
) -> Inferred:
    """What follows for every pair; of a path and an aggregate the one with the lower upper end."""
    return Inferred.nothing(distance_km.shape)  # replaced below
