"""The most that every site of a group earns at given prices within a box, exactly, and how.

The formulas are those of `solvers.bound.sweep`, with counts between least and most, replicas whose price may be below
0, and sites that are closed (they earn 0) or have to hold a server (they may earn less than 0). −inf: the box
allows nothing.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.groups.group import CLOSED, OPEN, Box, Group
from solvers.bound.groups.packing import pack_part, share_cell
from solvers.bound.groups.tables import Tables

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]


class Choice(NamedTuple):
    """What the sites chose."""

    open: Int  # P
    servers: Int  # K
    replicas: Int  # B
    share: Float  # N, in the structure's order


class Work(NamedTuple):
    """Work space of one group."""

    pair_usd: Float  # N: what a pair costs at the cuts' prices
    replica_usd: Float  # B
    order: Int32  # N: positions of a cell by falling density, kept from sweep to sweep
    density: Float  # N, along with `order`
    earning: Int  # cells: how many of a cell earn anything
    value: Float
    best: Float  # best value of a choice group by replicas
    winner: Int
    f: Float
    spare: Float
    total: Float
    pick: Int32  # groups × width
    label: Int32
    reach: Int


def empty_work(group: Group) -> Work:
    """Room for the sweeps of a group."""
    pairs, rows = len(group.pair_load), (group.groups + 1) * (group.width + 1)
    width = group.width + 2
    return Work(
        np.zeros(pairs), np.zeros(len(group.replica_usd)), np.arange(pairs, dtype=np.int32), np.zeros(pairs),
        np.zeros(len(group.cell_first), np.int64), np.zeros(width), np.zeros(width), np.zeros(width, np.int64),
        np.zeros(width), np.zeros(width), np.zeros(width), np.zeros(rows, np.int32), np.zeros(rows, np.int32),
        np.zeros(group.groups + 1, np.int64),
    )  # fmt: skip


def empty_choice(group: Group) -> Choice:
    """Room for what the sites choose."""
    return Choice(
        np.zeros(len(group.open_usd), np.int64), np.zeros(len(group.kind_site), np.int64),
        np.zeros(len(group.replica_usd), np.int64), np.zeros(len(group.pair_load)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def earnings(
    group: Group, row_usd: Float, cut_usd: Float, box: Box, tables: Tables, work: Work, choice: Choice
) -> float:
    """Σ_p V_p at the prices of rows and cuts; `choice` is how. −inf: the box allows nothing."""
    price_pairs(group, cut_usd, work)
    choice.share[:] = 0.0
    choice.replicas[:] = 0
    choice.servers[:] = 0
    total = 0.0
    for p in range(len(group.open_usd)):
        choice.open[p] = 0
        if box.open[p] != CLOSED:
            total += earn_at(group, row_usd, box, tables, work, choice, p, box.open[p] == OPEN)
            if total == -np.inf:
                break
    return float(total)


@njit(cache=True, nogil=True)
def price_pairs(group: Group, cut_usd: Float, work: Work) -> None:
    """Costs of pairs and replicas at the prices of the cuts."""
    cuts = group.cuts
    work.pair_usd[:] = group.pair_usd
    work.replica_usd[:] = group.replica_usd
    for c in range(len(cut_usd)):
        usd = cut_usd[c]
        if usd > 0.0:
            for at in range(cuts.pair_first[c], cuts.pair_first[c + 1]):
                work.pair_usd[cuts.pair[at]] += usd * cuts.pair_usd[at]
            for at in range(cuts.block_first[c], cuts.block_first[c + 1]):
                work.replica_usd[cuts.block[at]] -= usd * cuts.block_usd[at]


@njit(cache=True, nogil=True)
def earn_at(
    group: Group, row_usd: Float, box: Box, tables: Tables, work: Work, choice: Choice, p: int, forced: bool
) -> float:
    """V_p; writes the site's part of `choice` where it is open."""
    earned = -group.open_usd[p]
    held = False
    loss, loser = np.inf, -1
    u0, u1 = group.unit_first[p], group.unit_first[p + 1]
    width = 0
    for unit in range(u0, u1):
        some, none, width = best_of_unit(group, row_usd, box, tables, work, unit)
        held = held or some > none
        earned += max(some, none)
        if none - some < loss:
            loss, loser = none - some, unit
    if earned == -np.inf:
        return -np.inf
    if not held and loser >= 0 and (forced or earned > loss):
        earned -= loss
        held = True
    else:
        loser = -1
    if forced and not held:
        return -np.inf
    if not forced and not (held and earned > 0.0):
        return 0.0
    choice.open[p] = 1
    for unit in range(u0, u1):
        some, none = np.inf, 0.0
        if u1 - u0 > 1:
            some, none, width = best_of_unit(group, row_usd, box, tables, work, unit)
        if (u1 - u0 > 1 and some > none) or u1 - u0 == 1 or unit == loser:
            write_unit(group, tables, work, choice, unit, width)
    return float(earned)


