"""Many small files of a day become few: what readers see changes at one instant, the rename of the new file.

The new file names those it holds (`probes.store.write_day`), so readers pass over them from then on; they are removed
afterwards. A crash between the two leaves superseded files, which the next `compact` of the folder removes. Only files
that carry the store's own names are touched.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from probes.store import DAY, superseded_in, write_day

_OWN_NAME: Final = re.compile(r"[0-9a-f]{32}\.parquet")
_ABANDONED_S: Final = 3600
_DAY_NAME: Final = re.compile(re.escape(DAY) + r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Footer:
    """What the end of a file says: its rows, and the files that it stands for."""

    rows: int
    supersedes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one pass over a folder did: files merged, files written for them, superseded files removed."""

    merged: int = 0
    written: int = 0
    removed: int = 0


class Compactor:
    """Compacts one folder; `rows` is the size of a file that is large enough, a quarter of it is small.

    The only writer of the folder while it works, save for readers and for files that it does not know.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder = folder
        self._rows = rows
        self._footers: dict[Path, Footer] = {}

    def compact(self, least_files: int) -> Compacted:
        """Merges small files in every day that has at least so many; raises OSError when the disk is full."""
        merged = written = removed = 0
        for day in self._days():
            _remove_abandoned(day)
            removed += self._remove_superseded(day)
            for group in self._groups(day, least_files):
                self._merge(day, group)
                merged, written = merged + len(group), written + 1
                removed += self._remove_superseded(day)
        return Compacted(merged, written, removed)

    def _days(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from sorted(entry for entry in self._folder.iterdir() if _DAY_NAME.fullmatch(entry.name))

    def _own_files(self, day: Path) -> dict[str, Footer]:
        """The day's files that the store wrote, by name; one that cannot be read is left alone."""
        found = {}
        for path in sorted(entry for entry in day.iterdir() if _OWN_NAME.fullmatch(entry.name)):
            if path not in self._footers:
                try:
                    metadata = pq.read_metadata(path)
                except (OSError, pa.ArrowException):
                    continue
                self._footers[path] = Footer(metadata.num_rows, superseded_in(metadata.metadata))
            found[path.name] = self._footers[path]
        return found

    def _remove_superseded(self, day: Path) -> int:
        files = self._own_files(day)
        old = {name for new, footer in files.items() for name in footer.supersedes if name in files and name != new}
        for name in old:
            (day / name).unlink()
            del self._footers[day / name]
        return len(old)

    def _groups(self, day: Path, least_files: int) -> Iterator[list[str]]:
        small = [(name, footer.rows) for name, footer in self._own_files(day).items() if footer.rows < self._rows // 4]
        if len(small) < max(2, least_files):
            return
        group: list[str] = []
        total = 0
        for name, rows in sorted(small, key=lambda file: (file[1], file[0])):
            if group and total + rows > self._rows:
                if len(group) > 1:
                    yield group
                group, total = [], 0
            group.append(name)
            total += rows
        if len(group) > 1:
            yield group

    def _merge(self, day: Path, names: list[str]) -> None:
        tables = [pq.ParquetFile(day / name).read().replace_schema_metadata(None) for name in names]
        # What these stood for, the new file stands for: an old batch that is written again stays superseded.
        old = frozenset(names).union(*(self._footers[day / name].supersedes for name in names))
        write_day(day, pa.concat_tables(tables), old)


def _remove_abandoned(day: Path) -> None:
    """Half-written files that a crash left; nobody writes one for an hour."""
    for path in day.glob(".*.tmp"):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            path.unlink(missing_ok=True)
