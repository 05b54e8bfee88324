"""A state in its folder, read by stretches of its sources."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.topology.summaries.sketch import Ints

Mask = NDArray[np.bool_]


class Stretch(NamedTuple):
    """Some rows of `days.parquet`, and the rows of `sketch.parquet` that are theirs, in the same order."""

    days: pa.Table
    sketch: pa.Table


class StoredState:
    """What one state holds, told by the numbers that it gave its ends and kinds.

    `first_day` and `last_day` are since 1970 UTC; `rows` and `buckets` say how many of each a source has.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._days, self._sketch = _Rows(folder / "days.parquet"), _Rows(folder / "sketch.parquet")
        keys = self._days.read(0, self._days.rows, ("source", "day", "buckets"))
        day = keys["day"].to_numpy()
        self.first_day, self.last_day = int(day.min()), int(day.max())
        ends = pq.read_metadata(folder / "ends.parquet").num_rows
        self._row = np.searchsorted(keys["source"].to_numpy(), np.arange(ends + 1)).astype(np.int64)
        self._bucket = np.concatenate([[0], np.cumsum(keys["buckets"].to_numpy())])[self._row]
        self.rows: Ints = np.diff(self._row)
        self.buckets: Ints = np.diff(self._bucket)

    def ends(self) -> list[tuple[str, str | None]]:
        """Name and alias of each end."""
        return _rows(pq.read_table(self._folder / "ends.parquet"))

    def kinds(self) -> list[tuple[str, int | None]]:
        """Method and family of each kind."""
        return _rows(pq.read_table(self._folder / "kinds.parquet"))

    def stretches(self, sources: Mask) -> Iterator[Stretch]:
        """All rows of these sources (one truth value for each end), as few stretches as there are."""
        wanted = np.flatnonzero(sources & (self.rows > 0))
        if not len(wanted):
            return
        # What lies between two of them and has no rows does not part them.
        apart = np.flatnonzero(self._row[wanted[1:]] != self._row[wanted[:-1] + 1])
        for first, last in zip(wanted[[0, *(apart + 1)]], wanted[[*apart, -1]] + 1, strict=True):
            yield Stretch(
                self._days.read(self._row[first], self._row[last]),
                self._sketch.read(self._bucket[first], self._bucket[last]),
            )

    def records(self) -> pa.Table:
        """How many records each source, target and day has."""
        return self._days.read(0, self._days.rows, ("source", "target", "day", "records"))


class _Rows:
    """A Parquet file by numbers of rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path)
        sizes = [self._metadata.row_group(i).num_rows for i in range(self._metadata.num_row_groups)]
        self._bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.rows = int(self._bounds[-1])

    def read(self, first: int, last: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows `first` to `last`, that one not included."""
        begin = int(np.searchsorted(self._bounds, first, side="right")) - 1
        end = max(int(np.searchsorted(self._bounds, last)), begin)
        with pq.ParquetFile(self._path, metadata=self._metadata) as file:
            groups = file.read_row_groups(range(begin, end), columns=columns)
        return groups.slice(first - int(self._bounds[begin]), last - first)


def _rows(table: pa.Table) -> list[Any]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
