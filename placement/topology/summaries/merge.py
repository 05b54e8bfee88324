"""States to figures: their days added up, under the names that the scenario knows.

Series are taken a part at a time, in the order of their sources, so that memory holds the buckets of one part.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from placement.topology.summaries.figures import COUNTED, LEAST, MOST
from placement.topology.summaries.reading import day_number

BUCKETS_AT_ONCE = 1_000_000
"""Buckets that one part of the merge reads, unless a single source has more."""

_EVER = -(2**31)
"""A day before all days."""
MOST_SUM = 2**62
"""Sums stop here: values beyond all measure must not end the summary of the others."""
_SUMS = ", ".join(
    [f"least(sum({name}), {MOST_SUM})::BIGINT AS {name}" for name in COUNTED]
    + [f"min({name}) AS {name}" for name in LEAST]
    + [f"max({name}) AS {name}" for name in MOST]
)
_BUCKET_SUMS = (
    f"least(sum(count), {MOST_SUM})::BIGINT AS count, "
    f"greatest(least(sum(excess), {MOST_SUM}), -{MOST_SUM})::BIGINT AS excess"
)
_FILES = "CREATE OR REPLACE TEMP VIEW {name} AS FROM read_parquet([{files}]) WHERE {kept}"
_PICKED = """
CREATE OR REPLACE TEMP TABLE picked AS
SELECT days.state, days.number, s.code AS source, t.code AS target, k.code AS kind, days.day
FROM days
JOIN ends s ON s.state = days.state AND s.number = days.source
JOIN ends t ON t.state = days.state AND t.number = days.target
JOIN kinds k ON k.state = days.state AND k.number = days.kind
WHERE s.code >= {first} AND s.code < {last} AND days.day >= {newest} AND NOT EXISTS (
    FROM excluded x WHERE x.source = s.code AND x.target = t.code AND x.kind = k.code AND x.day = days.day
)
"""
_SERIES = """
CREATE OR REPLACE TEMP TABLE series AS
SELECT *, (row_number() OVER (ORDER BY {keys}) - 1)::INTEGER AS series FROM (SELECT DISTINCT {keys} FROM picked)
"""
_PLACED = "CREATE OR REPLACE TEMP TABLE placed AS SELECT state, number, series FROM picked JOIN series USING ({keys})"
_FIGURES = f"""
SELECT * FROM (SELECT series, {_SUMS} FROM days JOIN placed USING (state, number)
    WHERE number BETWEEN {{low}} AND {{high}} GROUP BY series)
