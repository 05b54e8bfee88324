"""The data dictionary: the tables and columns of a scenario, the single source of validation, docs and templates.

`dictionary/_tables.csv` lists the tables, `dictionary/<table>.csv` the columns of each. Beside name, type, unit and
default a column may have `choices` (a|b), `refers` (table.column that must hold its value), `least` and `most` (a
figure outside is an error), `low` and `high` (a figure outside is doubted) and `mistaken`: units that people give
instead, each with the factor by which the figure is then too large (`W=1000` where kW are asked).
"""

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Kind = Literal["text", "number", "count", "flag", "date", "clock", "country"]
Status = Literal["active", "later"]
FOLDER = Path(__file__).resolve().parent / "dictionary"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `default` is a figure, a word, another column or `factor*column`; "" where there is none."""

    name: str
    kind: Kind
    unit: str
    required: bool
    key: bool
    default: str
    choices: tuple[str, ...]
    refers: tuple[str, str] | None
    least: float
    most: float
    low: float
    high: float
    mistaken: tuple[tuple[str, float], ...]
    description: str
    status: Status

    @property
    def numeric(self) -> bool:
        return self.kind in ("number", "count")

    @property
    def integral(self) -> bool:
        """Held as int64: a count that is always there. An optional count without a default is float64 with NaN."""
        return self.kind == "count" and (self.required or bool(self.default))


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `required`: a scenario must have it; `catalog`: the bundled catalog stands in when it is absent."""

    name: str
    required: bool
    catalog: bool
    status: Status
    description: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """The column of this name; raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.key)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@cache
def tables() -> dict[str, Table]:
    """Every table by its name, in the order of `_tables.csv`."""
    return {
        row["table"]: Table(
            name=row["table"],
            required=row["required"] == "yes",
            catalog=row["catalog"] == "yes",
            status=_status(row["status"]),
            description=row["description"],
            columns=tuple(_column(line) for line in _rows(f"{row['table']}.csv")),
        )
        for row in _rows("_tables.csv")
    }


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _column(row: dict[str, str]) -> Column:
    table, _, column = row["refers"].partition(".")
    mistaken = (pair.split("=") for pair in row["mistaken"].split("|") if pair)
    return Column(
        name=row["column"],
        kind=_kind(row["type"]),
        unit=row["unit"],
        required=row["required"] == "yes",
        key=row["key"] == "yes",
        default=row["default"],
        choices=tuple(choice for choice in row["choices"].split("|") if choice),
        refers=(table, column) if table else None,
        least=_bound(row["least"], -math.inf),
        most=_bound(row["most"], math.inf),
        low=_bound(row["low"], -math.inf),
        high=_bound(row["high"], math.inf),
        mistaken=tuple((unit, float(factor)) for unit, factor in mistaken),
        description=row["description"],
        status=_status(row["status"]),
    )


def _bound(text: str, absent: float) -> float:
    return float(text) if text else absent


def _kind(text: str) -> Kind:
    kinds: tuple[Kind, ...] = ("text", "number", "count", "flag", "date", "clock", "country")
    return kinds[kinds.index(text)]


def _status(text: str) -> Status:
    return "later" if text == "later" else "active"
