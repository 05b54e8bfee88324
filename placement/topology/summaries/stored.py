"""A state in its folder, read by stretches of its sources."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.topology.summaries.sketch import Ints

Columns = dict[str, NDArray[Any]]
Mask = NDArray[np.bool_]


class StoredState:
    """What one state holds, told by the numbers that it gave its ends and kinds.

    `first_day` and `last_day` are since 1970 UTC; `rows` and `buckets` say how many of each a source has.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._days, self._sketch = _Rows(folder / "days.parquet"), _Rows(folder / "sketch.parquet")
        keys = self._days.read(0, self._days.rows, ("source", "day", "buckets"))
        self.first_day, self.last_day = int(keys["day"].min()), int(keys["day"].max())
        ends = pq.read_metadata(folder / "ends.parquet").num_rows
        self._row = np.searchsorted(keys["source"], np.arange(ends + 1))
        self._bucket = np.concatenate([[0], np.cumsum(keys["buckets"])])[self._row]
        self.rows: Ints = np.diff(self._row)
        self.buckets: Ints = np.diff(self._bucket)

    def ends(self) -> list[tuple[str, str | None]]:
        """Name and alias of each end."""
        return _tuples(self._folder / "ends.parquet")

    def kinds(self) -> list[tuple[str, int | None]]:
        """Method and family of each kind."""
        return _tuples(self._folder / "kinds.parquet")

    def stretches(self, sources: Mask) -> Iterator[tuple[Columns, Columns]]:
        """Rows of `days.parquet` of these sources (a truth value for each end), and their rows of `sketch.parquet`, in
        the same order."""
        for first, last in self._runs(sources):
            days = self._days.read(int(self._row[first]), int(self._row[last]))
            yield days, self._sketch.read(int(self._bucket[first]), int(self._bucket[last]))

    def targets(self, sources: Mask) -> Ints:
        """The target of each row of these sources."""
        read = [
            self._days.read(int(self._row[first]), int(self._row[last]), ("target",))["target"]
            for first, last in self._runs(sources)
        ]
        return np.concatenate([np.empty(0, np.int64), *read])

    def records(self) -> Columns:
        """How many records each source, target and day has."""
        return self._days.read(0, self._days.rows, ("source", "target", "day", "records"))

    def _runs(self, sources: Mask) -> Iterator[tuple[int, int]]:
        """From which end to which, that one not included, as few runs as there are; ends without rows do not part."""
        wanted = np.flatnonzero(sources & (self.rows > 0))
        if len(wanted):
            apart = np.flatnonzero(self._row[wanted[1:]] != self._row[wanted[:-1] + 1])
            yield from zip(wanted[[0, *(apart + 1)]], wanted[[*apart, -1]] + 1, strict=True)


class _Rows:
    """A Parquet file by numbers of rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path)
        sizes = [self._metadata.row_group(i).num_rows for i in range(self._metadata.num_row_groups)]
        self._bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.rows = int(self._bounds[-1])

    def read(self, first: int, last: int, columns: Sequence[str] | None = None) -> Columns:
        """Rows `first` to `last`, that one not included; a figure that is absent is NaN."""
        begin = int(np.searchsorted(self._bounds, first, side="right")) - 1
        end = max(int(np.searchsorted(self._bounds, last)), begin)
        with pq.ParquetFile(self._path, metadata=self._metadata) as file:
            groups = file.read_row_groups(range(begin, end), columns=columns)
        rows = groups.slice(first - int(self._bounds[begin]), last - first)
        # Copies: a view would keep its whole group.
        return {name: rows[name].to_numpy().copy() for name in rows.column_names}


def _tuples(path: Path) -> list[Any]:
    table = pq.read_table(path)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
