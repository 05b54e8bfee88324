"""Text cells to typed frames, by the data dictionary: structure, types and keys of one table."""

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from placement.scenario.dictionary import Column, Table
from placement.scenario.findings import Assumed, Finding, nearest, shortened
from placement.scenario.reading import Raw

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_FLAGS = {"yes": "yes", "true": "yes", "1": "yes", "no": "no", "false": "no", "0": "no"}
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_LARGEST_COUNT = 2.0**53


@dataclass(frozen=True)
class Typed:
    """A table with the types of the dictionary; the frame's index is the line of the file, in the file's order.

    Text is str with "" for absent, figures float64 with NaN for absent or wrong (a wrong one has its Finding).
    """

    spec: Table
    file: str
    frame: pd.DataFrame
    defaulted: bool = False  # from the bundled catalog


def typed(raw: Raw, spec: Table, *, strict: bool = True) -> tuple[Typed, list[Finding]]:
    """The frame of a raw table and all that is wrong with it. Not `strict`: unknown columns are passed over."""
    found = _header(raw, spec, strict)
    columns: dict[str, Values] = {}
    for column in spec.columns:
        cells = raw.columns.get(column.name)
        if cells is None:
            columns[column.name] = _absent(column, len(raw.lines))
            continue
        values, wrong = _values(column, cells, raw)
        columns[column.name] = values
        found.extend(wrong)
    frame = _frame(columns, spec, pd.Index(raw.lines, dtype=np.int64))
    if set(spec.key) <= set(raw.columns) | {column.name for column in spec.columns if not column.required}:
        found.extend(_duplicates(frame, spec, raw.file))
    return Typed(spec, raw.file, frame), found


@cache
def empty(spec: Table) -> pd.DataFrame:
    """A frame of the table without rows, with the dictionary's types. One for all who ask: not to be changed."""
    return finished(unread(spec), spec)


@cache
def unread(spec: Table) -> pd.DataFrame:
    """As `empty`, before counts become int64: what checks see of an absent table."""
    return _frame({column.name: _absent(column, 0) for column in spec.columns}, spec, pd.Index([], dtype=np.int64))


def _frame(columns: dict[str, "Values"], spec: Table, index: "pd.Index[int]") -> pd.DataFrame:
    """Text stays object: a dtype that pandas chose by itself would differ between its versions."""
    kinds = {column.name: np.float64 if column.numeric else object for column in spec.columns}
    return pd.DataFrame({name: pd.Series(values, index, kinds[name]) for name, values in columns.items()}, index)


def finished(frame: pd.DataFrame, spec: Table) -> pd.DataFrame:
    """The frame as planning takes it: counts int64, sorted by the key, index 0..n-1."""
    whole = {column.name: np.int64 for column in spec.columns if column.integral}
    frame = frame.astype(whole).sort_values(list(spec.key), kind="stable")
    return frame.reset_index(drop=True)


def _absent(column: Column, rows: int) -> "Values":
    if column.numeric:
        return np.full(rows, np.nan)
    return np.full(rows, "", dtype=object)


def _header(raw: Raw, spec: Table, strict: bool) -> list[Finding]:
    found = []
    for column in spec.columns:
        if column.required and column.name not in raw.columns:
            unit = f" in {column.unit}" if column.unit else ""
            mend = f"Add it: {column.description}{unit}."
            message = f"the column {column.name!r} is missing"
            found.append(Finding("missing-column", raw.file, message, mend, 1, column.name))
    for name in raw.columns:
        if strict and name not in spec.names:
            mend = f"{nearest(name, spec.names)} Remarks go into a column called note."
            found.append(
                Finding("unknown-column", raw.file, f"unknown column {shortened(name)!r}", mend, 1, shortened(name))
            )
    return found


Values = np.ndarray[tuple[int], np.dtype[np.generic]]


def _values(column: Column, cells: list[str], raw: Raw) -> tuple[Values, list[Finding]]:
    found: list[Finding] = []

    def report(rule: str, place: int, message: str, mend: str) -> None:
        value = shortened(cells[place])
        found.append(Finding(rule, raw.file, message, mend, raw.lines[place], column.name, value))

    values = _numbers(column, cells, report) if column.numeric else _texts(column, cells, report)
    if column.required:
        for place, cell in enumerate(cells):
            if not cell:
                unit = f", in {column.unit}" if column.unit else ""
                report("empty-cell", place, "an empty cell where a value is required", f"{column.description}{unit}.")
    return values, found


Report = Callable[[str, int, str, str], None]


def _numbers(column: Column, cells: list[str], report: Report) -> Values:
    values = np.full(len(cells), np.nan)
    choices = {float(choice) for choice in column.choices}
    for place, cell in enumerate(cells):
        if not cell:
            continue
        if not _NUMBER.fullmatch(cell) or not cell.isascii() or math.isinf(figure := float(cell)):
            message, mend = _not_a_number(cell)
            report("not-a-number", place, message, mend)
            continue
        if figure < 0 and column.least >= 0:
            report("negative", place, "a negative figure", f"{column.name} is never below 0: correct the sign.")
            continue
        if column.kind == "count" and (figure != math.floor(figure) or figure > _LARGEST_COUNT):
            report("not-a-count", place, "not a whole number", f"{column.name} counts: write a whole number.")
            continue
        if choices and figure not in choices:
            report("unknown-choice", place, "not one of the values it can have", f"Use {', '.join(column.choices)}.")
            continue
        values[place] = figure
    return values


