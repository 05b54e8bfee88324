"""What at least G GPUs of one type cost at one site, and with which servers: a table a unit, made once a search."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.layout import Structure
from solvers.bound.servers import enumerate_costs, kind_price
from solvers.problem import Index, Problem

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]


class ServerTables(NamedTuple):
    """`cost[first[u] + G]` is the least USD of at least G GPUs of unit u, inf where none fit."""

    first: Int  # U + 1
    cost: Float
    most: Int  # U: the largest G that fits
    count_first: Int  # U + 1
    servers: Int32  # of every kind, behind each cost


def useful_gpus(problem: Problem, s: Structure, loads: Float) -> Int:
    """GPUs that the blocks of every unit can fill, U; `loads` (B × T) is all that each block could be asked for."""
    units = len(s.unit_quantum)
    if not units:
        return np.zeros(0, np.int64)
    busy = np.ceil(loads.max(axis=1, initial=0) / problem.capacity_factor) + 1
    filled = np.minimum(problem.block_max, busy)
    group_most = np.maximum.reduceat(filled[s.members], s.member_first[:-1])
    group_part = np.repeat(np.arange(int(s.part_first[-1])), np.diff(s.group_first))
    part_need = np.bincount(group_part, group_most * s.group_quarters, minlength=int(s.part_first[-1]))
    need = np.maximum.reduceat(part_need, s.part_first[:-1])
    return np.asarray(np.minimum(s.unit_gpus, np.ceil(need / 4)), np.int64)


def server_tables(problem: Problem, s: Structure, unit_site: Int, gpus: Int, offer_usd: Float) -> ServerTables:
    """The tables of all units up to `gpus` (U), at the prices `offer_usd` (O)."""
    kinds = np.diff(s.kind_first)
    first = np.concatenate([[0], np.cumsum(gpus + 1)]).astype(np.int64)
    count_first = np.concatenate([[0], np.cumsum((gpus + 1) * kinds)]).astype(np.int64)
    tables = ServerTables(
        first, np.full(first[-1], np.inf), np.full(len(gpus), -1, np.int64), count_first,
        np.zeros(count_first[-1], np.int32),
    )  # fmt: skip
    limit = np.ascontiguousarray(problem.site_limit, float)
    _fill(s, tables, unit_site, limit, problem.offer_max.astype(np.int64), offer_usd)
    return tables


@njit(cache=True, nogil=True)
def _fill(s: Structure, tables: ServerTables, unit_site: Int, limit: Float, offer_max: Int, offer_usd: Float) -> None:
    for unit in range(len(unit_site)):
        k0, k1 = s.kind_first[unit], s.kind_first[unit + 1]
        kinds = k1 - k0
        step_first = np.zeros(kinds + 1, np.int64)
        for k in range(kinds):
            step_first[k + 1] = step_first[k] + s.kind_ceiling[k0 + k] + 1
        steps = np.zeros(step_first[kinds])
        for k in range(kinds):
            offers = s.offers[s.offer_first[k0 + k] : s.offer_first[k0 + k + 1]]
            order = np.argsort(offer_usd[offers], kind="mergesort")
            usd, most = offer_usd[offers][order], offer_max[offers][order]
            for c in range(1, s.kind_ceiling[k0 + k] + 1):
                steps[step_first[k] + c] = kind_price(c, usd, most, 0, len(offers))
        t0, t1 = tables.first[unit], tables.first[unit + 1]
        best = np.zeros((t1 - t0, max(kinds, 1)), np.int64)
        tables.most[unit] = enumerate_costs(
            s.kind_gpus[k0:k1], s.kind_use[k0:k1], s.kind_ceiling[k0:k1], limit[unit_site[unit]], steps, step_first,
            tables.cost[t0:t1], best,
        )  # fmt: skip
        at = tables.count_first[unit]
        for g in range(t1 - t0):
            for k in range(kinds):
                tables.servers[at + g * kinds + k] = best[g, k]


@njit(cache=True, nogil=True)
def count_pairs(
    demand: Index, block: Index, load: Float, demand_slice: Index, blocks: int, slices: int
) -> tuple[Float, Int]:
    """(load of all pairs of every block and slice, B × T; pairs of every block, B), without an array a pair."""
    loads, pairs = np.zeros((blocks, slices)), np.zeros(blocks, np.int64)
    for n in range(len(block)):
        loads[block[n], demand_slice[demand[n]]] += load[n]
        pairs[block[n]] += 1
    return loads, pairs
