"""Demand of one period by who may carry it: one pool for each model and owner of servers.

Columns are classes (region, service, residency set), rows are slices: what a site may serve does not depend on the
slice. T slices in the order of the facts' hours, C classes, D shapes of the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.audit.case import Case
from placement.audit.facts import Key

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

Member = tuple[str, str, str]
"""A class of a pool: region, service, residency set."""


@dataclass(frozen=True)
class Pool:
    """The classes of one model that one owner's servers carry, and the shapes of the model that are sold."""

    model: str
    tenant: str  # a dedicated tenant, or "" for anybody
    members: tuple[Member, ...]  # C
    rows: Int  # T × C: number of the demand row, -1 where the class asks for nothing
    shapes: tuple[str, ...]  # D


def read_pools(case: Case, keys: Sequence[Key]) -> tuple[Pool, ...]:
    """The pools that hold all demand rows `keys`, by (model, tenant)."""
    facts, number = case.facts, {name: t for t, name in enumerate(case.facts.hours)}
    rows_of: dict[tuple[str, str], dict[Member, dict[int, int]]] = {}
    for i, key in enumerate(keys):
        member = (key[0], key[2], case.residency.set_of(facts, key))
        rows_of.setdefault((key[1], facts.tenant(key)), {}).setdefault(member, {})[number[key[3]]] = i
    return tuple(_pool(case, *kind, rows_of[kind]) for kind in sorted(rows_of))


def _pool(case: Case, model: str, tenant: str, rows_of: Mapping[Member, Mapping[int, int]]) -> Pool:
    facts = case.facts
    sold = {server.gpu for server in facts.servers.values()}
    shapes = tuple(sorted(n for n, s in facts.shapes.items() if s.model == model and s.gpu in sold))
    members = tuple(sorted(rows_of))
    rows = np.full((len(facts.hours), len(members)), -1, np.int64)
    for c, member in enumerate(members):
        for t, i in rows_of[member].items():
            rows[t, c] = i
    return Pool(model, tenant, members, rows, shapes)
