"""The state of some records: per series and day counts, extremes and sketches, in a folder of four Parquet files.

| file | rows | columns |
|---|---|---|
| ends | every pair of a name and its alias | name, alias; an end's number is its row |
| kinds | every method and family | method, family; likewise |
| days | every (source, target, kind, day), sorted | source, target, kind, day, how many buckets, the figures |
| sketch | the buckets of each row of days, in their order | figure, bucket, count, excess |

States merge by addition (or minimum, maximum), in any order. The names are those of the records, so that a state holds
whatever the scenario calls them.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.topology.summaries.buckets import MOST_GROUPS, Buckets
from placement.topology.summaries.figures import COUNTED, LEAST, MOST, SAMPLES, BatchFigures
from placement.topology.summaries.reading import NS_PER_DAY, Codes, column, with_all_columns
from placement.topology.summaries.sketch import Ints

MOST_VALUES = 8_000_000
"""Records and samples of one state; it may have somewhat more."""
DAYS_OF_A_GROUP, BUCKETS_OF_A_GROUP = 1 << 11, 1 << 13
"""Rows that Parquet reads at once: as many more of each state than it needs a merge reads."""
_END_BITS, _KIND_BITS = 22, 20  # one state has up to MOST_GROUPS series and days, and twice as many ends

Int32 = NDArray[np.int32]


class State:
    """A state as it grows: `add` batches of records while it is not full, then `write` it."""

    def __init__(self) -> None:
        self._ends, self._kinds, self._kind_days = Codes(), Codes(), Codes()
        self._series = _Numbers()
        self._figures = {name: np.empty(0, np.float64 if name.endswith("_ms") else np.int64) for name in _EMPTY}
        self._buckets = Buckets()
        self._values = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return self._values == 0

    def full(self, rows: int) -> bool:
        """Whether it has no room for so many more records."""
        return self._values >= MOST_VALUES or len(self._series) + rows > MOST_GROUPS

    def add(self, records: pa.Table) -> None:
        """Some more records: a Table with columns of `reading.COLUMNS`."""
        records = with_all_columns(records)
        if not records.num_rows:
            return
        number = self._numbers(records)
        found = BatchFigures(records)
        self._grow()
        for name in COUNTED:
            np.add.at(self._figures[name], number, found.columns[name])
        for name in LEAST:
            np.fmin.at(self._figures[name], number, found.columns[name])
        for name in MOST:
            np.fmax.at(self._figures[name], number, found.columns[name])
        self._buckets.add_samples(SAMPLES, number[found.sample_record], found.sample_ns)
        for figure, value_ms, weight in found.singles:
            at = np.flatnonzero(~np.isnan(value_ms))
            self._buckets.add_weighted(figure, number[at], value_ms[at], weight[at])
        self._values += records.num_rows + len(found.sample_ns)

    def write(self, folder: Path) -> None:
        """Write it into a folder that is there."""
        ends, end_rank = _ranked(self._ends, ("name", "alias"), pa.string(), pa.string())
        kinds, kind_rank = _ranked(self._kinds, ("method", "family"), pa.string(), pa.int8())
        pq.write_table(ends, folder / "ends.parquet")
        pq.write_table(kinds, folder / "kinds.parquet")
        source, target, kind_day = self._series.parts()
        kind, day = np.array(list(self._kind_days), np.int32).reshape(-1, 2)[kind_day].T
        source, target, kind = end_rank[source], end_rank[target], kind_rank[kind]
        order = np.lexsort((day, kind, target, source))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        sketch = self._buckets.columns(rank)
        columns = {"source": source, "target": target, "kind": kind, "day": day, **self._figures}
        days = {name: one[order] for name, one in columns.items()}
        days["buckets"] = np.bincount(sketch.pop("number"), minlength=len(order))
        _write(folder / "days.parquet", days, DAYS_OF_A_GROUP)
        _write(folder / "sketch.parquet", sketch, BUCKETS_OF_A_GROUP)

    def _numbers(self, records: pa.Table) -> Ints:
        """The number of each record's series and day, in the order of their first appearance."""
        source = self._ends.of(column(records, "source"), column(records, "source_alias"))
        target = self._ends.of(column(records, "target"), column(records, "target_alias"))
        kind = self._kinds.of(column(records, "method"), column(records, "family"))
        day = column(records, "observed_at").to_numpy(zero_copy_only=False) // NS_PER_DAY
        kind_day = self._kind_days.of(pa.array(kind), pa.array(day))
        return self._series.of(source, target, kind_day)

    def _grow(self) -> None:
        """Room in the figures for every series."""
        for name, figure in self._figures.items():
            more = len(self._series) - len(figure)
            self._figures[name] = np.concatenate([figure, np.full(more, _EMPTY[name], figure.dtype)])


_EMPTY: dict[str, float] = {
    **dict.fromkeys(COUNTED, 0),
    **dict.fromkeys((*LEAST, *MOST), np.nan),
    "observed_at_ns": np.iinfo(np.int64).min,
}
"""What the figures of no records are."""


class _Numbers:
    """Numbers for (source, target, kind and day), given out as they appear."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._number = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._sorted)

    def of(self, source: Int32, target: Int32, kind_day: Int32) -> Ints:
        """The number of each row."""
        key = source.astype(np.uint64) << np.uint64(_END_BITS) | target.astype(np.uint64)
        key = key << np.uint64(_KIND_BITS) | kind_day.astype(np.uint64)
        found, row = np.unique(key, return_inverse=True)
        new = found[~np.isin(found, self._sorted, assume_unique=True)]
        at = np.searchsorted(self._sorted, new)
        self._number = np.insert(self._number, at, np.arange(len(new)) + len(self._sorted))
        self._sorted = np.insert(self._sorted, at, new)
        return np.asarray(self._number[np.searchsorted(self._sorted, found)][row])

    def parts(self) -> tuple[Int32, Int32, Int32]:
        """Source, target and kind and day of each number."""
        key = np.empty_like(self._sorted)
        key[self._number] = self._sorted
        pair, kind_day = key >> np.uint64(_KIND_BITS), key & np.uint64(2**_KIND_BITS - 1)
        source, target = pair >> np.uint64(_END_BITS), pair & np.uint64(2**_END_BITS - 1)
        return source.astype(np.int32), target.astype(np.int32), kind_day.astype(np.int32)


def _write(path: Path, columns: dict[str, NDArray[Any]], rows_of_a_group: int) -> None:
    table = pa.table({name: pa.array(one, from_pandas=True) for name, one in columns.items()})
    pq.write_table(table, path, compression="zstd", row_group_size=rows_of_a_group)


def _ranked(codes: Codes, names: tuple[str, str], *kinds: pa.DataType) -> tuple[pa.Table, Int32]:
    """The combinations as a table, sorted (absent values last), and the row of each code."""
    order = sorted(codes, key=lambda one: tuple((part is None, "" if part is None else part) for part in one))
    rank = np.empty(len(codes), np.int32)
    rank[[codes[one] for one in order]] = np.arange(len(order))
    arrays = [pa.array([one[i] for one in order], kind) for i, kind in enumerate(kinds)]
    return pa.table(arrays, names=list(names)), rank
