"""Files of a scenario as text cells: CSV and Parquet alike, with the line that every cell stands on."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placement.scenario.findings import Finding, shortened

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Raw:
    """A table as text. `columns` maps each header name to its cells, "" where absent; `lines` the line of each row."""

    file: str
    columns: dict[str, list[str]]
    lines: list[int]


def read_bytes(path: Path, file: str) -> tuple[bytes | None, list[Finding]]:
    """The bytes of a file, or why they cannot be had; never raises OSError."""
    if path.exists() and not path.is_file() and not path.is_dir():
        return None, [Finding("unreadable", file, "is no ordinary file", "Put the table there as a file.")]
    try:
        return path.read_bytes(), []
    except IsADirectoryError:
        return None, [Finding("unreadable", file, "is a folder, not a file", "Put the table there as a file.")]
    except OSError as error:
        why = shortened(error.strerror or error)
        return None, [Finding("unreadable", file, f"cannot be read: {why}", "Check the path and its permissions.")]


def decoded(data: bytes, file: str) -> tuple[str | None, list[Finding]]:
    """UTF-8 text, a byte-order mark removed; a Finding that names the line where it is something else."""
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        value = shortened(data[error.start : error.start + 8].hex(" "))
        message, mend = "not UTF-8 text", "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
        return None, [Finding("encoding", file, message, mend, row, value=value)]


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_table(path: Path, file: str) -> tuple[Raw | None, list[Finding]]:
    """The cells of one CSV or Parquet file; Raw is None where nothing of it can be used."""
    if path.suffix == ".parquet":
        return _read_parquet(path, file)
    data, found = read_bytes(path, file)
    if data is None:
        return None, found
    text, found = decoded(data, file)
    if text is None:
        return None, found
    return parse_csv(text, file)


def parse_csv(text: str, file: str) -> tuple[Raw | None, list[Finding]]:
    """The cells of CSV text. Lines without a value are passed over; one with too many or too few cells is a Finding."""
    rows = _csv_rows(text)
    try:
        _, header = next(rows, (0, []))
        names = [cell.strip() for cell in header]
        if not any(names):
            return None, [Finding("empty-file", file, "is empty", "Write a header and rows, or delete the file.")]
        found = _header_findings(names, file)
        if found:
            return None, found
        raw = Raw(file, {name: [] for name in names}, [])
        lists = [raw.columns[name] for name in names]
        for line, cells in rows:
            misfit = _misfit(cells, names, file, line)
            if misfit:
                found.append(misfit)
                continue
            raw.lines.append(line)
            for cell, values in zip(cells, lists, strict=False):
                values.append(cell.strip())
    except csv.Error as error:
        mend = 'Quote a cell that holds a comma or a quote: "so, and ""so""".'
        where = _broken_line(text)
        return None, [Finding("csv-syntax", file, f"not CSV: {shortened(error)}", mend, where)]
    return raw, found


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line that the row begins on, its cells) of every row that holds something."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _broken_line(text: str) -> int:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error:
        pass
    return line


def _header_findings(names: list[str], file: str) -> list[Finding]:
    if len(names) == 1 and any(mark in names[0] for mark in (";", "\t")):
        mark = "semicolons" if ";" in names[0] else "tabs"
        message, mend = f"cells are separated by {mark}", "Save the file with commas."
        return [Finding("csv-syntax", file, message, mend, 1, value=shortened(names[0]))]
    twice = sorted({name for name in names if names.count(name) > 1})
    found = []
    for name in twice:
        if name:
            message = f"column {shortened(name)!r} stands {names.count(name)} times"
            found.append(Finding("duplicate-column", file, message, "Keep one of them.", 1, shortened(name)))
    if "" in names:
        place = names.index("") + 1
        message, mend = f"column {place} has no name", "Name it or remove it."
        found.append(Finding("missing-column", file, message, mend, 1))
    return found


def _misfit(cells: list[str], names: list[str], file: str, line: int) -> Finding | None:
    extra = [cell for cell in cells[len(names) :] if cell.strip()]
    if len(cells) >= len(names) and not extra:
        return None
    message = f"{len(cells)} cells where the header has {len(names)}"
    mend = 'A comma inside a cell wants quotes ("a, b"); an empty cell still wants its comma.'
    return Finding("csv-syntax", file, message, mend, line, value=shortened(",".join(cells)))


def _read_parquet(path: Path, file: str) -> tuple[Raw | None, list[Finding]]:
    import pyarrow.parquet as pq  # noqa: PLC0415 (heavy)

    if path.is_dir():
        return None, [
            Finding("unreadable", file, "is a folder, not a file", "Put the table there as one Parquet file.")
        ]
    try:
        with path.open("rb") as source:
            table = pq.ParquetFile(source).read()
            found = _header_findings([str(name) for name in table.column_names], file)
            if found:
                return None, found
            columns = {
                str(name): [_cell(value) for value in table.column(place).to_pylist()]
                for place, name in enumerate(table.column_names)
            }
    except Exception as error:  # a damaged file makes Arrow raise almost anything
        why = shortened(error, 120)
        return None, [Finding("unreadable", file, f"not readable as Parquet: {why}", "Write the file again.")]
    return Raw(file, columns, list(range(2, table.num_rows + 2))), []


def _cell(value: Any) -> str:
    """A Parquet value as a CSV cell would hold it; null is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip()
