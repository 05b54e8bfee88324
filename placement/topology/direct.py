"""What was measured between a region's endpoints and a site's endpoints themselves.

Several summaries of one pair (endpoints, methods, families, either way round: a round trip is symmetric) become one
figure by the rule of `summaries`: the p95 is the weighted 95 % quantile of theirs, the p50 the weighted median, the
base the minimum; loss and jitter are weighted means. The weight is that of the endpoints. Summaries in which no answer
came back say nothing of latency, and nothing of loss while another method gets through (ICMP is often dropped where TCP
is not); an HTTP time holds the server's work and counts only where nothing else was measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.endpoints import Endpoints
from placement.topology.pairs import Float

Ints = NDArray[np.int64]
Column = Callable[[str], NDArray[Any]]
"""A column of the summaries, at the matches."""


@dataclass(frozen=True)
class Direct:
    """R × P arrays; NaN where nothing was measured. `rtt_avg_ms` and `rtt_std_ms` stand only where no p95 does."""

    rtt_base_ms: Float
    rtt_p50_ms: Float
    rtt_p95_ms: Float
    loss: Float
    jitter_ms: Float
    samples: Ints
    mbps: Float
    observed_at_s: Float
    rtt_avg_ms: Float
    rtt_std_ms: Float


@dataclass(frozen=True)
class Matches:
    """Which summary speaks of which pair: `row` into the summaries, region and site indices, the ends' weight.

    `forward` is true where the summary's source is the region's end.
    """

    row: Ints
    region: Ints
    site: Ints
    weight: Float
    forward: NDArray[np.bool_]


def match(summaries: pd.DataFrame, ends: Endpoints) -> Matches:
    """Pairs of which a summary speaks itself, through ends that are no countries and no networks."""
    source, target = summaries["source"], summaries["target"]
    regions, sites = ends.side("region", aggregate=False), ends.side("site", aggregate=False)
    parts = []
    for forward, region_name, site_name in ((True, source, target), (False, target, source)):
        at_region = _places(region_name, regions).rename(columns={"place": "region", "weight": "region_weight"})
        at_site = _places(site_name, sites).rename(columns={"place": "site", "weight": "site_weight"})
        parts.append(at_region.merge(at_site, on="row").assign(forward=forward))
    both = pd.concat(parts, ignore_index=True).sort_values(["row", "region", "site", "forward"], ignore_index=True)
    return Matches(
        both["row"].to_numpy(np.int64),
        both["region"].to_numpy(np.int64),
        both["site"].to_numpy(np.int64),
        (both["region_weight"] * both["site_weight"]).to_numpy(np.float64),
        both["forward"].to_numpy(np.bool_),
    )


def direct(summaries: pd.DataFrame, matches: Matches, shape: tuple[int, int]) -> Direct:
    """The measured figures of every pair; `shape` is (R, P)."""

    def column(name: str) -> NDArray[Any]:  # taken when it is asked for: together they are larger than the summaries
        return np.asarray(summaries[name].to_numpy()[matches.row])

    pair = matches.region * shape[1] + matches.site
    used = _speaks_of_latency(pair, column, shape)
    timed = used & ~np.isnan(column("rtt_p95_ms"))

    def figure(kind: str, name: str, rows: NDArray[np.bool_], share: float = 0.0) -> Float:
        values = column(name).astype(np.float64, copy=False)
        rows = rows & ~np.isnan(values)
        if kind == "quantile":
            found, value = weighted_quantile(pair[rows], values[rows], matches.weight[rows], share)
        else:
            found, value = weighted_mean(pair[rows], values[rows], matches.weight[rows])
        return _spread(found, value, shape)

    averages = used & np.isnan(column("rtt_p95_ms"))
    newest = np.full(shape[0] * shape[1], -np.inf)
    np.maximum.at(newest, pair, column("observed_at_s"))
    samples = np.zeros(shape[0] * shape[1], np.int64)
    np.add.at(samples, pair[used], column("samples")[used])
    return Direct(
        rtt_base_ms=figure("quantile", "rtt_base_ms", used, 0.0),
        rtt_p50_ms=figure("quantile", "rtt_p50_ms", timed, 0.5),
        rtt_p95_ms=figure("quantile", "rtt_p95_ms", timed, 0.95),
        loss=figure("mean", "loss", used),
        jitter_ms=figure("mean", "jitter_ms", used),
        samples=samples.reshape(shape),
        mbps=_mbps(pair, column, matches, shape),
        observed_at_s=np.where(np.isfinite(newest), newest, np.nan).reshape(shape),
        rtt_avg_ms=figure("mean", "rtt_avg_ms", averages),
        rtt_std_ms=figure("mean", "rtt_std_ms", averages),
    )


def weighted_quantile(group: Ints, value: Float, weight: Float, share: float) -> tuple[Ints, Float]:
    """The groups, sorted, and of each the smallest value at which `share` of the group's weight is reached."""
    order = np.lexsort((weight, value, group))
    group, value, weight = group[order], value[order], weight[order]
    found, start, count = np.unique(group, return_index=True, return_counts=True)
    inside = np.repeat(np.arange(len(found)), count)
    whole = np.bincount(inside, weight, len(found))
    # Whole parts per billion of the group, so that the running sum is exact whatever other groups there are.
    parts = np.rint(weight / np.where(whole > 0, whole, np.inf)[inside] * 1e9).astype(np.int64)
    total = np.cumsum(parts)
    before = total[start] - parts[start]
    full = total[start + count - 1] - before
    reached = (total - before[inside] >= (share * full - count)[inside]) & (weight > 0)
    first = np.full(len(found), len(value), np.int64)
    np.minimum.at(first, inside[reached], np.flatnonzero(reached))
    known = first < len(value)
    return found[known], value[first[known]]


