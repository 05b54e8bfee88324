"""Server costs of the units of a group within a box: `solvers.bound.servers` with counts that start at the least."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.groups.group import Box, Group
from solvers.bound.servers import SLACK, enumerate_costs

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

IMPOSSIBLE = -1


class Tables(NamedTuple):
    """By unit and GPUs G (`Group.table_first`)."""

    cost: Float  # least cost of at least G GPUs, inf where none fits
    servers: Int32  # `Group.best_first`: the counts of every kind
    most: Int  # U: the most GPUs that fit, IMPOSSIBLE where the least do not
    must: Int  # U: whether any server has to stand


def empty_tables(group: Group) -> Tables:
    """Room for the tables of a group."""
    units = len(group.unit_quantum)
    return Tables(
        np.full(int(group.table_first[-1]), np.inf),
        np.zeros(int(group.best_first[-1]), np.int32),
        np.zeros(units, np.int64),
        np.zeros(units, np.int64),
    )


@njit(cache=True, nogil=True)
def fill_tables(group: Group, box: Box, tables: Tables, unit: int, site: int) -> None:  # noqa: PLR0912 - one table
    """Make the table of `unit` anew."""
    k0, k1 = group.kind_first[unit], group.kind_first[unit + 1]
    kinds = k1 - k0
    resources = group.site_limit.shape[1]
    limit = np.empty(resources)
    for r in range(resources):
        limit[r] = group.site_limit[site, r] * (1.0 + SLACK)
        for k in range(k0, k1):
            if box.servers_least[k] > 0:
                limit[r] -= box.servers_least[k] * group.kind_use[k, r]
    paid, gpus = 0.0, 0
    tables.must[unit] = 0
    possible = True
    for k in range(k0, k1):
        least = box.servers_least[k]
        if least > 0:
            tables.must[unit] = 1
            gpus += least * group.kind_gpus[k]
            if least > group.kind_ceiling[k]:
                possible = False
            else:
                paid += group.step_usd[group.step_first[k] + least]
        if least > box.servers_most[k]:
            possible = False
    for r in range(resources):
        if limit[r] < 0.0:
            possible = False
        limit[r] /= 1.0 + SLACK
    if not possible:
        tables.most[unit] = IMPOSSIBLE
        return
    ceilings, first = np.empty(kinds, np.int64), np.zeros(kinds + 1, np.int64)
    for k in range(kinds):
        ceilings[k] = max(0, min(box.servers_most[k0 + k], group.kind_ceiling[k0 + k]) - box.servers_least[k0 + k])
        first[k + 1] = first[k] + ceilings[k] + 1
    steps = np.zeros(first[kinds])
    for k in range(kinds):
        at = group.step_first[k0 + k] + box.servers_least[k0 + k]
        for c in range(1, ceilings[k] + 1):
            steps[first[k] + c] = group.step_usd[at + c] - group.step_usd[at]
    t0 = group.table_first[unit]
    size = group.table_first[unit + 1] - t0
    cost, best = np.empty(size), np.zeros((size, max(kinds, 1)), np.int64)
    most = enumerate_costs(group.kind_gpus[k0:k1], group.kind_use[k0:k1], ceilings, limit, steps, first, cost, best)
    tables.most[unit] = min(most + gpus, size - 1)
    for g in range(size):
        from_ = min(max(g - gpus, 0), size - 1)
        tables.cost[t0 + g] = cost[from_] + paid if g - gpus <= most else np.inf
        for k in range(kinds):
            tables.servers[group.best_first[unit] + g * kinds + k] = best[from_, k] + box.servers_least[k0 + k]
