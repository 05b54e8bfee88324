"""The native record itself: Parquet, or CSV with the same column names.

CSV: an empty cell is null, `rtt_ms` is a list such as `1.2;1.3`, times are ISO 8601 (UTC where no zone is written),
truth values are `true` and `false`. Only `observed_at`, `source`, `target` and `method` must be there.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from probes.importers.collector import Collector
from probes.importers.options import Options, overridden
from probes.record import REQUIRED, Record, utc_ns
from probes.table import SCHEMA

_PARQUET_MAGIC: Final = b"PAR1"
_PARTITION: Final = "day"
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?")
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_TRUTH: Final = {"true": True, "false": False}


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads native Parquet or CSV from a seekable stream; the first four bytes tell which."""
    if is_parquet(stream):
        _read_parquet(stream, collector, options)
    else:
        _read_csv(stream, collector, options)


def is_parquet(stream: BinaryIO) -> bool:
    """Whether a seekable stream, at its start, is Parquet."""
    head = stream.read(4)
    stream.seek(0)
    return head == _PARQUET_MAGIC


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 UTC of an ISO 8601 time with up to nine digits; raises ValueError."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an ISO 8601 time")
    base, fraction, zone = match.groups()
    whole = datetime.fromisoformat(base.replace(" ", "T") + ("+00:00" if zone in (None, "Z") else zone))
    return utc_ns(whole) + int((fraction or "").ljust(9, "0"))


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a finite number")
    return float(text)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_number(part.strip()) for part in text.split(";"))


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError("neither true nor false")
    return _TRUTH[text.lower()]


def _parser(field: Any) -> Callable[[str], Any]:
    if pa.types.is_timestamp(field.type):
        return parse_time
    if pa.types.is_integer(field.type):
        return _integer
    if pa.types.is_boolean(field.type):
        return _truth
    if pa.types.is_list(field.type):
        return _numbers
    return _number if pa.types.is_floating(field.type) else str


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {field.name: _parser(field) for field in SCHEMA}


def _read_csv(stream: BinaryIO, collector: Collector, options: Options) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text)
    header: list[str] | None = None
    for cells in _lines(reader, collector):
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if not _header_is_sound(header, collector):
                break
            continue
        collector.read += 1
        record = _record(header, cells, reader.line_num, collector)
        if record is not None:
            collector.add(reader.line_num, overridden(record, options))
    if header is None:
        collector.bad(0, "file", "", "holds no records", f"give a header with {', '.join(REQUIRED)}")
    text.detach()


def _lines(reader: Any, collector: Collector) -> Iterator[list[str]]:
    """The rows of a CSV reader; one that it cannot split is reported and passed over."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            collector.read += 1
            collector.bad(reader.line_num, "row", "", f"not CSV: {error}", "mend the quotes of the row")


def _header_is_sound(header: list[str], collector: Collector) -> bool:
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in _PARSERS]
    doubled = sorted({name for name in header if header.count(name) > 1})
    for names, message in ((missing, "column is missing"), (unknown, "no such column"), (doubled, "column is twice")):
        for name in names:
            collector.bad(1, "header", name, message, f"columns are {', '.join(_PARSERS)}")
    return not (missing or unknown or doubled)


def _record(header: list[str], cells: list[str], line: int, collector: Collector) -> Record | None:
    if len(cells) != len(header):
        collector.bad(line, "row", len(cells), f"the header has {len(header)} cells", "mend the number of cells")
        return None
    values: dict[str, Any] = {}
    sound = True
    for name, cell in zip(header, cells, strict=True):
        text = cell.strip()
        if not text and name not in ("source", "target"):
            if name in REQUIRED:
                collector.bad(line, name, "", "is empty", "must be given")
                sound = False
            continue
        try:
            values[name] = _PARSERS[name](text)
        except ValueError as error:
            collector.bad(line, name, text, str(error), "leave the cell empty when the figure is not known")
            sound = False
    return Record(**values) if sound else None


def _read_parquet(stream: BinaryIO, collector: Collector, options: Options) -> None:
    for row, table in parquet_tables(stream, collector, options):
        collector.read += table.num_rows
        collector.add_table(table, range(row, row + table.num_rows))


def parquet_tables(
    stream: BinaryIO, collector: Collector, options: Options, rows: int = 100_000, coded: Sequence[str] = ()
) -> Iterator[tuple[int, Any]]:
    """Tables of SCHEMA of up to `rows` rows, not checked, each with the number of its first row, from 1.

    The text columns named in `coded` come dictionary-coded. What cannot be read is reported to the collector.
    """
    row = 1
    try:
        file = pq.ParquetFile(stream, read_dictionary=list(coded))
        if not _columns_are_sound(file.schema_arrow.names, collector):
            return
        for batch in file.iter_batches(batch_size=rows):
            yield row, _native(pa.Table.from_batches([batch]), options, coded)
            row += batch.num_rows
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        collector.bad(0, "file", "", f"cannot be read as native Parquet: {error}", "write it anew from its origin")


def _columns_are_sound(names: list[str], collector: Collector) -> bool:
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in _PARSERS and name != _PARTITION]
    for group, message in ((missing, "column is missing"), (unknown, "no such column")):
        for name in group:
            collector.bad(0, "column", name, message, f"columns are {', '.join(_PARSERS)}")
    return not (missing or unknown)


def _native(table: Any, options: Options, coded: Sequence[str]) -> Any:
    """The table with exactly the columns of SCHEMA; raises pyarrow.ArrowInvalid where a value does not fit."""
    given = {"source": options.source, "target": options.target, "observed_at": options.observed_at}
    columns = []
    wanted = [
        field.with_type(pa.dictionary(pa.int32(), field.type)) if field.name in coded else field for field in SCHEMA
    ]
    for field in wanted:
        if given.get(field.name) is not None:
            value = pa.scalar(given[field.name], SCHEMA.field(field.name).type)
            columns.append(pa.array([value.as_py()] * table.num_rows, value.type).cast(field.type))
        elif field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.table(columns, schema=pa.schema(wanted))