_LEAVE = "Leave the cell empty where the figure is not known."
_FINITE = "Leave an optional limit empty; a required figure is finite."
_ALONE = "Write the figure alone; the column's name has the unit."
_NOT_NUMBERS = (  # pattern of the case-folded cell, what is wrong, the mend; the first that fits
    (r"[+-]?(nan|na|n/a|none|null|-|\?|#n/a|)", "not a figure: NaN, a dash or a word stands for unknown", _LEAVE),
    (r"[+-]?(inf|infinity|∞)", "infinity is not a figure", _FINITE),
    (
        r"[+-]?\d{1,3}([ ’_]\d{3})+(\.\d+)?|[+-]?\d{1,3}(,\d{3}){2,}(\.\d+)?",
        "thousands are parted",
        "Write digits only.",
    ),
    (r"[+-]?\d+,\d+", "a comma in a figure", "Write a decimal point, and nothing between thousands."),
    (r"[+-]?(\d+\.?\d*|\.\d+)e[+-]?\d+", "too large for a figure", "Write a finite figure."),
    (r"[+-]?[\d.]+\s*[^\d\s.,].*", "a figure with a unit or a sign behind it", _ALONE),
    (r".*", "not a figure", "Write digits with a decimal point, nothing else."),
)


def _not_a_number(cell: str) -> tuple[str, str]:
    """(message, mend) for a cell that is no finite figure."""
    folded = cell.casefold()
    return next((what, mend) for pattern, what, mend in _NOT_NUMBERS if re.fullmatch(pattern, folded, re.DOTALL))


def _texts(column: Column, cells: list[str], report: Report) -> Values:
    values = np.array(cells, dtype=object) if cells else np.empty(0, dtype=object)
    test = {"flag": _flag, "date": _date, "clock": _clock}.get(column.kind)
    seen: dict[str, tuple[str, str, str, str]] = {}
    for place, cell in enumerate(cells):
        if not cell:
            continue
        if cell not in seen:
            seen[cell] = _text(column, cell, test)
        value, rule, message, mend = seen[cell]
        values[place] = value
        if rule:
            report(rule, place, message, mend)
    return values


Test = Callable[[str], tuple[str | None, str]]


def _text(column: Column, cell: str, test: Test | None) -> tuple[str, str, str, str]:
    """(value to keep, rule, message, mend); rule is "" where the cell is sound."""
    if not cell.isprintable():
        if column.kind == "text" and not (column.key or column.refers or column.choices):
            return "".join(c if c.isprintable() else " " for c in cell), "", "", ""  # a remark may have lines
        return "", "not-text", "an invisible or control character in the cell", "Retype the cell."
    if test:
        value, mend = test(cell)
        return (value, "", "", "") if value is not None else ("", f"not-a-{column.kind}", f"not a {column.kind}", mend)
    if column.choices and cell not in column.choices:
        mend = f"Use {' or '.join(column.choices)}."
        return "", "unknown-choice", "not one of the words it can be", mend
    return cell, "", "", ""


def _flag(cell: str) -> tuple[str | None, str]:
    return _FLAGS.get(cell.casefold()), "Write yes or no."


def _date(cell: str) -> tuple[str | None, str]:
    mend = "Write the date as 2026-01-31."
    try:
        return (cell if dt.date.fromisoformat(cell).isoformat() == cell else None), mend
    except ValueError:
        return None, mend


def _clock(cell: str) -> tuple[str | None, str]:
    return (cell if _CLOCK.fullmatch(cell) else None), "Write the time as 18:30, in UTC."


def _duplicates(frame: pd.DataFrame, spec: Table, file: str) -> list[Finding]:
    key = list(spec.key)
    frame = _with_text_defaults(frame, spec)
    twice = frame.duplicated(key, keep=False)
    if not twice.any():
        return []
    found = []
    first: dict[tuple[object, ...], int] = {}
    for values in frame.loc[twice.to_numpy(), key].itertuples():
        line, name = int(values[0]), tuple(values[1:])
        if name not in first:
            first[name] = line
            continue
        shown = ", ".join(f"{column} {value}" for column, value in zip(key, name, strict=True) if value != "")
        message = f"the same {' + '.join(key)} as in line {first[name]}"
        mend = "Keep one of the two rows, or make their keys differ."
        found.append(Finding("duplicate-key", file, message, mend, line, key[0], shortened(shown)))
    return found


def _with_text_defaults(frame: pd.DataFrame, spec: Table) -> pd.DataFrame:
    words = {
        column.name: frame[column.name].mask(frame[column.name] == "", column.default)
        for column in spec.columns
        if column.default and not column.numeric
    }
    return frame.assign(**words)


def filled(table: Typed) -> tuple[Typed, list[Assumed]]:
    """The table with the dictionary's defaults in its empty cells, and which figures they are."""
    frame = _with_text_defaults(table.frame, table.spec)
    assumed = []
    for column in table.spec.columns:
        if not column.default or not column.numeric:
            continue
        missing = frame[column.name].isna()
        if not missing.any():
            continue
        frame[column.name] = frame[column.name].where(~missing, _default(column, frame))
        why = "column or cell empty; default of the data dictionary"
        value = column.default
        assumed.append(Assumed(table.spec.name, column.name, int(missing.sum()), value, column.unit, why))
    return Typed(table.spec, table.file, frame, table.defaulted), assumed


def _default(column: Column, frame: pd.DataFrame) -> "pd.Series[float] | float":
    """A figure, another column, or `factor*column`."""
    if _NUMBER.fullmatch(column.default):
        return float(column.default)
    factor, _, name = column.default.rpartition("*")
    return frame[name] * float(factor or "1")