def weighted_mean(group: Ints, value: Float, weight: Float) -> tuple[Ints, Float]:
    """The groups, sorted, and of each the weighted mean of its values."""
    found, start = np.unique(group, return_inverse=True)
    weights = np.bincount(start, weight, len(found))
    mean = np.bincount(start, weight * value, len(found)) / np.where(weights > 0, weights, np.nan)
    known = weights > 0
    return found[known], mean[known]


def _places(names: pd.Series, side: pd.DataFrame) -> pd.DataFrame:
    """Columns row, place, weight: the places of one side behind each summary's name."""
    code, values = pd.factorize(side["endpoint"])
    rows = pd.DataFrame({"row": np.arange(len(names)), "code": pd.Index(values).get_indexer(names)})
    behind = pd.DataFrame({"code": code, "place": side["place"].to_numpy(), "weight": side["weight"].to_numpy()})
    return rows[rows["code"] >= 0].merge(behind, on="code")[["row", "place", "weight"]]


def _speaks_of_latency(pair: Ints, column: Column, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Rows that speak of their pair's latency and loss: those that got answers by the best kind of method that did."""
    worst = np.int8(2)
    answered = ~np.isnan(column("rtt_p95_ms").astype(float)) | ~np.isnan(column("rtt_avg_ms").astype(float))
    answered |= column("samples").astype(np.int64) > 0
    rank = np.where(answered, np.where(column("method") == "http", 1, 0), worst).astype(np.int8)
    best = np.full(shape[0] * shape[1], worst)
    np.minimum.at(best, pair, rank)
    return np.asarray(rank == best[pair])


def _mbps(pair: Ints, column: Column, matches: Matches, shape: tuple[int, int]) -> Float:
    """Region to site: the weighted median of each method's figures, and of the methods the least."""
    value = np.where(matches.forward, column("mbps_up"), column("mbps_down")).astype(np.float64)
    known = ~np.isnan(value)
    code, methods = pd.factorize(pd.Series(column("method")[known], dtype=object), sort=True)
    methods_count = max(len(methods), 1)
    group = pair[known] * methods_count + code
    found, median = weighted_quantile(group, value[known], matches.weight[known], 0.5)
    least = np.full(shape[0] * shape[1], np.inf)
    np.minimum.at(least, found // methods_count, median)
    return np.where(np.isfinite(least), least, np.nan).reshape(shape)


def _spread(pair: Ints, value: Float, shape: tuple[int, int]) -> Float:
    out = np.full(shape[0] * shape[1], np.nan)
    out[pair] = value
    return out.reshape(shape)
