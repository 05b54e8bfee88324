"""The folder of measurements a part at a time: which files stand, what days they hold, and their checked records.

`probes.store.read_folder` gives the same records in one Table; here memory holds no more than some rows of one file.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from probes.importers import import_file
from probes.importers.collector import Collector
from probes.importers.native import is_parquet, parquet_tables
from probes.importers.options import Options
from probes.reading import BadRecord
from probes.store import files_below, foreign, is_native, superseded_in

CODED: Final = ("agent", "source", "target", "source_alias", "target_alias", "boot_id")
"""Text columns that come dictionary-coded."""
_KEY: Final = ("agent", "boot_id", "seq")
_LOOKS: Final = 100
_NS_PER_DAY: Final = 86_400 * 10**9


@dataclass(frozen=True)
class StandingFile:
    """A file whose records count.

    `days` is the first and the last day (since 1970 UTC) of its records, None where only reading them tells; `rows` is
    None likewise; `keyed` is false where no record has a boot_id.
    """

    path: Path
    size: int
    modified_ns: int
    changed_ns: int
    rows: int | None
    days: tuple[int, int] | None
    keyed: bool

    def stands(self) -> bool:
        """Whether it is there still, as it was."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return False
        return _stamp(stat) == (self.size, self.modified_ns, self.changed_ns)


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    """Size, time of the content, and time of any change, which nobody sets: content may come with its old time."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


class Standing(NamedTuple):
    """The files of a folder whose records count, and what is wrong with every other one, in the order of names."""

    files: tuple[StandingFile, ...]
    foreign: tuple[BadRecord, ...]


def standing_files(folder: Path | str) -> Standing:
    """What stands below `folder`, without hidden and superseded files.

    Raises NotADirectoryError when there is no such folder, TimeoutError when the files never stand still.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder of measurements")
    seen: dict[Path, StandingFile] = {}
    old: set[Path] = set()
    # A listing may show neither a new file nor the old ones that it stands for. The next listing then differs.
    before: list[Path] | None = None
    for _ in range(_LOOKS):
        paths = list(files_below(root))
        if paths == before and all(path in seen for path in paths if is_native(path)):
            break
        before = paths
        for path in paths:
            if path not in seen and is_native(path):
                _look(path, seen, old)
    else:
        raise TimeoutError(f"{root}: files came and went at every one of {_LOOKS} looks; read it again later")
    return Standing(
        tuple(seen[path] for path in paths if path in seen and path not in old),
        tuple(foreign(path) for path in paths if not is_native(path)),
    )


def tables(file: StandingFile, rows: int) -> Iterator[Any]:
    """The records of a file as Tables of up to `rows` rows (of any number, where it is CSV), columns as in
    `probes.table.SCHEMA`, CODED ones dictionary-coded.

    Raises FileNotFoundError when it is gone and, after the last Table, BadRecordsError that names every bad record.
    """
    collector = Collector(str(file.path))
    with file.path.open("rb") as stream:
        if not is_parquet(stream):
            table = import_file(file.path, "native").table
            for first in range(0, table.num_rows, rows):
                yield _coded(table.slice(first, rows))
            return
        for row, table in parquet_tables(stream, collector, Options(), rows, CODED):
            yield collector.checked(table, range(row, row + table.num_rows))
    collector.result("fail")


def key_tables(file: StandingFile, rows: int) -> Iterator[Any]:
    """The same Tables with the columns agent, boot_id and seq alone, unchecked, of a file that is `keyed`, as
    far as it can be read."""
    with file.path.open("rb") as stream:
        if not is_parquet(stream):
            yield from (table.select(_KEY) for table in tables(file, rows))
            return
        try:
            parquet = pq.ParquetFile(stream, read_dictionary=list(CODED))
            present = [name for name in _KEY if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(batch_size=rows, columns=present):
                yield _with_key(pa.Table.from_batches([batch]))
        except (pa.ArrowException, OSError):
            return  # `tables` says what is wrong with it


def _with_key(table: Any) -> Any:
    for name in _KEY:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.int64() if name == "seq" else pa.string()))
    return table


def _coded(table: Any) -> Any:
    for name in CODED:
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table


def _look(path: Path, seen: dict[Path, StandingFile], old: set[Path]) -> None:
    """Put a file into `seen`, and those that it supersedes into `old`; nothing where it is gone."""
    try:
        stat = path.stat()
        with path.open("rb") as stream:
            metadata = pq.read_metadata(stream) if is_parquet(stream) else None
    except FileNotFoundError:
        return  # compacted between the two; the next listing says into what
    except (OSError, pa.ArrowException):
        metadata = None  # reading it will say what is wrong with it
    if metadata is None:
        seen[path] = StandingFile(path, *_stamp(stat), None, None, True)
        return
    old.update(path.with_name(name) for name in superseded_in(metadata.metadata) if name != path.name)
    keyed = _nulls(metadata, "boot_id") != metadata.num_rows
    seen[path] = StandingFile(path, *_stamp(stat), metadata.num_rows, _days(metadata), keyed)


def _statistics(metadata: Any, name: str) -> list[Any] | None:
    """Of every row group; None where there is no such column, and where one has none."""
    place = metadata.schema.to_arrow_schema().get_field_index(name)
    if place < 0:
        return None
    # Nested columns before it would shift the place.
    paths = [metadata.schema.column(i).path for i in range(len(metadata.schema))]
    found = [metadata.row_group(i).column(paths.index(name)).statistics for i in range(metadata.num_row_groups)]
    return None if any(one is None for one in found) else found


def _nulls(metadata: Any, name: str) -> int | None:
    """How many values of a column are empty; None where nobody says."""
    if name not in metadata.schema.to_arrow_schema().names:
        return int(metadata.num_rows)
    found = _statistics(metadata, name)
    if found is None or not all(one.has_null_count for one in found):
        return None
    return int(sum(one.null_count for one in found))


def _days(metadata: Any) -> tuple[int, int] | None:
    found = _statistics(metadata, "observed_at")
    if not found or not all(one.has_min_max for one in found):
        return None
    kind = metadata.schema.to_arrow_schema().field("observed_at").type
    if not pa.types.is_timestamp(kind):
        return None
    per_day = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": _NS_PER_DAY}[kind.unit]
    return min(one.min_raw for one in found) // per_day, max(one.max_raw for one in found) // per_day
