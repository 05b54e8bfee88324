"""Pairs over measured links: a region's measured site, and from there the backbone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from placement.topology.direct import Direct
from placement.topology.pairs import Float

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Paths:
    """R × P; NaN where no path exists. `mbps` is the least along the path, NaN where one step's is not known."""

    rtt_lower_ms: Float
    rtt_upper_ms: Float
    mbps: Float


def shortest_paths(measured: Direct, links: pd.DataFrame, regions: pd.Index, sites: pd.Index) -> Paths | None:
    """Paths of a measured pair followed by links, or of links alone; None where the scenario has no usable link.

    A link runs both ways. The upper end is the shortest sum of p95s (a link's figure is taken as it stands), the lower
    end the shortest sum of base latencies: the traffic may be sent that way, so it need not be slower than the one and,
    over any of these paths, is not faster than the other.
    """
    edges = _edges(links, regions, sites)
    if not len(edges):
        return None
    upper, before = _distances(measured.rtt_p95_ms, edges)
    lower, _ = _distances(np.fmin(measured.rtt_base_ms, measured.rtt_p95_ms), edges)
    known = np.isfinite(upper)
    mbps = _bottleneck(before, measured.mbps, edges, known)
    return Paths(np.where(known, lower, np.nan), np.where(known, upper, np.nan), np.where(known, mbps, np.nan))


def link_nodes(links: pd.DataFrame, regions: pd.Index, sites: pd.Index) -> tuple[Ints, Ints]:
    """Both ends of every link as node numbers: regions first, then sites; -1 where there is no such place.

    A name that is both is the site; links join sites, and may lead out from a region.
    """
    ends = []
    for column in ("source", "target"):
        site, region = sites.get_indexer(pd.Index(links[column])), regions.get_indexer(pd.Index(links[column]))
        ends.append(np.where(site >= 0, site + len(regions), region).astype(np.int64))
    return ends[0], ends[1]


def _edges(links: pd.DataFrame, regions: pd.Index, sites: pd.Index) -> pd.DataFrame:
    """Directed edges source, target, rtt_ms, mbps between nodes; into a region there are none: nobody transits it."""
    source, target = link_nodes(links, regions, sites)
    rtt_ms = links["rtt_ms"].to_numpy(np.float64)
    mbps = links["mbps"].to_numpy(np.float64) if "mbps" in links else np.full(len(links), np.nan)
    one = pd.DataFrame({"source": source, "target": target, "rtt_ms": rtt_ms, "mbps": mbps})
    other = one.rename(columns={"source": "target", "target": "source"})
    both = pd.concat([one, other], ignore_index=True)[["source", "target", "rtt_ms", "mbps"]]
    usable = (both["source"] >= 0) & (both["target"] >= len(regions)) & (both["source"] != both["target"])
    # Of parallel links the fastest counts, and of equally fast ones the widest.
    both = both[usable & both["rtt_ms"].notna()].sort_values(
        ["source", "target", "rtt_ms", "mbps"], ascending=[True, True, True, False]
    )
    return both.drop_duplicates(["source", "target"], ignore_index=True)


def _distances(rtt_ms: Float, edges: pd.DataFrame) -> tuple[Float, NDArray[np.int32]]:
    """R × P shortest sums (inf without a path) and the predecessors, R × (R + P), of scipy."""
    count = sum(rtt_ms.shape)
    region, site = np.nonzero(~np.isnan(rtt_ms))
    direct = pd.DataFrame(
        {"source": region, "target": site + rtt_ms.shape[0], "rtt_ms": rtt_ms[region, site], "mbps": np.nan}
    )
    # What was measured of the pair itself stands before a link of the same two ends.
    every = pd.concat([direct, edges], ignore_index=True).drop_duplicates(["source", "target"])
    weights = (every["rtt_ms"].to_numpy(), (every["source"].to_numpy(), every["target"].to_numpy()))
    network = csr_array(weights, shape=(count, count))
    lengths, before = dijkstra(network, indices=np.arange(rtt_ms.shape[0]), return_predecessors=True)
    return np.asarray(lengths[:, rtt_ms.shape[0] :], np.float64), before


def _bottleneck(
    before: NDArray[np.int32], measured_mbps: Float, edges: pd.DataFrame, known: NDArray[np.bool_]
) -> Float:
    """R × P least Mbit/s on the way found, region to site; walks all paths back one step at a time."""
    regions, sites = measured_mbps.shape
    region, site = np.nonzero(known)
    least, node = np.full(len(region), np.inf), site + regions
    walking = np.arange(len(region))
    while len(walking):
        at, of = node[walking], region[walking]
        came_from = before[of, at].astype(np.int64)
        first = (came_from == of) & ~np.isnan(measured_mbps[of, at - regions])
        step = np.where(first, measured_mbps[of, at - regions], _edge_mbps(edges, came_from, at))
        least[walking] = np.minimum(least[walking], step)  # NaN stays: one unknown step makes the path unknown
        node[walking] = came_from
        walking = walking[came_from != of]
    out = np.full((regions, sites), np.nan)
    out[region, site] = least
    return out


def _edge_mbps(edges: pd.DataFrame, source: Ints, target: Ints) -> Float:
    """Mbit/s of the edges asked for; NaN where there is no such edge or nothing is known of it. `edges` is sorted."""
    width = int(max(edges["target"].max(), edges["source"].max(), target.max(initial=0), source.max(initial=0))) + 1
    have = (edges["source"] * width + edges["target"]).to_numpy(np.int64)
    wanted = source * width + target
    at = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
    return np.where(have[at] == wanted, edges["mbps"].to_numpy(np.float64)[at], np.nan)
