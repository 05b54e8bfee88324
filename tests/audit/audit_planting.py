"""What is planted in the first world: changes to its plan, its tables, its pairs or its certificate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from audit_edits import Routes, with_columns, with_values
from audit_world import ROUTES, pairs, plan, routes_table, scenario, with_later, write

from placement.audit import AuditReport, audit

NAMES = ("region", "model", "service", "slice", "site", "shape", "share_ppb")
SERVER, REPLICA, LEFT = plan()["servers"][0], plan()["replicas"][0], plan()["unserved"][0]
WHOLE = {
    "1 spread", "1 served", "10 rollout", "10 installs", "13 domain", "13 reserve", "13 exempt", "13 replica capacity",
    "13 uplink", "13 downlink", "13 policy", "13 shares", "14 moves", "14 steps", "14 pins", "15 jobs", "15 window",
    "15 hours", "15 gang", "16 carbon", "goals", "economics",
}  # fmt: skip
"""Rules over periods, failures, moves, jobs and carbon, which this world lacks."""


@dataclass(frozen=True)
class Case:
    """What is changed, and the rule that must be named."""

    rule: str
    what: str
    document: dict[str, Any] | None = None
    routes: Any = ROUTES
    tables: dict[str, str | None] | None = None
    network: dict[str, Any] | None = None
    arrays: dict[str, Any] | None = None
    later: bool = False
    toml: dict[str, Any] | None = None


def audited(case: Case, folder: Path) -> AuditReport:
    """The audit of the plan with the change."""
    told = scenario(case.tables, case.toml)
    told = with_later(told) if case.later else told
    written = write(folder / "plan", case.document, case.routes, case.arrays)
    return audit(written, told, pairs(**(case.network or {})))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The valid plan.json with the value at a dotted path replaced; `-` in place of a value removes it."""
    return with_values(plan(), (path, value))


def route(number: int, **columns: Any) -> Routes:
    """The valid routes with columns of one of them changed."""
    return with_columns(ROUTES, NAMES, number, columns)


def moved(number: int, other: int, share_ppb: int) -> Routes:
    """The valid routes with parts per billion moved from one route to another."""
    rows = [list(row) for row in ROUTES]
    rows[number][6] -= share_ppb
    rows[other][6] += share_ppb
    return tuple(map(tuple, rows))


def figure(name: str, at: tuple[int, int], value: float) -> dict[str, Any]:
    """One figure of the pairs replaced."""
    array = getattr(pairs(), name).copy()
    array[at] = value
    return {name: array}


def nulls(name: str) -> pa.Table:
    """The valid routes without the first value of a column."""
    table = routes_table()
    values = [None, *table.column(name).to_pylist()[1:]]
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, table.schema.field(name).type))
