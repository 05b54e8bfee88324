"""The folder of measurements: native records in Parquet, one folder a UTC day, written whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from probes.importers import import_file
from probes.reading import BadRecord, BadRecordsError
from probes.table import SCHEMA, RecordError, empty_table, faults

_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
_DAY: Final = "day="
# The order of rows in a file: the time and the ends first, then whatever tells two records of one instant apart.
_ORDER: Final = (
    "observed_at", "source", "target", "method", "direction", "agent", "boot_id", "seq", "family", "loaded",
    "sent", "received", "rtt_min_ms", "rtt_avg_ms", "mbps", "bytes", "error", "source_alias", "target_alias",
)  # fmt: skip


def write_records(folder: Path | str, table: Any) -> tuple[Path, ...]:
    """Writes a Table of `probes.table.SCHEMA` into `folder`/day=YYYY-MM-DD/<hash>.parquet; gives the files, sorted.

    The name is the hash of the content, rows sorted: the same batch written twice is one file, whatever the order of
    its rows. Each file appears whole or not at all. Raises RecordError when a row breaks the rules of the record, and
    pyarrow.ArrowInvalid when the columns are not those of SCHEMA.
    """
    table = table.cast(SCHEMA)
    found = faults(table)
    if found:
        raise RecordError(found)
    return tuple(sorted(_write_day(Path(folder) / f"{_DAY}{day.isoformat()}", rows) for day, rows in _by_day(table)))


def read_folder(folder: Path | str) -> Any:
    """All native records below `folder` as one Table of SCHEMA: Parquet by day or plain, and native CSV (or .csv.gz).

    Names that begin with `.` or `_` are passed over. Raises BadRecordsError that names every other file, and every bad
    record of every file; NotADirectoryError when there is no such folder. Files are read in the order of their names.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder of measurements")
    bad: list[BadRecord] = []
    tables = [empty_table()]
    for path in _files(root):
        if not path.name.endswith(_SUFFIXES):
            mend = "turn it into native records with `nearserve import FILE --as FORMAT`, or move it away"
            bad.append(BadRecord(str(path), 0, "file", path.name, "is no native Parquet or CSV", mend))
            continue
        try:
            tables.append(import_file(path, "native").table)
        except BadRecordsError as failure:
            bad.extend(failure.bad)
    if bad:
        raise BadRecordsError(bad)
    return pa.concat_tables(tables)


def _files(root: Path) -> Iterator[Path]:
    """Every file below the folder that counts, in one order on every machine."""
    for path in sorted(root.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _by_day(table: Any) -> Iterator[tuple[date, Any]]:
    days = pc.cast(pc.floor_temporal(table["observed_at"], unit="day"), pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day, table.filter(pc.equal(days, pa.scalar(day, pa.date32())))


def _write_day(folder: Path, rows: Any) -> Path:
    ordered = rows.sort_by([(name, "ascending") for name in _ORDER]).combine_chunks()
    path = folder / f"{_digest(ordered)}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            pq.write_table(ordered, file, compression="zstd", version="2.6", row_group_size=1 << 17)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _sync(folder: Path) -> None:
    """Makes the new name itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(table: Any) -> str:
    """A hash of the values alone: the same for equal tables, whatever library version or memory layout holds them."""
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(name.encode())
        if pa.types.is_list(column.type):
            lengths = pc.fill_null(pc.list_value_length(column), -1)
            digest.update(np.asarray(lengths, dtype="<i8").tobytes())
            column = pc.list_flatten(column)
        _update(digest, column)
    return digest.hexdigest()[:32]


def _update(digest: Any, column: Any) -> None:
    digest.update(np.asarray(pc.is_null(column)).astype(np.uint8).tobytes())
    if pa.types.is_string(column.type):
        words = [(word or "").encode() for word in column.to_pylist()]
        digest.update(np.array([len(word) for word in words], dtype="<i8").tobytes())
        digest.update(b"".join(words))
    elif pa.types.is_floating(column.type):
        digest.update(np.asarray(pc.fill_null(column, 0.0)).astype("<f8").tobytes())
    else:
        whole = pc.fill_null(column.cast(pa.int64()), 0)
        digest.update(np.asarray(whole).astype("<i8").tobytes())
