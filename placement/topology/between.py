"""What probes at sites measured of each other."""

import numpy as np
import pandas as pd

from placement.topology.direct import direct
from placement.topology.endpoints import Endpoints
from placement.topology.matches import Matches, match

COLUMNS = ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "loss", "jitter_ms", "samples", "mbps", "observed_at_s")


def between_sites(summaries: pd.DataFrame, ends: Endpoints, sites: int) -> pd.DataFrame:
    """One row per ordered pair of sites that was measured, sorted: source and target (indices into the sorted sites),
    and the figures of `direct.Direct` under COLUMNS, by the same rules.

    A round trip counts both ways; `mbps` runs from source to target. Figures of whole countries and networks play no
    part, nor does what the ends of one site measured of each other.
    """
    found = match(summaries, ends, "site", "site")
    found = found.at(np.flatnonzero(found.region != found.site))
    number, pair = np.unique(found.region.astype(np.int64) * max(sites, 1) + found.site, return_inverse=True)
    # A few pairs of millions are measured: they stand in one row, instead of in a matrix of all sites.
    row = np.zeros(len(pair), np.int32)
    alone = Matches(found.row, row, pair.astype(np.int32), found.weight, found.forward)
    figures = direct(summaries, alone, (1, len(number)))
    frame = pd.DataFrame({name: getattr(figures, name)[0] for name in COLUMNS})
    frame.insert(0, "source", number // max(sites, 1))
    frame.insert(1, "target", number % max(sites, 1))
    return frame
