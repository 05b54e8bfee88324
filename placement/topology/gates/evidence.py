"""What the gates of places look at: the rows of the summaries, and where their ends are said to stand."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.geo import great_circle_km
from placement.topology.endpoints import AGGREGATE_KINDS, Endpoints
from placement.topology.pairs import Float
from placement.topology.populace import populaces

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ONE_PLACE_KM = 50.0
"""An end that stands for places farther apart has no position."""


class Finding(NamedTuple):
    """What one gate says: the rows that are out, and verdicts in the columns of `Verdicts.frame`."""

    out: Mask
    verdicts: pd.DataFrame


@dataclass(frozen=True)
class Positions:
    """Where named ends stand, degrees; names are sorted and unique. Ends without one position are not among them."""

    names: pd.Index
    latitude: Float
    longitude: Float

    def codes(self, names: "pd.Series[Any]") -> Ints:
        """Index into the positions, -1 where there is none."""
        return np.asarray(self.names.get_indexer(pd.Index(names)), np.int64)

    def km(self, one: Ints, other: Ints) -> Float:
        """Great-circle distance between positions by index; NaN where either is -1."""
        found = np.full(len(one), np.nan)
        known = np.flatnonzero((one >= 0) & (other >= 0))
        a, b = one[known], other[known]
        found[known] = great_circle_km(self.latitude[a], self.longitude[a], self.latitude[b], self.longitude[b])
        return found


@dataclass(frozen=True)
class Evidence:
    """`frame` is that of `summaries.Summaries`, or some of its rows; the arrays have one figure a row.

    `least_ms` is the least time that the row knows of (an average serves: no minimum lies above it), `km` the distance
    between the positions of source and target, `coarse_km` the least between cities of both where one is a country or
    network; NaN where not known. `source`, `target` are indices into `positions`, -1 for an end without one.
    """

    frame: pd.DataFrame
    positions: Positions
    source: Ints
    target: Ints
    least_ms: Float
    km: Float
    coarse_km: Float

    def without(self, out: Mask) -> "Evidence":
        """The rows that are not out."""
        if not out.any():
            return self
        kept = ~out
        ends = (self.source[kept], self.target[kept])
        return Evidence(
            self.frame[kept], self.positions, *ends, self.least_ms[kept], self.km[kept], self.coarse_km[kept]
        )

    def described(self, which: Mask) -> list[dict[str, Any]]:
        """Source, target, method, family and records of some rows, one dict each, to make verdicts of."""
        columns = ["source", "target", "method", "family", "records"]
        return self.frame.loc[which, columns].to_dict("records")  # type: ignore[return-value]


def gather(frame: pd.DataFrame, ends: Endpoints, regions: pd.DataFrame, sites: pd.DataFrame) -> Evidence:
    """The evidence in a frame of summaries; `regions` and `sites` are sorted by name."""
    where = positions(ends, regions, sites)
    source, target = where.codes(frame["source"]), where.codes(frame["target"])
    times = frame[["rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_avg_ms"]].to_numpy(np.float64)
    return Evidence(
        frame=frame,
        positions=where,
        source=source,
        target=target,
        least_ms=np.asarray(np.fmin.reduce(times, axis=1), np.float64),
        km=where.km(source, target),
        coarse_km=_coarse_km(frame, ends, regions, sites),
    )


def positions(ends: Endpoints, regions: pd.DataFrame, sites: pd.DataFrame) -> Positions:
    """Where every end stands that is no country and no network, and stands for one place."""
    columns = ["latitude", "longitude"]
    places = pd.concat(
        [
            table[columns].assign(side=side, place=np.arange(len(table)))
            for side, table in (("region", regions), ("site", sites))
        ],
        ignore_index=True,
    )
    fine = ends.frame[~ends.frame["kind"].isin(AGGREGATE_KINDS)]
    behind = fine.merge(places, on=["side", "place"]).sort_values(["endpoint", "side", "place"])
    first = behind.groupby("endpoint")[columns].transform("first").to_numpy(np.float64)
    own = behind[columns].to_numpy(np.float64)
    apart = great_circle_km(first[:, 0], first[:, 1], own[:, 0], own[:, 1])
    widest = pd.Series(apart, index=behind.index).groupby(behind["endpoint"]).transform("max").to_numpy()
    one = behind[(widest <= ONE_PLACE_KM) & ~np.isnan(own).any(axis=1)].drop_duplicates("endpoint")
    return Positions(
        pd.Index(one["endpoint"], dtype=object),
        one["latitude"].to_numpy(np.float64),
        one["longitude"].to_numpy(np.float64),
    )


def _coarse_km(frame: pd.DataFrame, ends: Endpoints, regions: pd.DataFrame, sites: pd.DataFrame) -> Float:
    """The least distance between the cities behind both ends where at least one is a country or a network."""
    coarse = frame["source"].isin(ends.aggregates) | frame["target"].isin(ends.aggregates)
    mapped = frame["source"].isin(ends.names) & frame["target"].isin(ends.names)
    wanted = np.flatnonzero((coarse & mapped & (frame["source"] != frame["target"])).to_numpy())
    found = np.full(len(frame), np.nan)
    if not len(wanted):
        return found
    source, target = (frame[end].to_numpy(object)[wanted] for end in ("source", "target"))
    names = sorted({*source, *target})
    cities = dict(zip(names, populaces(names, ends, regions, sites), strict=True))
    for row, a, b in zip(wanted, (cities[name] for name in source), (cities[name] for name in target), strict=True):
        km = great_circle_km(a.latitude[:, None], a.longitude[:, None], b.latitude[None, :], b.longitude[None, :])
        found[row] = km.min()
    return found
