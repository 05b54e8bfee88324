"""By which sites the figures of a pair come, in words: a person will ask."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placement.topology.links import Paths
from placement.topology.pairs import Pairs, Provenance


def via(pairs: Pairs, paths: Paths | None, region: NDArray[np.int64], site: NDArray[np.int64]) -> pa.Array:
    """The sites between the ends of each pair asked for, "site:a;site:b" in the order of travel.

    Null where neither latency nor bandwidth comes from a path, and where the path is one link.
    """
    out = np.full(len(region), None, object)
    kinds = (pairs.rtt_provenance[region, site], pairs.mbps_provenance[region, site])
    at = np.flatnonzero((kinds[0] == Provenance.PATH) | (kinds[1] == Provenance.PATH))
    if paths is None or not len(at):
        return pa.array(out, pa.string())
    first, passed = paths.ways(region[at], site[at])
    names = [f"site:{name}" for name in pairs.sites]
    for k, pair in enumerate(at):
        between = passed[first[k] : first[k + 1] - 1]  # the last one is the pair's own
        out[pair] = ";".join([names[node] for node in between]) or None
    return pa.array(out, pa.string())
