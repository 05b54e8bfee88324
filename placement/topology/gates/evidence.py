"""What the gates of places look at: the rows of the summaries, and where their ends are said to stand."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

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


class Coded(NamedTuple):
    """A column of names as numbers into its sorted different ones."""

    words: pd.Index
    code: Ints

    @classmethod
    def of(cls, *columns: "pd.Series[Any]") -> Self:
        """Of columns one below the other."""
        parts = []
        for column in columns:
            words = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
            index = pd.Index(words.cat.categories, dtype=object)
            parts.append((index, words.cat.codes.to_numpy(np.int64)))
        every = parts[0][0] if all(one.equals(parts[0][0]) for one, _ in parts) else pd.Index([], dtype=object)
        for one, _ in parts:
            every = every if one.equals(every) else every.union(one)
        return cls(every, np.concatenate([every.get_indexer(one)[code] for one, code in parts]).astype(np.int64))


@dataclass(frozen=True)
class Positions:
    """Where named ends stand, degrees; names are sorted and unique. Ends without one position are not among them."""

    names: pd.Index
    latitude: Float
    longitude: Float

    def codes(self, names: "pd.Series[Any]") -> Ints:
        """Index into the positions, -1 where there is none."""
        coded = Coded.of(names)
        return np.asarray(self.names.get_indexer(coded.words), np.int64)[coded.code]

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

    `source_name` and `target_name` are indices into the sorted `names`, `method` into the sorted `methods`.
    `least_ms` is the least time that the row knows of (an average serves: no minimum lies above it), `km` the distance
    between the positions of source and target, `coarse_km` the least between cities of both where one is a country or
    network; NaN where not known. `source`, `target` are indices into `positions`, -1 for an end without one.
    """

    frame: pd.DataFrame
    names: pd.Index
    source_name: Ints
    target_name: Ints
    methods: pd.Index
    method: Ints
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
        kept = {
            field.name: getattr(self, field.name)[~out]
            for field in fields(self)
            if field.name not in {"names", "methods", "positions"}
        }
        return replace(self, **kept)

    def rows_of(self, end: int) -> Ints:
        """The rows of which an end (index into the positions) is the source or the target."""
        order, ends = self._by_end
        first, last = np.searchsorted(ends, [end, end + 1])
        return np.unique(order[first:last] % max(len(self.frame), 1))

    @cached_property
    def _by_end(self) -> tuple[Ints, Ints]:
        both = np.concatenate([self.source, self.target])
        order = np.argsort(both, kind="stable")
        return order, both[order]

    def records(self, which: Mask | Ints) -> int:
        """How many records some rows have."""
        return int(self.frame["records"].to_numpy()[which].sum())

    def pairs(self) -> Ints:
        """A number for each unordered pair of ends, from 0."""
        low, high = np.minimum(self.source_name, self.target_name), np.maximum(self.source_name, self.target_name)
        return np.unique(low * len(self.names) + high, return_inverse=True)[1].astype(np.int64)

    def described(self, which: Mask) -> list[dict[str, Any]]:
        """Source, target, method, family and records of some rows, one dict each, to make verdicts of."""
        columns = ["source", "target", "method", "family", "records"]
        return self.frame.loc[which, columns].to_dict("records")  # type: ignore[return-value]


def gather(frame: pd.DataFrame, ends: Endpoints, regions: pd.DataFrame, sites: pd.DataFrame) -> Evidence:
    """The evidence in a frame of summaries; `regions` and `sites` are sorted by name."""
    where = positions(ends, regions, sites)
    ends_of_rows, methods = Coded.of(frame["source"], frame["target"]), Coded.of(frame["method"])
    source_name, target_name = ends_of_rows.code[: len(frame)], ends_of_rows.code[len(frame) :]
    position = np.asarray(where.names.get_indexer(ends_of_rows.words), np.int64)
    source, target = position[source_name], position[target_name]
    times = frame[["rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_avg_ms"]].to_numpy(np.float64)
    return Evidence(
        frame=frame,
        names=ends_of_rows.words,
        source_name=source_name,
        target_name=target_name,
        methods=methods.words,
        method=methods.code,
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
    rows = np.flatnonzero((coarse & mapped).to_numpy())
    source, target = (frame[end].iloc[rows].to_numpy(object) for end in ("source", "target"))
    other = source != target
    wanted, source, target = rows[other], source[other], target[other]
    found = np.full(len(frame), np.nan)
    if not len(wanted):
        return found
    names = sorted({*source, *target})
    cities = dict(zip(names, populaces(names, ends, regions, sites), strict=True))
    for row, a, b in zip(wanted, (cities[name] for name in source), (cities[name] for name in target), strict=True):
        km = great_circle_km(a.latitude[:, None], a.longitude[:, None], b.latitude[None, :], b.longitude[None, :])
        found[row] = km.min()
    return found
