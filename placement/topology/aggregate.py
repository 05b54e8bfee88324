"""Figures for whole countries and networks to an interval for each of their pairs.

An average over a country is no latency of anyone in it: it holds the country's width, hosts that a geolocation table
puts into the wrong country, and outliers of minutes. What it says is taken apart first:

    average(A, B) = last mile(A) + last mile(B) + detour(A, B) + inflation(A, B) · km(A, B) / 100

with km(A, B) the mean distance between inhabitants of A and of B, and put together again for region r in A and site s
in B over their own distance:

    centre(r, s) = last mile(A) + last mile(B) + detour(A, B) + inflation(A, B) · km(r, s) / 100
    lower(r, s)  = max(minimum(A, B), km(r, s) / 100)          light in fibre
    upper(r, s)  = centre(r, s) · (1 + SPREAD) + JITTER_MS     covers about 95 % of pairs

The last mile is half of what distance leaves of the country's own average. The inflation is drawn to the world's, the
more the shorter the distance, for over 500 km ten milliseconds of error are an inflation of two; and it is capped.
What that leaves of the average is a detour (by way of a third country), of the same length wherever one starts, if the
minimum lies above light in fibre over km(A, B). A smaller minimum shows that neighbours, or hosts that stand
elsewhere, are among the figures: then no detour is to be seen. A country's own figures always hold some.
`docs/topology.md` derives the constants; a test derives them again from the reference data.

A network whose figures come with a p95 (and ten samples) needs none of this: its upper end is that p95.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.geo import fibre_floor_ms, great_circle_km
from placement.topology.pairs import Float

Ints = NDArray[np.int64]

LEAST_SAMPLES = 10
WORLD_INFLATION = 1.7  # slope of RTT over distance between the world's countries, in units of light in fibre
LEAST_INFLATION = 1.4  # cross-border; of 10,000 km the shortest cloud routes have 1.2 to 1.4
LEAST_OWN_INFLATION = 1.5  # within a country
MOST_OWN_INFLATION = 1.8
MOST_INFLATION = 3.0
SHRINKAGE_KM = 1000.0  # at this distance a pair's own inflation and the world's have equal weight
LAST_MILE_MS = 5.0  # one end, where the country has no figure of its own
LEAST_LAST_MILE_MS = 3.0  # many in-country figures are between machines of one data centre
MOST_LAST_MILE_MS = 8.0
SPREAD = 0.2
JITTER_MS = 5.0


@dataclass(frozen=True)
class Figures:
    """One row per unordered pair of ends, `a` <= `b`, codes into the sorted `names`; NaN where not known."""

    names: tuple[str, ...]
    a: Ints
    b: Ints
    average_ms: Float
    minimum_ms: Float
    p95_ms: Float
    samples: Ints
    observed_at_s: Float


@dataclass(frozen=True)
class Model:
    """What the figures say once taken apart: `last_mile_ms` by end, `inflation` (NaN: not believed) and `detour_ms`
    by figure."""

    last_mile_ms: Float
    inflation: Float
    detour_ms: Float

    def centre_ms(self, figures: Figures, figure: int, distance_km: Float) -> Float:
        """What this pair of ends would average over `distance_km`."""
        fixed_ms = self.last_mile_ms[figures.a[figure]] + self.last_mile_ms[figures.b[figure]] + self.detour_ms[figure]
        return np.asarray(fixed_ms + self.inflation[figure] * fibre_floor_ms(distance_km), np.float64)


def upper_ms(centre_ms: Float) -> Float:
    """The end of the interval that about 95 % of pairs stay under."""
    return np.asarray(centre_ms * (1 + SPREAD) + JITTER_MS, np.float64)


def distance_ms(distance_km: Float) -> Float:
    """What distance alone makes one expect: the world's inflation and two typical last miles."""
    return np.asarray(2 * LAST_MILE_MS + WORLD_INFLATION * fibre_floor_ms(distance_km), np.float64)


