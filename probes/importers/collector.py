"""Gathers what an importer finds into checked batches, so that a huge file needs the memory of its records only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from probes.reading import BadRecord, ImportResult, OnError, settle, shortened
from probes.record import Record
from probes.table import Fault, empty_table, faults, unchecked_table

_BATCH = 20_000
_CONVERSION_ERRORS = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)


@dataclass
class Collector:
    """The one value an importer writes to; `file` is the name that errors carry."""

    file: str
    read: int = 0
    _bad: list[BadRecord] = field(default_factory=list)
    _notes: dict[str, None] = field(default_factory=dict)
    _tables: list[Any] = field(default_factory=list)
    _records: list[Record] = field(default_factory=list)
    _rows: list[int] = field(default_factory=list)

    def add(self, row: int, record: Record) -> None:
        """One record found at this row of the file; whether it is sound is looked at when a batch is full."""
        self._records.append(record)
        self._rows.append(row)
        if len(self._records) >= _BATCH:
            self._flush()

    def add_table(self, table: Any, rows: Sequence[int]) -> None:
        """A Table of SCHEMA with the row of the file that each of its rows came from."""
        self._tables.append(self.checked(table, rows))

    def checked(self, table: Any, rows: Sequence[int]) -> Any:
        """The sound rows of such a Table; the others are reported."""
        found = faults(table)
        self._report(found, rows)
        if found:
            broken = pa.array(sorted({fault.row for fault in found}), pa.int64())
            table = table.filter(pc.invert(pc.is_in(pa.array(range(table.num_rows), pa.int64()), broken)))
        return table

    def bad(self, row: int, column: str, value: object, message: str, mend: str) -> None:
        """Something at this row that is not what the format says."""
        self._bad.append(BadRecord(self.file, row, column, shortened(value) if value != "" else "", message, mend))

    def note(self, text: str) -> None:
        """An assumption made for want of better; said once a file."""
        self._notes[text] = None

    def result(self, on_error: OnError) -> ImportResult:
        """The whole file; raises BadRecordsError as `on_error` says."""
        self._flush()
        table = pa.concat_tables(self._tables) if self._tables else empty_table()
        bad = settle(sorted(self._bad, key=lambda one: one.row), on_error)
        lost = pc.sum(pc.subtract(table["sent"], table["received"])).as_py() or 0
        return ImportResult(table, bad, self.read, int(lost), tuple(self._notes))

    def _flush(self) -> None:
        records, rows = self._records, self._rows
        self._records, self._rows = [], []
        if not records:
            return
        try:
            table = unchecked_table(records)
        except _CONVERSION_ERRORS:
            records, rows = self._convertible(records, rows)
            table = unchecked_table(records)
        self.add_table(table, rows)

    def _convertible(self, records: list[Record], rows: list[int]) -> tuple[list[Record], list[int]]:
        """The records whose values fit their columns; the others are reported (a count of 10^30, broken text)."""
        kept: list[tuple[Record, int]] = []
        for record, row in zip(records, rows, strict=True):
            try:
                unchecked_table([record])
            except _CONVERSION_ERRORS as error:
                value = (record.source, record.target)
                self.bad(row, "record", value, f"a value does not fit its column: {shortened(str(error))}", "mend it")
            else:
                kept.append((record, row))
        return [record for record, _ in kept], [row for _, row in kept]

    def _report(self, found: Sequence[Fault], rows: Sequence[int]) -> None:
        for fault in found:
            self.bad(rows[fault.row], fault.field, fault.value, "outside what a record allows", fault.mend)
