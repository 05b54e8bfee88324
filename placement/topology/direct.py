"""What was measured between a region's endpoints and a site's endpoints themselves.

Several summaries of one pair (endpoints, methods, families, either way round: a round trip is symmetric) become one
figure by the rule of `summaries`: the p95 is the weighted 95 % quantile of theirs, the p50 the weighted median, the
base the minimum; loss and jitter are weighted means. The weight is that of the endpoints. Summaries in which no answer
came back say nothing of latency, and nothing of loss while another method gets through (ICMP is often dropped where TCP
is not); an HTTP time holds the server's work and counts only where nothing else was measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.topology.matches import Matches
from placement.topology.pairs import Float

Ints = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
"""The columns of the summaries, at some matches."""

_NAMES = ("source", "target", "method")
MATCHES_AT_ONCE = 1_000_000


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

    @classmethod
    def nothing(cls, shape: tuple[int, int]) -> "Direct":
        """Nothing was measured."""
        figures = {field.name: np.full(shape, np.nan) for field in fields(cls) if field.name != "samples"}
        return cls(samples=np.zeros(shape, np.int64), **figures)


def direct(summaries: pd.DataFrame, matches: Matches, shape: tuple[int, int]) -> Direct:
    """The measured figures of every pair; `shape` is (R, P)."""
    found = Direct.nothing(shape)
    pair = matches.region.astype(np.int64) * shape[1] + matches.site
    order = np.argsort(pair, kind="stable")
    for part in _by_pair(pair[order]):
        _measure(found, summaries, matches.at(order[part]), pair[order[part]])
    return found


def _by_pair(pair: Ints) -> Iterator[slice]:
    """Stretches of the sorted pairs, each pair in one of them: millions at once would need their size many times."""
    first = 0
    while first < len(pair):
        last = min(first + MATCHES_AT_ONCE, len(pair))
        last = int(np.searchsorted(pair, pair[last - 1], side="right"))
        yield slice(first, last)
        first = last


def _measure(found: Direct, summaries: pd.DataFrame, matches: Matches, number: Ints) -> None:
    """Write what the matches, all those of their pairs, say of them into `found`; `number` is each match's pair."""
    numbers, pair = np.unique(number, return_inverse=True)
    # Names are left out: of millions of rows they would be as many objects.
    column = {name: summaries[name].to_numpy()[matches.row] for name in summaries.columns if name not in _NAMES}
    column["method"] = summaries["method"].array[matches.row]
    used = _speaks_of_latency(pair, column, len(numbers))
    timed = used & ~np.isnan(column["rtt_p95_ms"])
    averages = used & np.isnan(column["rtt_p95_ms"])

    def write(into: Float, name: str, rows: NDArray[np.bool_], share: float | None = None) -> None:
        """The quantile at `share`, else the mean, of a column's rows."""
        values = column[name].astype(np.float64)
        rows = rows & ~np.isnan(values)
        given = pair[rows], values[rows], matches.weight[rows]
        at, value = weighted_mean(*given) if share is None else weighted_quantile(*given, share)
        into.reshape(-1)[numbers[at]] = value

    write(found.rtt_base_ms, "rtt_base_ms", used, 0.0)
    write(found.rtt_p50_ms, "rtt_p50_ms", timed, 0.5)
    write(found.rtt_p95_ms, "rtt_p95_ms", timed, 0.95)
    write(found.loss, "loss", used)
    write(found.jitter_ms, "jitter_ms", used)
    write(found.rtt_avg_ms, "rtt_avg_ms", averages)
    write(found.rtt_std_ms, "rtt_std_ms", averages)
    newest = np.full(len(numbers), -np.inf)
    np.maximum.at(newest, pair, column["observed_at_s"])
    found.observed_at_s.reshape(-1)[numbers] = np.where(np.isfinite(newest), newest, np.nan)
    samples = np.zeros(len(numbers), np.int64)
    np.add.at(samples, pair[used], column["samples"][used])
    found.samples.reshape(-1)[numbers] = samples
    found.mbps.reshape(-1)[numbers] = _mbps(pair, column, matches, len(numbers))


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


def _speaks_of_latency(pair: Ints, column: Columns, pairs: int) -> NDArray[np.bool_]:
    """Rows that speak of their pair's latency and loss: those that got answers by the best kind of method that did."""
    worst = np.int8(2)
    answered = ~np.isnan(column["rtt_p95_ms"].astype(float)) | ~np.isnan(column["rtt_avg_ms"].astype(float))
    answered |= column["samples"].astype(np.int64) > 0
    rank = np.where(answered, np.where(column["method"] == "http", 1, 0), worst).astype(np.int8)
    best = np.full(pairs, worst)
    np.minimum.at(best, pair, rank)
    return np.asarray(rank == best[pair])


def _mbps(pair: Ints, column: Columns, matches: Matches, pairs: int) -> Float:
    """Region to site: the weighted median of each method's figures, and of the methods the least."""
    value = np.where(matches.forward, column["mbps_up"], column["mbps_down"]).astype(np.float64)
    known = ~np.isnan(value)
    code, methods = pd.factorize(pd.Series(column["method"][known], dtype=object), sort=True)
    methods_count = max(len(methods), 1)
    group = pair[known] * methods_count + code
    found, median = weighted_quantile(group, value[known], matches.weight[known], 0.5)
    least = np.full(pairs, np.inf)
    np.minimum.at(least, found // methods_count, median)
    return np.where(np.isfinite(least), least, np.nan)