JOIN series USING (series) ORDER BY series
"""
_BUCKETS = f"""
SELECT series, figure, bucket, {_BUCKET_SUMS} FROM sketch JOIN placed USING (state, number)
WHERE number BETWEEN {{low}} AND {{high}} GROUP BY series, figure, bucket ORDER BY figure, series, bucket
"""
_STALE = """
SELECT s.code AS source, t.code AS target, sum(records)::BIGINT AS records FROM days
JOIN ends s ON s.state = days.state AND s.number = days.source
JOIN ends t ON t.state = days.state AND t.number = days.target
WHERE days.day < {newest} GROUP BY ALL ORDER BY ALL
"""


class Part(NamedTuple):
    """Some whole series: `figures` one row each (numbered `series`, sorted by source, target, kind and day), `buckets`
    sorted by figure, series and bucket; `source` and `target` are codes into `names`, `kind` into `kinds`."""

    figures: pa.Table
    buckets: pa.Table


def no_series() -> Part:
    """A part of nothing."""
    figures = [("series", pa.int32()), *((name, pa.int64()) for name in COUNTED)]
    figures += [(name, pa.int64() if name.endswith("_ns") else pa.float64()) for name in (*LEAST, *MOST)]
    figures += [(name, pa.int32()) for name in ("source", "target", "kind", "day")]
    buckets = [("series", pa.int32()), ("figure", pa.int8()), ("bucket", pa.int16())]
    buckets += [("count", pa.int64()), ("excess", pa.int64())]
    return Part(pa.schema(figures).empty_table(), pa.schema(buckets).empty_table())


class Merge:
    """States side by side; `names` and `kinds` (method, family) are sorted; days before `newer_than` are left out, and
    those after `until` are not there at all."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        states: Sequence[Path],
        known: Collection[str],
        newer_than: date | None,
        until: date | None = None,
    ) -> None:
        self._connection = connection
        self._newest = _EVER if newer_than is None else day_number(newer_than)
        self._states = states
        if states:
            seen = "true" if until is None else f"day <= {day_number(until)}"
            for name, kept in (("days", seen), ("sketch", "true")):
                files = ", ".join(_quoted(one / f"{name}.parquet") for one in states)
                connection.execute(_FILES.format(name=name, files=files, kept=kept))
        numbers = [_state_number(one) for one in states]
        ends = [pq.read_table(one / "ends.parquet") for one in states]
        called = [_called(one, frozenset(known)) for one in ends]
        self.names = sorted({name for one in called for name in one})
        kinds = [_pairs(pq.read_table(one / "kinds.parquet")) for one in states]
        self.kinds = sorted({kind for one in kinds for kind in one}, key=lambda one: (one[0], one[1] or 99))
        connection.register("ends", _coded(numbers, called, self.names))
        connection.register("kinds", _coded(numbers, kinds, self.kinds))

    def parts(self, by_day: bool = False, excluded: pd.DataFrame | None = None) -> Iterator[Part]:
        """Every series (by_day: every day of every series) once; all days of a series are in one part.

        `excluded` names the days left out: source, target, method, family, day (since 1970 UTC).
        """
        if not self._states:
            return
        self._connection.register("excluded", self._excluded(excluded))
        keys = "source, target, kind, day" if by_day else "source, target, kind"
        for first, last in self._stretches():
            self._connection.execute(_PICKED.format(first=first, last=last, newest=self._newest))
            self._connection.execute(_SERIES.format(keys=keys))
            self._connection.execute(_PLACED.format(keys=keys))
            # States number their series in the order of sources, so that a part is a stretch of each of their files.
            low, high = self._connection.execute("SELECT min(number), max(number) FROM placed").fetchall()[0]
            if low is not None:
                between = {"low": low, "high": high}
                figures = self._connection.sql(_FIGURES.format(**between)).to_arrow_table()
                yield Part(figures, self._connection.sql(_BUCKETS.format(**between)).to_arrow_table())

    def stale(self) -> dict[str, int]:
        """Records of days before the first one, by "source → target"."""
        if not self._states or self._newest == _EVER:
            return {}
        rows = self._connection.execute(_STALE.format(newest=self._newest)).fetchall()
        return {f"{self.names[source]} → {self.names[target]}": int(records) for source, target, records in rows}

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """Ranges of source codes that hold about BUCKETS_AT_ONCE each; every code is in one."""
        total = sum(pq.read_metadata(one / "sketch.parquet").num_rows for one in self._states)
        counted = self._connection.execute(
            "SELECT s.code, count(*) AS days FROM days JOIN ends s ON s.state = days.state AND s.number = days.source "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchnumpy()
        weight = np.zeros(len(self.names))
        weight[counted["code"]] = counted["days"]
        part = np.cumsum(weight) / max(weight.sum(), 1) * total // BUCKETS_AT_ONCE
        bounds = [0, *(np.flatnonzero(np.diff(part)) + 1), len(self.names)]
        yield from pairwise(bounds)

    def _excluded(self, given: pd.DataFrame | None) -> pa.Table:
        """The codes of what is left out; what no state names is not there to be left out."""
        if given is None or not len(given):
            empty = pa.array([], pa.int32())
            return pa.table({"source": empty, "target": empty, "kind": empty, "day": empty})
        names = pd.Index(self.names, dtype=object)
        family = given["family"].astype("float64")
        kinds = pd.MultiIndex.from_tuples([(method, float(family or 0)) for method, family in self.kinds])
        codes = {
            "source": names.get_indexer(pd.Index(given["source"].astype(object))),
            "target": names.get_indexer(pd.Index(given["target"].astype(object))),
            "kind": kinds.get_indexer(pd.MultiIndex.from_arrays([given["method"].astype(object), family.fillna(0.0)])),
            "day": given["day"].to_numpy(),
        }
        return pa.table({name: pa.array(one, pa.int32()) for name, one in codes.items()})


def _quoted(path: Path) -> str:
    """A path as a literal of SQL; `Cache` keeps clear of those that would be taken for patterns."""
    return "'" + str(path).replace("'", "''") + "'"


def _state_number(state: Path) -> int:
    """The number that a state's rows carry."""
    group = pq.ParquetFile(state / "days.parquet").metadata.row_group(0)
    return int(group.column(0).statistics.min)


def _pairs(table: pa.Table) -> list[tuple[str, int | None]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _called(ends: pa.Table, known: frozenset[str]) -> list[str]:
    """What each end goes by: its name, or its alias where only that is known."""
    pairs = zip(ends["name"].to_pylist(), ends["alias"].to_pylist(), strict=True)
    return [alias if name not in known and alias in known else name for name, alias in pairs]


def _coded(states: Sequence[int], values: Sequence[Sequence[object]], every: Sequence[object]) -> pa.Table:
    """state, number and code (the place in `every`) of each value of each state."""
    code = {value: i for i, value in enumerate(every)}
    sizes = [len(one) for one in values]
    return pa.table(
        {
            "state": np.repeat(np.array(states, np.int64), sizes),
            "number": np.concatenate([np.arange(size, dtype=np.int32) for size in [*sizes, 0]]),
            "code": np.array([code[value] for one in values for value in one], np.int32),
        }
    )
