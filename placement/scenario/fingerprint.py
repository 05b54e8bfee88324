"""SHA-256 of what inputs say, not of how they are written: the order of rows and columns changes nothing.

A table is hashed as planning takes it: defaults filled in, sorted by its key (ties are errors, so the order is one),
columns by name, figures as their eight bytes; the column `note`, which only people read, is left out. So CSV and
Parquet, 10 and 10.0, an absent cell and its default written out are the same. scenario.toml is hashed by its values.

A file of measurements has no key. Each record becomes one line of text, name=value of the columns that it fills, in
the order of their names; the hash is that of the number of records and of the sum of their SHA-256, taken as four
numbers of 64 bits each modulo 2^64 (a multiset hash: records that stand twice count twice, in any order). In CSV a
value is its text without surrounding blanks, in Parquet the shortest text that gives the number back.

Of the previous plan only that is hashed which moves are counted from: what stands in its first period.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from placement.scenario.dictionary import Table, tables
from placement.scenario.document import FILE, Document
from placement.scenario.draft import Draft
from placement.scenario.findings import Finding, shortened
from placement.scenario.previous import read_previous, standing_sha256
from placement.scenario.tables import finished
from probes.table import SCHEMA

NOT_READ = "note"
PREVIOUS = "previous_plan"
BATCH_ROWS = 100_000
_BETWEEN = "\x1f"  # no cell holds it: control characters are refused, or blanked in remarks


def fingerprints(draft: Draft, ready: Mapping[str, pd.DataFrame]) -> tuple[dict[str, str], list[Finding]]:
    """The hash of every input of a sound scenario: tables by their name, files of measurements by their path.

    `ready` are the finished tables. Tables of the catalog are not among them; shapes are hashed before [shapes] of
    scenario.toml cuts them.
    """
    found: list[Finding] = []
    hashes = {name: table_sha256(frame, tables()[name]) for name, frame in ready.items() if draft.own(name)}
    if draft.own("shapes") and draft.all_shapes is not None:
        spec = tables()["shapes"]
        hashes["shapes"] = table_sha256(finished(draft.all_shapes, spec), spec)
    for name in draft.measurements:
        try:
            hashes[name] = records_sha256(draft.folder / name)
        except OSError as error:
            why = shortened(error.strerror or error)
            found.append(Finding("unreadable", name, f"cannot be read: {why}", "Check its permissions."))
    if draft.document is not None:
        hashes[FILE] = document_sha256(draft.document)
        previous = draft.document.stability.previous_plan
        plan = read_previous(draft.folder, previous)[0] if previous is not None else None
        if plan is not None:
            hashes[PREVIOUS] = standing_sha256(plan)
    return hashes, found


def table_sha256(frame: pd.DataFrame, spec: Table) -> str:
    """The hash of a finished table."""
    found = hashlib.sha256(f"{spec.name}{_BETWEEN}{len(frame)}".encode())
    for column in sorted(spec.columns, key=lambda column: column.name):
        if column.name == NOT_READ:
            continue
        found.update(f"{_BETWEEN}{column.name}{_BETWEEN}".encode())
        values = frame[column.name]
        if column.numeric:
            kind = np.dtype("<i8") if column.integral else np.dtype("<f8")
            found.update((values.to_numpy(kind) + kind.type(0)).tobytes())  # -0.0 + 0 is 0.0
        else:
            found.update(_BETWEEN.join(values).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def document_sha256(document: Document) -> str:
    """The hash of the values of scenario.toml; a default written out is no change."""
    return hashlib.sha256(json.dumps(document.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def records_sha256(path: Path) -> str:
    """The hash of a measurement file by its records; of its bytes where they cannot be read. Raises OSError."""
    import pyarrow as pa  # noqa: PLC0415 (heavy)

    total, records = np.zeros(4, np.uint64), 0
    try:
        for lines in _lines(path):
            digests = b"".join([hashlib.sha256(line).digest() for line in lines])
            total += np.frombuffer(digests, "<u8").reshape(-1, 4).sum(axis=0, dtype=np.uint64)
            records += len(lines)
    except (pa.ArrowException, csv.Error, ValueError):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(records.to_bytes(8, "little") + total.astype("<u8").tobytes()).hexdigest()


def _lines(path: Path) -> Iterator[list[bytes]]:
    """Every record as one line of text, batch by batch."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    batches = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    for columns in batches:
        parts = [
            pc.if_else(pc.equal(values, ""), "", pc.binary_join_element_wise(f"{name}=", values, _BETWEEN, ""))
            for name, values in sorted(columns.items())
        ]
        joined = pc.binary_join_element_wise(*parts, "")
        yield pc.cast(joined, pa.binary()).to_pylist()


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    """Columns of a CSV file as text, "" where a cell is empty."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    with pa.input_stream(path, compression="detect") as stream:
        header = stream.read(1 << 16).decode("utf-8-sig", "replace").splitlines()[:1]
    names = [name.strip() for name in next(csv.reader(header), [])]
    if not names or len(set(names)) < len(names):
        raise ValueError("no header, or a column that is twice")
    with pa.input_stream(path, compression="detect") as stream:
        reader = arrow_csv.open_csv(
            stream,
            arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=1 << 24),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
        for batch in reader:
            yield {name: pc.utf8_trim_whitespace(batch.column(place)) for place, name in enumerate(names)}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    """The native columns of a Parquet file as text, "" for null."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    with path.open("rb") as stream:
        file = pq.ParquetFile(stream)
        names = [name for name in SCHEMA.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
            filled = [name for name in names if batch.column(name).null_count < batch.num_rows]
            yield {name: _text(batch.column(name).cast(SCHEMA.field(name).type)) for name in filled}


def _text(values: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if pa.types.is_list(values.type):
        inner = pc.fill_null(pc.cast(values.values, pa.string()), "null")
        return pc.fill_null(pc.binary_join(pa.ListArray.from_arrays(values.offsets, inner), ";"), "")
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return pc.fill_null(values.cast(pa.string()), "")
