"""The first world opened as the auditor opens it: one case, its penalties, what each site may serve."""

from collections.abc import Iterator, Mapping
from typing import Any

from audit_world import pairs, scenario

from placement.audit.case import Case, open_case
from placement.audit.facts import Key
from placement.audit.grid import Grid
from placement.audit.penalties import Penalties

Changes = Mapping[str, Any] | None


def case(changes: Changes = None, document: Changes = None, network: Changes = None) -> Case:
    """The world with texts of tables, sections of the document and figures of the pairs replaced."""
    return open_case(scenario(changes, document), pairs(**(network or {})))


def penalties(changes: Changes = None, document: Changes = None, network: Changes = None) -> Penalties:
    return Penalties(Grid(case(changes, document, network)))


def ways(grid: Grid, site: str) -> Iterator[tuple[Key, str, float, float]]:
    """Every admissible (demand row, shape) of one site with USD a month and the replicas kept busy."""
    found = grid.at(site)
    told = zip(found.row.tolist(), found.kind.tolist(), found.least_usd().tolist(), found.load.tolist(), strict=True)
    for row, kind, usd, load in told:
        yield grid.keys[row], grid.ways.kinds[kind][1], usd, load


def served(grid: Grid, site: str) -> set[Key]:
    """The demand rows that some shape may serve there."""
    return {key for key, *_ in ways(grid, site)}
