"""The state of some records: per series and day counts, extremes and sketches, in a folder of four Parquet files.

| file | rows | columns |
|---|---|---|
| ends | every pair of a name and its alias | name, alias; an end's number is its row |
| kinds | every method and family | method, family; likewise |
| days | every (source, target, kind, day), sorted | state, number, source, target, kind, day and the figures |
| sketch | every filled bucket, sorted by number | state, number, figure, bucket, count, excess |

States merge by addition (or minimum, maximum), in any order. The names are those of the records, so that a state holds
whatever the scenario calls them; `state` is a number that tells states apart.
"""

from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.topology.summaries.figures import COUNTED, LEAST, MOST, SAMPLES, BatchFigures
from placement.topology.summaries.reading import NS_PER_DAY, Codes, column, with_all_columns
from placement.topology.summaries.sketch import Ints, buckets, entries, excess_ns, whole_ns

Int32 = NDArray[np.int32]

MOST_SUM = 2**62
"""Sums stop here: values beyond all measure must not end the summary of the others."""
SUMS = ", ".join(
    [f"least(sum({name}), {MOST_SUM})::BIGINT AS {name}" for name in COUNTED]
    + [f"min({name}) AS {name}" for name in LEAST]
    + [f"max({name}) AS {name}" for name in MOST]
)
"""How the figures of a series merge."""
BUCKET_SUMS = (
    f"least(sum(count), {MOST_SUM})::BIGINT AS count, "
    f"greatest(least(sum(excess), {MOST_SUM}), -{MOST_SUM})::BIGINT AS excess"
)
"""How a bucket merges."""

_TABLES = f"""
CREATE OR REPLACE TEMP TABLE partial (
    row INTEGER, {", ".join(f"{name} BIGINT" for name in COUNTED)},
    {", ".join(f"{name} {'BIGINT' if name.endswith('_ns') else 'DOUBLE'}" for name in (*LEAST, *MOST))}
);
CREATE OR REPLACE TEMP TABLE buckets (row INTEGER, figure TINYINT, bucket SMALLINT, count BIGINT, excess BIGINT);
"""
_FIGURES = f"INSERT INTO partial BY NAME SELECT row, {SUMS} FROM given GROUP BY row"
_SINGLES = f"""
INSERT INTO buckets BY NAME SELECT row, figure, bucket, {BUCKET_SUMS}
FROM (SELECT row, figure, bucket, weight AS count, weight::HUGEINT * excess AS excess FROM given)
GROUP BY row, figure, bucket
"""
_DAYS = f"""
COPY (
    SELECT {{state}}::BIGINT AS state, number, any_value(source) AS source, any_value(target) AS target,
        any_value(kind) AS kind, any_value(day) AS day, {SUMS}
    FROM partial JOIN numbered USING (row) GROUP BY number ORDER BY number
) TO '{{folder}}/days.parquet' (FORMAT parquet, COMPRESSION zstd)
"""
_SKETCH = f"""
COPY (
    SELECT {{state}}::BIGINT AS state, number, figure, bucket, {BUCKET_SUMS}
    FROM buckets JOIN numbered USING (row) GROUP BY number, figure, bucket ORDER BY number, figure, bucket
) TO '{{folder}}/sketch.parquet' (FORMAT parquet, COMPRESSION zstd)
"""


class Keys(NamedTuple):
    """What tells series and days apart: codes of ends and kinds, days since 1970 UTC."""

    source: Int32
    target: Int32
    kind: Int32
    day: Int32

    def at(self, rows: Any) -> "Keys":
        """Some of them."""
        return Keys(*(one[rows] for one in self))


