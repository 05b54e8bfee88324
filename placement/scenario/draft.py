"""A scenario on its way through the checks: what could be read of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from placement.scenario.dictionary import tables
from placement.scenario.document import FILE, Document, line_of
from placement.scenario.findings import Finding, Severity, shortened
from placement.scenario.tables import Typed, unread


@dataclass(frozen=True)
class Draft:
    """`document` is None where scenario.toml could not be read; figures may be NaN where a Finding was made of them.

    `all_shapes` are the shapes before [shapes] of the document cut them; `broken` the tables whose file could not be
    read (reported already); `measurements` the files under measurements/; `text` is that of scenario.toml.
    """

    folder: Path
    document: Document | None
    tables: dict[str, Typed]
    all_shapes: pd.DataFrame | None
    broken: frozenset[str]
    measurements: tuple[str, ...]
    text: str = ""

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def frame(self, table: str) -> pd.DataFrame:
        """The table's frame, indexed by line; without rows where the table is absent."""
        if table in self.tables:
            return self.tables[table].frame
        return unread(tables()[table])

    def file(self, table: str) -> str:
        """The table's file, as findings name it."""
        return self.tables[table].file if table in self.tables else f"{table}.csv"

    def own(self, table: str) -> bool:
        """The table stands in the scenario's folder (the catalog's rows are not the planner's to mend)."""
        return table in self.tables and not self.tables[table].defaulted

    def names(self, table: str) -> list[str]:
        """Sorted values of the table's first key column."""
        spec = tables()[table]
        return sorted(set(self.frame(table)[spec.key[0]]) - {""})


def at_rows(
    draft: Draft, table: str, rows: Iterable[int], column: str, rule: str, message: str, mend: str,
    severity: Severity = "error",
) -> Iterator[Finding]:  # fmt: skip
    """One Finding for each line in `rows`, with the cell's value."""
    lines = list(rows)
    if not lines:
        return
    frame, file = draft.frame(table), draft.file(table)
    values = frame.loc[lines, column] if column in frame.columns else pd.Series("", index=lines)
    for line, value in zip(lines, values, strict=True):
        text = f"{value:g}" if isinstance(value, float) else shortened(value)
        yield Finding(rule, file, message, mend, line, column, text, severity)


def at_key(
    draft: Draft, key: str, value: object, rule: str, message: str, mend: str, severity: Severity = "error"
) -> Iterator[Finding]:
    """One Finding at a key of scenario.toml ("limits.max_age_days"), with its line and the value that is meant."""
    shown = f"{value:g}" if isinstance(value, float) else shortened(value)
    yield Finding(rule, FILE, message, mend, line_of(key.split("."), draft.text), key, shown, severity)
