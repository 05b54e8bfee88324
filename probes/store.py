"""The folder of measurements: native records in Parquet, one folder a UTC day, written whole or not at all.

A file that holds the rows of older files names them in its metadata: they are superseded from the moment it appears,
whether they still stand beside it or not. So small files become large ones and a reader never meets a row twice.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
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
DAY: Final = "day="
_SUPERSEDES: Final = b"nearserve.supersedes"
_LOOKS: Final = 100
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
    return tuple(sorted(write_day(Path(folder) / f"{DAY}{day.isoformat()}", rows) for day, rows in _by_day(table)))


def read_folder(folder: Path | str) -> Any:
    """All native records below `folder` as one Table of SCHEMA: Parquet by day or plain, and native CSV (or .csv.gz).

    Names that begin with `.` or `_` are passed over, and so are superseded files. It may be called while others write
    and compact: every row that stood when it began is there once. Raises BadRecordsError that names every other file,
    and every bad record of every file; NotADirectoryError when there is no such folder; TimeoutError when the files
    never stand still. Files are read in the order of their names.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder of measurements")
    read: dict[Path, Any] = {}
    old: set[Path] = set()
    # A listing may show neither a new file nor the old ones that it stands for. The next listing then differs.
    before: list[Path] | None = None
    for _ in range(_LOOKS):
        paths = list(files_below(root))
        if paths == before and all(path in read for path in paths):
            break
        before = paths
        _read_new(paths, read, old)
    else:
        raise TimeoutError(f"{root}: files came and went at every one of {_LOOKS} looks; read it again later")
    bad = [one for path in paths if path not in old and isinstance(read[path], list) for one in read[path]]
    if bad:
        raise BadRecordsError(bad)
    return pa.concat_tables([empty_table(), *(read[path] for path in paths if path not in old)])


def supersedes(path: Path) -> frozenset[str]:
    """Names of the files of the same folder whose rows this Parquet file holds; raises OSError or ArrowException."""
    return superseded_in(pq.read_schema(path).metadata)


def superseded_in(metadata: dict[bytes, bytes] | None) -> frozenset[str]:
    """The same of a Parquet file's metadata; nothing where it does not say, or says it in a way of its own."""
    try:
        names = json.loads((metadata or {}).get(_SUPERSEDES, b"[]"))
    except ValueError:
        return frozenset()
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def write_day(folder: Path, rows: Any, superseded: Iterable[str] = ()) -> Path:
    """Writes checked rows of one day into its folder, in place of the files named; gives the file."""
    ordered = rows.sort_by([(name, "ascending") for name in _ORDER]).combine_chunks()
    path = folder / f"{_digest(ordered)}.parquet"
    if not path.exists():
        if names := sorted(superseded):
            ordered = ordered.replace_schema_metadata({_SUPERSEDES: json.dumps(names).encode()})
        _write_whole(path, ordered)
    # Also for a file that stands: whoever wrote it may have ended before its name was safe.
    sync_folder(folder)
    sync_folder(folder.parent)
    return path


def _read_new(paths: Iterable[Path], read: dict[Path, Any], old: set[Path]) -> None:
    """Reads into `read` the Tables, or the bad records, of files not read before; `old` gains what they supersede."""
    for path in paths:
        if path in read:
            continue
        if not is_native(path):
            read[path] = [foreign(path)]
            continue
        try:
            read[path] = import_file(path, "native").table
            if path.suffix == ".parquet":
                old.update(path.with_name(name) for name in supersedes(path) if name != path.name)
        except BadRecordsError as failure:
            if path.exists():
                read[path] = list(failure.bad)
        except FileNotFoundError:
            del read[path]  # compacted between the two; the next listing says into what


def is_native(path: Path) -> bool:
    """Whether a file's name is that of native records."""
    return path.name.endswith(_SUFFIXES)


def foreign(path: Path) -> BadRecord:
    """What is wrong with a file of another name."""
    mend = "turn it into native records with `nearserve import FILE --as FORMAT`, or move it away"
    return BadRecord(str(path), 0, "file", path.name, "is no native Parquet or CSV", mend)


def files_below(root: Path) -> Iterator[Path]:
    """Every file below the folder that counts, in one order on every machine."""
    for path in sorted(root.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def _by_day(table: Any) -> Iterator[tuple[date, Any]]:
    days = pc.cast(pc.floor_temporal(table["observed_at"], unit="day"), pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day, table.filter(pc.equal(days, pa.scalar(day, pa.date32())))


def _write_whole(path: Path, rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            pq.write_table(rows, file, compression="zstd", version="2.6", row_group_size=1 << 17)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder survive a power cut."""
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
        words = pc.fill_null(column, "")
        digest.update(np.asarray(pc.binary_length(words)).astype("<i8").tobytes())
        digest.update(_letters(words))
    elif pa.types.is_floating(column.type):
        digest.update(np.asarray(pc.fill_null(column, 0.0)).astype("<f8").tobytes())
    else:
        whole = pc.fill_null(column.cast(pa.int64()), 0)
        digest.update(np.asarray(whole).astype("<i8").tobytes())


def _letters(words: Any) -> bytes | memoryview:
    """The UTF-8 of all words of a string array without nulls, one after the other."""
    _, places, letters = words.buffers()
    if not len(words) or letters is None:
        return b""
    ends = np.frombuffer(places, dtype=np.int32)[words.offset : words.offset + len(words) + 1]
    return memoryview(letters)[ends[0] : ends[-1]]
