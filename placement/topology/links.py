"""Pairs over links: a region's measured site, and from there the backbone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from placement.geo import fibre_floor_ms, great_circle_km
from placement.topology.chance import LEAST_MS
from placement.topology.direct import Direct
from placement.topology.pairs import Float

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Paths:
    """R × P; NaN where no path exists. `mbps` is the least along the path, NaN where one step's is not known.

    Nodes are numbered, regions first, then sites. `before` is R × (R + P): the node before, on the way from a region
    whose sum of p95s is the least; negative where there is none.
    """

    rtt_lower_ms: Float
    rtt_mid_ms: Float
    rtt_upper_ms: Float
    mbps: Float
    before: NDArray[np.int32]


def shortest_paths(measured: Direct, edges: pd.DataFrame) -> Paths | None:
    """Paths of a measured pair followed by links, or of links alone; None where there is no usable link.

    The upper end is the shortest sum of p95s: the traffic may be sent that way, so it need not be slower. (Percentiles
    of a sum are no sums of percentiles: unless delays come together, a path stays below that sum more often than in
    95 % of cases.) The lower end is the shortest sum of base latencies, of links that nobody measured of light in
    fibre: over any of these paths it is not faster. The middle is that of the logarithms of the upper end and the
    shortest sum of base latencies, with what the table says of links that nobody measured. `edges` is what `backbone`
    gives.
    """
    if not len(edges):
        return None
    upper, before = _distances(measured.rtt_p95_ms, edges, "upper_ms")
    base_ms = np.fmin(measured.rtt_base_ms, measured.rtt_p95_ms)
    base, _ = _distances(base_ms, edges, "base_ms")
    assumed = (edges["lower_ms"] < edges["base_ms"]).any()
    lower = _distances(base_ms, edges, "lower_ms")[0] if assumed else base
    mid = np.sqrt(np.maximum(base, LEAST_MS) * upper)
    known = np.isfinite(upper)
    mbps = _bottleneck(before, measured.mbps, edges, known)
    lower, mid, upper, mbps = (np.where(known, figure, np.nan) for figure in (lower, mid, upper, mbps))
    return Paths(lower, mid, upper, mbps, before)


def link_nodes(links: pd.DataFrame, regions: pd.Index, sites: pd.Index) -> tuple[Ints, Ints]:
    """Both ends of every link as node numbers: regions first, then sites; -1 where there is no such place.

    A name that is both is the site; links join sites, and may lead out from a region.
    """
    ends = []
    for column in ("source", "target"):
        site, region = sites.get_indexer(pd.Index(links[column])), regions.get_indexer(pd.Index(links[column]))
        ends.append(np.where(site >= 0, site + len(regions), region).astype(np.int64))
    return ends[0], ends[1]


def backbone(links: pd.DataFrame, between: pd.DataFrame, regions: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    """Directed edges source, target, lower_ms, base_ms, upper_ms, mbps between nodes, sorted; one each way for every
    link. `regions` and `sites` are the tables, in the order of the nodes.

    A link's round trip is the table's, and nothing below it is claimed but light in fibre, its lower end: who wrote the
    figure need not have measured it. Where its two sites measured each other (`between_sites`), their base latency is
    its lower end, their p95 its upper one, and its Mbit/s, where they measured that too, theirs. Sites that
    measured each other without a link in the table get none: nothing says that traffic is sent on between them, and
    what is not sent on need not take the sum (see `docs/topology.md`). Into a region there are no edges: nobody
    transits it.
    """
    source, target = link_nodes(links, pd.Index(regions["region"]), pd.Index(sites["site"]))
    rtt_ms = links["rtt_ms"].to_numpy(np.float64)
    mbps = links["mbps"].to_numpy(np.float64) if "mbps" in links else np.full(len(links), np.nan)
    least_ms = np.fmin(_light_ms(source, target, regions, sites), rtt_ms)
    figures = {"lower_ms": least_ms, "base_ms": rtt_ms, "upper_ms": rtt_ms, "mbps": mbps}
    one = pd.DataFrame({"source": source, "target": target, **figures})
    other = one.rename(columns={"source": "target", "target": "source"})
    both = pd.concat([one, other], ignore_index=True)[list(one.columns)]
    usable = (both["source"] >= 0) & (both["target"] >= len(regions)) & (both["source"] != both["target"])
    # Of parallel links the fastest counts, and of equally fast ones the widest.
    both = both[usable & both["upper_ms"].notna()].sort_values(
        ["source", "target", "upper_ms", "mbps"], ascending=[True, True, True, False]
    )
    return _as_measured(both.drop_duplicates(["source", "target"], ignore_index=True), between, len(regions))


def _as_measured(edges: pd.DataFrame, between: pd.DataFrame, regions: int) -> pd.DataFrame:
    """The edges with what was measured of them in place of what the table says."""
    figures = between[["source", "target", "rtt_base_ms", "rtt_p95_ms", "mbps"]].rename(columns={"mbps": "seen_mbps"})
    figures[["source", "target"]] += regions
    found = edges.merge(figures, on=["source", "target"], how="left")
    timed = found["rtt_p95_ms"].notna()
    base_ms = np.fmin(found["rtt_base_ms"], found["rtt_p95_ms"])
    return edges.assign(
        lower_ms=np.where(timed, base_ms, edges["lower_ms"]),
        base_ms=np.where(timed, base_ms, edges["base_ms"]),
        upper_ms=np.where(timed, found["rtt_p95_ms"], edges["upper_ms"]),
        mbps=np.where(found["seen_mbps"].notna(), found["seen_mbps"], edges["mbps"]),
    )


def _light_ms(source: Ints, target: Ints, regions: pd.DataFrame, sites: pd.DataFrame) -> Float:
    """What light in fibre needs between the nodes, there and back; of a node that is none (-1) no figure is used."""
    places = [frame[["latitude", "longitude"]].to_numpy(np.float64) for frame in (regions, sites)]
    latitude, longitude = np.concatenate(places).T
    return fibre_floor_ms(great_circle_km(latitude[source], longitude[source], latitude[target], longitude[target]))


def _distances(rtt_ms: Float, edges: pd.DataFrame, column: str) -> tuple[Float, NDArray[np.int32]]:
    """R × P shortest sums (inf without a path) and the predecessors, R × (R + P), of scipy."""
    count = sum(rtt_ms.shape)
    region, site = np.nonzero(~np.isnan(rtt_ms))
    direct = pd.DataFrame({"source": region, "target": site + rtt_ms.shape[0], "rtt_ms": rtt_ms[region, site]})
    over_links = edges[["source", "target", column]].rename(columns={column: "rtt_ms"})
    # What was measured of the pair itself stands before a link of the same two ends.
    every = pd.concat([direct, over_links], ignore_index=True).drop_duplicates(["source", "target"])
    weights = (every["rtt_ms"].to_numpy(), (every["source"].to_numpy(), every["target"].to_numpy()))
    network = csr_array(weights, shape=(count, count))
    lengths, before = dijkstra(network, indices=np.arange(rtt_ms.shape[0]), return_predecessors=True)
    return np.asarray(lengths[:, rtt_ms.shape[0] :], np.float64), before


def _bottleneck(
    before: NDArray[np.int32], measured_mbps: Float, edges: pd.DataFrame, known: NDArray[np.bool_]
) -> Float:
    """R × P least Mbit/s on the way found, region to site; NaN where one step's is not known.

    Every pair knows its last step; what it knows and what the site before knows is twice as far. So ways of any length
    take a few rounds over the whole matrix.
    """
    regions, _ = measured_mbps.shape
    region, site = np.nonzero(known)
    came_from = before[region, site + regions].astype(np.int64)
    own = (came_from == region) & ~np.isnan(measured_mbps[region, site])
    least = np.full(measured_mbps.shape, np.inf)
    least[region, site] = np.where(own, measured_mbps[region, site], _edge_mbps(edges, came_from, site + regions))
    earlier = np.full(measured_mbps.shape, -1, np.int32)  # the site up to which `least` does not reach yet
    earlier[region, site] = np.maximum(came_from - regions, -1)
    while len(region):
        going_on = earlier[region, site] >= 0
        region, site = region[going_on], site[going_on]
        at = earlier[region, site]
        # Both are read before either is written: all pairs go on by the same round.
        further, step = least[region, at], earlier[region, at]
        least[region, site] = np.minimum(least[region, site], further)  # NaN stays
        earlier[region, site] = step
    return np.where(known, least, np.nan)


def _edge_mbps(edges: pd.DataFrame, source: Ints, target: Ints) -> Float:
    """Mbit/s of the edges asked for; NaN where there is no such edge or nothing is known of it. `edges` is sorted."""
    width = int(max(edges["target"].max(), edges["source"].max(), target.max(initial=0), source.max(initial=0))) + 1
    have = (edges["source"] * width + edges["target"]).to_numpy(np.int64)
    wanted = source * width + target
    at = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
    return np.where(have[at] == wanted, edges["mbps"].to_numpy(np.float64)[at], np.nan)
