"""The first world opened as the auditor opens it: one case, its penalties, what each site may serve."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
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
    for found in grid.at(site):
        for d, shape in enumerate(found.pool.shapes):
            here = found.admissible[:, d]
            rows = found.pool.rows[:, found.classes[here]]
            for t, c in zip(*np.nonzero(rows >= 0), strict=True):
                usd, load = (figure[t, c] for figure in (found.least_usd(d, here), found.load(d, here)))
                yield grid.keys[rows[t, c]], shape, usd, load


def served(grid: Grid, site: str) -> set[Key]:
    """The demand rows that some shape may serve there."""
    return {key for key, *_ in ways(grid, site)}