def figures(summaries: pd.DataFrame) -> Figures:
    """One figure per pair of ends from the summaries of aggregates, over methods, families and both directions.

    Averages are weighted by samples; where only a median is known it stands in for the average.
    """
    source, target = summaries["source"].to_numpy(object), summaries["target"].to_numpy(object)
    names = sorted({*source, *target})
    index = pd.Index(names, dtype=object)
    one, other = index.get_indexer(source), index.get_indexer(target)
    pair = np.minimum(one, other).astype(np.int64) * max(len(names), 1) + np.maximum(one, other)
    found, row = np.unique(pair, return_inverse=True)
    average = summaries["rtt_avg_ms"].fillna(summaries["rtt_p50_ms"]).to_numpy(np.float64)
    samples = summaries["samples"].to_numpy(np.int64)
    p95 = np.where(samples >= LEAST_SAMPLES, summaries["rtt_p95_ms"].to_numpy(np.float64), np.nan)
    return Figures(
        names=tuple(names),
        a=found // max(len(names), 1),
        b=found % max(len(names), 1),
        average_ms=_weighted(average, samples, row, len(found)),
        minimum_ms=_extreme(summaries["rtt_base_ms"].to_numpy(np.float64), row, len(found), np.fmin),
        p95_ms=_extreme(p95, row, len(found), np.fmax),
        samples=np.bincount(row, samples, len(found)).astype(np.int64),
        observed_at_s=_extreme(summaries["observed_at_s"].to_numpy(np.float64), row, len(found), np.fmax),
    )


def fit(found: Figures, distance_km: Float) -> Model:
    """Last miles and inflations; `distance_km` is the mean distance of each figure's ends.

    A figure of fewer than ten samples is not believed, nor one between countries with an average below light in fibre.
    (A country's own may lie below: all that was measured may stand in one city.)
    """
    light_ms = fibre_floor_ms(distance_km)
    own = found.a == found.b
    believed = (found.samples >= LEAST_SAMPLES) & (found.average_ms >= np.where(own, 0.0, light_ms))
    last_mile_ms = np.full(len(found.names), LAST_MILE_MS)
    known = own & believed
    beyond_distance = (found.average_ms - WORLD_INFLATION * light_ms) / 2
    last_mile_ms[found.a[known]] = np.clip(beyond_distance[known], LEAST_LAST_MILE_MS, MOST_LAST_MILE_MS)
    path_ms = found.average_ms - last_mile_ms[found.a] - last_mile_ms[found.b]
    # Shrunk in one step: (km · raw + shrinkage · world) / (km + shrinkage), with km · raw = 100 · path.
    weight = light_ms + fibre_floor_ms(SHRINKAGE_KM)
    inflation = (path_ms + WORLD_INFLATION * fibre_floor_ms(SHRINKAGE_KM)) / weight
    doubtful = ~(found.minimum_ms >= light_ms)
    most = np.where(own, MOST_OWN_INFLATION, MOST_INFLATION)
    inflation = np.clip(inflation, np.where(own, LEAST_OWN_INFLATION, LEAST_INFLATION), most)
    detour_ms = np.where(own | doubtful, 0.0, np.maximum(path_ms - inflation * light_ms, 0.0))
    return Model(last_mile_ms, np.where(believed, inflation, np.nan), detour_ms)


@dataclass(frozen=True)
class Populace:
    """Where the people behind an end live: degrees, and shares that sum to one."""

    latitude: Float
    longitude: Float
    share: Float


def mean_distance_km(found: Figures, populace: Sequence[Populace]) -> Float:
    """Mean great-circle distance in km between the people of both ends of each figure."""
    distance = np.empty(len(found.a))
    for i, (one, other) in enumerate(zip(found.a, found.b, strict=True)):
        a, b = populace[one], populace[other]
        km = great_circle_km(a.latitude[:, None], a.longitude[:, None], b.latitude[None, :], b.longitude[None, :])
        distance[i] = a.share @ km @ b.share
    return distance


def _weighted(value: Float, weight: Ints, row: Ints, count: int) -> Float:
    known = ~np.isnan(value) & (weight > 0)
    total = np.bincount(row[known], weight[known], count)
    mean = np.bincount(row[known], value[known] * weight[known], count)
    return np.asarray(mean / np.where(total > 0, total, np.nan), np.float64)


def _extreme(value: Float, row: Ints, count: int, which: np.ufunc) -> Float:
    out = np.full(count, np.nan)
    which.at(out, row, value)
    return out
