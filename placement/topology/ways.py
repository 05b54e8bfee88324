"""By which sites the figures of a pair come, in words: a person will ask."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placement.topology.links import Paths
from placement.topology.pairs import Pairs, Provenance


def via(pairs: Pairs, paths: Paths | None, region: NDArray[np.int64], site: NDArray[np.int64]) -> pa.ChunkedArray:
    """The sites between the ends of each pair asked for, "site:a;site:b" in the order of travel.

    `region` is sorted. Null where neither latency nor bandwidth comes from a path, and where the path is one link.
    """
    kinds = pairs.rtt_provenance[region, site], pairs.mbps_provenance[region, site]
    asked = (kinds[0] == Provenance.PATH) | (kinds[1] == Provenance.PATH)
    if paths is None or not asked.any():
        return pa.chunked_array([pa.nulls(len(region), pa.string())])
    names = [f"site:{name}" for name in pairs.sites]
    # A region's ways share their beginnings; those of one region at a time are held as Python's strings.
    ends = [*np.flatnonzero(np.diff(region)) + 1, len(region)]
    parts = []
    for first, last in zip([0, *ends[:-1]], ends, strict=True):
        before = _Before(paths.before[region[first]].tolist(), len(pairs.regions), names)
        ways = [
            before.of(node) if path else None for node, path in zip(site[first:last], asked[first:last], strict=True)
        ]
        parts.append(pa.array(ways, pa.string()))
    return pa.chunked_array(parts)


class _Before:
    """The sites on the ways out of one region, worked out once each."""

    def __init__(self, before: list[int], regions: int, names: list[str]) -> None:
        self._before, self._regions, self._names = before, regions, names
        self._known: dict[int, str] = {}

    def of(self, site: int) -> str | None:
        """Those before a site; None where it is the first one."""
        steps = []
        while site not in self._known:
            steps.append(site)
            site = self._before[site + self._regions] - self._regions
            if site < 0:
                break
        for step in reversed(steps):
            earlier = self._before[step + self._regions] - self._regions
            way = "" if earlier < 0 else self._known[earlier]
            self._known[step] = "" if earlier < 0 else f"{way};{self._names[earlier]}" if way else self._names[earlier]
        return self._known[steps[0] if steps else site] or None