class State:
    """A state as it grows: `add` batches of records, then `write` it; one at a time on a connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._begin()

    def _begin(self) -> None:
        self._ends, self._kinds = Codes(), Codes()
        self._keys: list[Keys] = []
        self._rows = 0
        self.values = 0
        self._connection.execute(_TABLES)

    def add(self, records: pa.Table) -> None:
        """Some more records: a Table with columns of `reading.COLUMNS`, of up to 2^19 rows."""
        if not records.num_rows:
            return
        records = with_all_columns(records)
        keys = Keys(
            self._ends.of(column(records, "source"), column(records, "source_alias")),
            self._ends.of(column(records, "target"), column(records, "target_alias")),
            self._kinds.of(column(records, "method"), column(records, "family")),
            (column(records, "observed_at").to_numpy(zero_copy_only=False) // NS_PER_DAY).astype(np.int32),
        )
        group, first = _grouped(keys)
        self._keys.append(keys.at(first))
        found = BatchFigures(records)
        figures = {name: pa.array(one, from_pandas=True) for name, one in found.columns.items()}
        self._insert(_FIGURES, pa.table({"row": group + self._rows, **figures}))
        self._insert("INSERT INTO buckets BY NAME FROM given", _sampled(found, group, self._rows))
        self._insert(_SINGLES, _single_values(found, group + self._rows))
        self._rows += len(first)
        self.values += records.num_rows + len(found.sample_ns)

    def write(self, folder: Path, state: int) -> None:
        """Write it into a folder that is there, and begin anew."""
        ends, end_rank = _ranked(self._ends, ("name", "alias"), pa.string(), pa.string())
        kinds, kind_rank = _ranked(self._kinds, ("method", "family"), pa.string(), pa.int8())
        pq.write_table(ends, folder / "ends.parquet")
        pq.write_table(kinds, folder / "kinds.parquet")
        keys = Keys(*(np.concatenate(parts) for parts in zip(*self._keys, strict=True)))
        keys = Keys(end_rank[keys.source], end_rank[keys.target], kind_rank[keys.kind], keys.day)
        numbered = {"row": np.arange(self._rows, dtype=np.int32), "number": _grouped(keys)[0], **keys._asdict()}
        self._connection.register("numbered", pa.table(numbered))
        for query in (_DAYS, _SKETCH):
            self._connection.execute(query.format(state=state, folder=str(folder).replace("'", "''")))
        self._connection.unregister("numbered")
        self._begin()

    def _insert(self, query: str, given: pa.Table) -> None:
        self._connection.register("given", given)
        self._connection.execute(query)
        self._connection.unregister("given")


def _grouped(keys: Keys) -> tuple[Int32, Ints]:
    """The number of each row's key, in the order of keys, and for each number one of its rows."""
    _, pair = np.unique(keys.source.astype(np.int64) << 32 | keys.target, return_inverse=True)
    days, day = np.unique(keys.day, return_inverse=True)
    kinds = int(keys.kind.max(initial=0)) + 1
    # Up to 2^31 pairs × kinds × days of one state stay far below 2^63.
    _, first, group = np.unique((pair * kinds + keys.kind) * len(days) + day, return_index=True, return_inverse=True)
    return group.astype(np.int32), first


def _sampled(found: BatchFigures, group: Int32, offset: int) -> pa.Table:
    """Rows of `buckets` for the samples."""
    filled = entries(group[found.sample_record], found.sample_ns)
    return pa.table(
        {
            "row": (filled.group + offset).astype(np.int32),
            "figure": np.full(len(filled.group), SAMPLES, np.int8),
            "bucket": filled.bucket.astype(np.int16),
            "count": filled.weight,
            "excess": filled.excess_ns,
        }
    )


def _single_values(found: BatchFigures, row: Int32) -> pa.Table:
    """row, figure, bucket, weight and excess of every value of which a record has but one."""
    parts = []
    for figure, value_ms, weight in found.singles:
        at = np.flatnonzero(~np.isnan(value_ms))
        value_ns = whole_ns(value_ms[at])
        bucket = buckets(value_ns)
        which = np.full(len(at), figure, np.int8)
        parts.append((row[at], which, bucket.astype(np.int16), weight[at], excess_ns(value_ns, bucket)))
    columns = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return pa.table(dict(zip(("row", "figure", "bucket", "weight", "excess"), columns, strict=True)))


def _ranked(codes: Codes, names: tuple[str, str], *kinds: pa.DataType) -> tuple[pa.Table, Int32]:
    """The combinations as a table, sorted (absent values last), and the row of each code."""
    order = sorted(codes, key=lambda one: tuple((part is None, "" if part is None else part) for part in one))
    rank = np.empty(len(codes), np.int32)
    rank[[codes[one] for one in order]] = np.arange(len(order))
    arrays = [pa.array([one[i] for one in order], kind) for i, kind in enumerate(kinds)]
    return pa.table(arrays, names=list(names)), rank