@njit(cache=True, nogil=True)
def best_of_unit(
    group: Group, row_usd: Float, box: Box, tables: Tables, work: Work, unit: int
) -> tuple[float, float, int]:
    """What a unit earns with at least one server, what it earns with none, and the width of the former's packing."""
    gpus = tables.most[unit]
    if gpus < 0:
        return -np.inf, -np.inf, 0
    quantum = group.unit_quantum[unit]
    width = 4 * gpus // quantum
    total = work.total
    total[0] = 0.0
    reach = 0
    parts = group.part_first[unit], group.part_first[unit + 1]
    base = group.group_first[parts[0]]
    for part in range(parts[0], parts[1]):
        grown, swapped = pack_part(
            group.group_first[part], group.group_first[part + 1], base, width, quantum, group.width + 1,
            group.group_quarters, group.member_first, group.members, group.member_slice, group.member_cost,
            group.fill, group.slices, group.capacity, group.cell_first, group.pair_demand, group.pair_load,
            row_usd, work.pair_usd, work.replica_usd, box.replicas_least, box.replicas_most, work.order, work.density,
            work.earning, work.value, work.best, work.winner, work.f, work.spare, work.pick, work.label, work.reach,
        )  # fmt: skip
        f = work.spare if swapped else work.f
        upto = max(reach, grown)
        for w in range(upto, -1, -1):
            total[w] = total[min(w, reach)] + f[min(w, grown)]
        reach = upto
    none = total[0] if tables.must[unit] == 0 else -np.inf
    some, best_width = -np.inf, 0
    cost = tables.cost[group.table_first[unit] :]
    for g in range(1, gpus + 1):
        w = min(4 * g // quantum, reach)
        profit = total[w] - cost[g]
        if profit > some:
            some, best_width = profit, w
        if w == reach:
            break
    return some, none, best_width


@njit(cache=True, nogil=True)
def write_unit(group: Group, tables: Tables, work: Work, choice: Choice, unit: int, width: int) -> None:
    """Read the packing of `width` back, with the least servers that hold it."""
    quantum = group.unit_quantum[unit]
    base = group.group_first[group.part_first[unit]]
    stride = group.width + 1
    slices = group.slices
    members, member_slice, replicas = group.members, group.member_slice, choice.replicas
    for part in range(group.part_first[unit], group.part_first[unit + 1]):
        left = width
        for g in range(group.group_first[part + 1] - 1, group.group_first[part] - 1, -1):
            if work.reach[g - base] < 0:
                continue
            left = min(left, work.reach[g - base])
            at = (g - base) * stride + left
            y = work.pick[at]
            if y == 0:
                continue
            m = work.label[at]
            left -= y * (group.group_quarters[g] // quantum)
            b = members[m]
            replicas[b] = max(y, replicas[b])
            for t in range(slices):
                if member_slice[m] < 0 or member_slice[m] == t:
                    cell = b * slices + t
                    first = group.cell_first[cell]
                    share_cell(
                        first, first + work.earning[cell], group.pair_load, group.capacity * y, work.order, choice.share
                    )
    gpus = max(1, (width * quantum + 3) // 4)
    k0, k1 = group.kind_first[unit], group.kind_first[unit + 1]
    at = group.best_first[unit] + gpus * (k1 - k0)
    for k in range(k0, k1):
        choice.servers[k] = tables.servers[at + k - k0]
