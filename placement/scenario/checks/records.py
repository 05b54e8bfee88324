"""Measurement files as batches of a few columns; what cannot be read is a Finding."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from placement.scenario.findings import Finding, shortened
from placement.scenario.world import Float
from probes.importers import import_file
from probes.reading import BadRecordsError
from probes.record import REQUIRED
from probes.table import SCHEMA

BATCH_ROWS = 250_000
SHOWN_BAD_RECORDS = 50
TIMES = ("rtt_min_ms", "rtt_p50_ms")
WANTED = ("source", "target", "source_alias", "target_alias", "rtt_ms", *TIMES)


def batches(path: Path, name: str, found: list[Finding]) -> Iterator[Any]:
    """The wanted columns of a file, batch by batch; what cannot be read goes to `found`."""
    try:
        if name.endswith(".parquet"):
            yield from _parquet_batches(path, name, found)
        elif name.endswith((".csv", ".csv.gz")):
            yield from _csv_batches(path, name, found)
        else:
            mend = "Turn it into native records with `nearserve import FILE --as FORMAT`, or move it away."
            found.append(Finding("unreadable", name, "neither native Parquet nor CSV", mend))
    except Exception as error:
        why = shortened(error, 120)
        found.append(Finding("unreadable", name, f"cannot be read: {why}", "Write it again from its origin."))


def _parquet_batches(path: Path, name: str, found: list[Finding]) -> Iterator[Any]:
    with path.open("rb") as stream:
        file = pq.ParquetFile(stream)
        missing = [column for column in REQUIRED if column not in file.schema_arrow.names]
        for column in missing:
            mend = "Write it with `nearserve import`: that makes native records."
            found.append(Finding("missing-column", name, f"the column {column!r} is missing", mend, None, column))
        if missing:
            return
        wanted = [column for column in WANTED if column in file.schema_arrow.names]
        types = pa.schema([SCHEMA.field(column) for column in wanted])
        row = 1
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
            table = pa.Table.from_batches([batch]).select(wanted).cast(types)
            _bad_times(table, name, row, found)
            row += table.num_rows
            yield table


def _bad_times(table: Any, name: str, row: int, found: list[Finding]) -> None:
    """Times that no record may hold; one Finding a file and batch, with the first row and the count."""
    for column in ("rtt_ms", *TIMES):
        if column not in table.column_names:
            continue
        values = table[column].combine_chunks()
        flat = pc.list_flatten(values) if pa.types.is_list(values.type) else values
        wrong = pc.or_kleene(pc.less_equal(flat, 0), pc.invert(pc.is_finite(flat)))
        places = pc.indices_nonzero(pc.fill_null(wrong, False))
        if not len(places):
            continue
        place = places[0].as_py()
        line = pc.list_parent_indices(values)[place].as_py() if pa.types.is_list(values.type) else place
        message = f"{len(places)} times that are not above 0 and finite"
        mend = "A lost packet is null, never 0, -1 or inf: import the file again."
        value = shortened(flat[place])
        found.append(Finding("bad-record", name, message, mend, row + int(line), column, value))


def _csv_batches(path: Path, name: str, found: list[Finding]) -> Iterator[Any]:
    try:
        result = import_file(path, "native", on_error="skip")
    except BadRecordsError as error:
        found += [
            Finding("unreadable", name, shortened(bad.message, 120), _sentence(bad.mend)) for bad in error.bad[:1]
        ]
        return
    for bad in result.bad[:SHOWN_BAD_RECORDS]:
        row = bad.row or None
        found.append(
            Finding("bad-record", name, bad.message, _sentence(bad.mend), row, bad.field, shortened(bad.value))
        )
    if len(result.bad) > SHOWN_BAD_RECORDS:
        message = f"{len(result.bad) - SHOWN_BAD_RECORDS} more records cannot be read"
        found.append(Finding("bad-record", name, message, "Mend those above first."))
    yield result.table.select([column for column in WANTED if column in result.table.column_names])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def least_ms(table: Any) -> Float:
    """The least time of each record, ms; NaN where it has none. Not positive and not finite ones are passed over."""
    least = np.full(table.num_rows, np.nan)
    for column in reversed(TIMES):
        if column in table.column_names:
            least = np.fmin(least, _sound(table[column].combine_chunks()))
    if "rtt_ms" in table.column_names and pa.types.is_list(table["rtt_ms"].type):
        lists = table["rtt_ms"].combine_chunks()
        flat = _sound(pc.list_flatten(lists))
        owner = np.asarray(pc.list_parent_indices(lists).to_numpy(zero_copy_only=False), np.int64)
        if len(flat):
            first = np.nonzero(np.diff(owner, prepend=-1))[0]
            rows = owner[first]
            least[rows] = np.fmin(least[rows], np.fmin.reduceat(flat, first))
    return least


def _sound(values: Any) -> Float:
    figures = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    return np.where((figures > 0) & np.isfinite(figures), figures, np.nan)
