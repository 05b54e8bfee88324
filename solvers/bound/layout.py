"""The arrays of a problem in the order in which a site is priced: site → unit → part → group → block → slice → pair.

A *unit* is a (site, GPU type). It has one *part*, or one for every slice where its replicas follow the slices: each
part packs the same GPUs anew. A *choice group* holds the blocks of a part that exclude each other and take the same
quarter GPUs (blocks of one choice that differ in GPU type or size fall into several groups, which relaxes the choice).
A block that stands in all slices beside others that follow them is a member of every part, which relaxes it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.servers import kind_ceiling
from solvers.problem import Figures, Index, Problem

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

GPU_CEILING = 1 << 20
MANY_PAIRS = 4_000_000
"""From here on loads and costs are kept in four bytes."""


class Structure(NamedTuple):
    """Index arrays that the kernels share; `x_first[j]:x_first[j + 1]` are the children of j."""

    unit_first: Int  # P + 1: units of a site
    unit_quantum: Int  # U: gcd of the quarters of its blocks
    unit_gpus: Int  # U: most GPUs that fit
    kind_first: Int  # U + 1: server kinds of a unit
    kind_gpus: Int
    kind_use: Float  # kinds × R
    kind_ceiling: Int
    offer_first: Int  # kinds + 1: positions in `offers`
    offers: Int  # offer numbers of the problem, by kind
    part_first: Int  # U + 1
    group_first: Int  # parts + 1
    group_quarters: Int
    member_first: Int  # groups + 1: positions in `members`
    members: Int  # block numbers of the problem, by group
    member_slice: Int  # the one slice a member is priced in here, -1: all
    member_cost: Float  # part of a replica's price that a member bears: 1, or 1/T where it has a copy in every part
    block_max: Int  # B
    block_cell: Int  # B + 1: cells of a block; a cell is a (block, slice) that has pairs
    cell_slice: Int32  # C, rising within a block
    cell_first: Int  # C + 1: pairs of a cell
    pair: Int32  # N: pair number of the problem, by cell, then demand row
    pair_demand: Int32  # N, in that order
    pair_load: Float  # N; of many pairs in four bytes each, as `pair_usd`
    pair_usd: Float  # N


@dataclass(frozen=True)
class Layout:
    """A problem with its `Structure`; `unit_site` and `unit_gpu` name the units."""

    problem: Problem
    structure: Structure
    unit_site: Int
    unit_gpu: Int


def starts(keys: Int, count: int) -> Int:
    """First positions of 0..count-1 in the sorted `keys`, with the end: count + 1."""
    return np.searchsorted(keys, np.arange(count + 1)).astype(np.int64)


def layout_of(problem: Problem) -> Layout:
    """Sort the problem's arrays once; 24 bytes a pair, 16 where there are many (`MANY_PAIRS`)."""
    types = int(max(problem.shape_gpu.max(initial=-1), problem.server_gpu.max(initial=-1))) + 1
    block_unit_key = problem.block_site * types + problem.shape_gpu[problem.block_shape]
    unit_key = np.unique(block_unit_key)
    unit_site, unit_gpu = unit_key // max(types, 1), unit_key % max(types, 1)
    block_unit = np.searchsorted(unit_key, block_unit_key)
    kinds = _kinds(problem, unit_key, types)
    groups = _groups(problem, block_unit, len(unit_key))
    block_cell, cell_slice, cell_first, pair = _cells(problem)
    structure = Structure(
        unit_first=starts(unit_site, problem.sites),
        unit_quantum=_quantum(problem, block_unit, len(unit_key)),
        unit_gpus=_unit_gpus(problem, unit_site, kinds),
        **kinds,
        **groups,
        block_max=problem.block_max.astype(np.int64),
        block_cell=block_cell,
        cell_slice=cell_slice,
        cell_first=cell_first,
        pair=pair,
        pair_demand=problem.pair_demand[pair].astype(np.int32, copy=False),
        pair_load=_kept(problem.pair_load, pair),
        pair_usd=_kept(problem.pair_usd, pair),
    )
    return Layout(problem, structure, unit_site, unit_gpu)


def _kinds(problem: Problem, unit_key: Int, types: int) -> dict[str, Any]:
    """Server kinds of every unit and their offers, offers that no block could use left out."""
    offer_key = problem.offer_site * types + problem.server_gpu[problem.offer_server]
    unit = np.searchsorted(unit_key, offer_key)
    known = (unit < len(unit_key)) & (problem.server_gpu[problem.offer_server] >= 0)
    known[known] = unit_key[unit[known]] == offer_key[known]
    order = np.lexsort((np.arange(problem.offers), problem.offer_server, unit))
    order = order[known[order]]
    servers = len(problem.server_gpu)
    kind_key, kind_at = np.unique(unit[order] * servers + problem.offer_server[order], return_inverse=True)
    kind_unit, kind_server = kind_key // max(servers, 1), kind_key % max(servers, 1)
    use = problem.server_use[kind_server]
    offered = np.bincount(kind_at, problem.offer_max[order].astype(float), minlength=len(kind_key)).astype(np.int64)
    site = unit_key[kind_unit] // max(types, 1)
    ceiling = np.array(
        [kind_ceiling(use[k], problem.site_limit[site[k]], int(offered[k])) for k in range(len(kind_key))], np.int64
    )
    return {
        "kind_first": starts(kind_unit, len(unit_key)),
        "kind_gpus": problem.server_gpus[kind_server].astype(np.int64),
        "kind_use": np.ascontiguousarray(use, float),
        "kind_ceiling": ceiling,
        "offer_first": starts(kind_at, len(kind_key)),
        "offers": order.astype(np.int64),
    }


def _unit_gpus(problem: Problem, unit_site: Int, kinds: dict[str, Any]) -> Int:
    """An upper bound of the GPUs of each unit: the best single resource's fractional filling."""
    first, gpus = kinds["kind_first"], kinds["kind_gpus"]
    use, ceiling = kinds["kind_use"], kinds["kind_ceiling"]
    most = np.zeros(len(unit_site), np.int64)
    for u, site in enumerate(unit_site):
        ks = slice(int(first[u]), int(first[u + 1]))
        total = float((gpus[ks] * ceiling[ks]).sum())
        for r, limit in enumerate(problem.site_limit[site]):
            if np.isfinite(limit) and total > 0 and (use[ks, r] > 0).all():
                total = min(total, float(np.floor(limit * (1 + 1e-9) * (gpus[ks] / use[ks, r]).max() + 1e-9)))
        most[u] = min(int(total), GPU_CEILING)
    return most


def _quantum(problem: Problem, block_unit: Int, units: int) -> Int:
    quantum = np.zeros(units, np.int64)
    np.gcd.at(quantum, block_unit, problem.shape_quarters[problem.block_shape])
    return np.maximum(quantum, 1)


def _groups(problem: Problem, block_unit: Int, units: int) -> dict[str, Any]:
    slices = max(problem.slices, 1)
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    follows = np.bincount(block_unit, stands >= 0, minlength=units) > 0
    part_first = np.concatenate([[0], np.cumsum(np.where(follows, slices, 1))]).astype(np.int64)
    copies = np.where(follows[block_unit] & (stands < 0), slices, 1)
    block = np.repeat(np.arange(problem.blocks), copies)
    turn = np.arange(len(block)) - np.repeat(np.cumsum(copies) - copies, copies)
    slice_ = np.where(follows[block_unit[block]], np.where(stands[block] < 0, turn, stands[block]), -1)
    part = part_first[block_unit[block]] + np.maximum(slice_, 0)
    quarters = problem.shape_quarters[problem.block_shape][block]
    free = problem.block_choice < 0
    choice = np.where(free, problem.block_choice.max(initial=0) + 1 + np.arange(problem.blocks), problem.block_choice)
    order = np.lexsort((block, choice[block], quarters, part))
    keys = np.stack([part[order], quarters[order], choice[block[order]]])
    fresh = np.ones(len(block), bool)
    fresh[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    first = np.flatnonzero(fresh)
    return {
        "part_first": part_first,
        "group_first": starts(keys[0, first], int(part_first[-1])),
        "group_quarters": keys[1, first].astype(np.int64),
        "member_first": np.append(first, len(block)).astype(np.int64),
        "members": block[order].astype(np.int64),
        "member_slice": slice_[order].astype(np.int64),
        "member_cost": 1.0 / copies[block[order]],
    }


def _kept(values: Figures, pair: Int32) -> Any:
    """Values in the structure's order; those of many pairs in four bytes, rounded down, so that bounds stay bounds."""
    ordered = values[pair]
    if len(pair) < MANY_PAIRS or values.dtype == np.float32:
        return ordered
    short = ordered.astype(np.float32)
    above = short > ordered
    short[above] = np.nextafter(short[above], np.float32(-np.inf))
    return short


def _cells(problem: Problem) -> tuple[Int, Int32, Int, Int32]:
    """Pairs by (block, slice, demand row), and where those of a block and of a slice begin.

    Only cells that have pairs are held: failures are slices of their own, and a block has pairs in few of them.
    """
    pair = np.empty(problem.pairs, np.int32)
    rows = np.argsort(problem.demand_slice, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(problem.pair_block, minlength=problem.blocks))])
    slice_ = problem.demand_slice.astype(np.int32)
    _place(rows, problem.row_first, problem.pair_block, first[:-1].copy(), pair)
    block_cell = np.zeros(problem.blocks + 1, np.int64)
    count = _count_cells(first, pair, problem.pair_demand, slice_, block_cell)
    cell_slice, cell_first = np.empty(count, np.int32), np.empty(count + 1, np.int64)
    _mark_cells(first, pair, problem.pair_demand, slice_, cell_slice, cell_first)
    return block_cell, cell_slice, cell_first, pair


@njit(cache=True, nogil=True)
def _place(rows: Int, row_first: Int, pair_block: Index, at: Int, pair: Int32) -> None:
    """Write the pairs of `rows`, in this order, behind those that are at their block already."""
    for i in rows:
        for n in range(row_first[i], row_first[i + 1]):
            b = pair_block[n]
            pair[at[b]] = n
            at[b] += 1


@njit(cache=True, nogil=True)
def _count_cells(first: Int, pair: Int32, pair_demand: Index, demand_slice: Int32, block_cell: Int) -> int:
    """Write where the cells of every block begin; how many there are."""
    for b in range(len(first) - 1):
        block_cell[b + 1] = block_cell[b]
        last = -1
        for n in range(first[b], first[b + 1]):
            t = demand_slice[pair_demand[pair[n]]]
            if t != last:
                block_cell[b + 1] += 1
                last = t
    return int(block_cell[-1])


@njit(cache=True, nogil=True)
def _mark_cells(
    first: Int, pair: Int32, pair_demand: Index, demand_slice: Int32, cell_slice: Int32, cell_first: Int
) -> None:
    """Write the slice and the first pair of every cell, and the end."""
    c = 0
    for b in range(len(first) - 1):
        last = -1
        for n in range(first[b], first[b + 1]):
            t = demand_slice[pair_demand[pair[n]]]
            if t != last:
                cell_slice[c], cell_first[c] = t, n
                c += 1
                last = t
    cell_first[c] = len(pair)


@njit(cache=True, nogil=True)
def cell_of(s: Structure, block: int, slice_: int) -> int:
    """The cell of a block in a slice, -1 where it has no pairs there."""
    low, end = s.block_cell[block], s.block_cell[block + 1]
    high = end
    while low < high:
        middle = (low + high) // 2
        if s.cell_slice[middle] < slice_:
            low = middle + 1
        else:
            high = middle
    return low if low < end and s.cell_slice[low] == slice_ else -1


def cell_block(s: Structure) -> Int:
    """The block of every cell, C."""
    return np.repeat(np.arange(len(s.block_cell) - 1), np.diff(s.block_cell))


def every_cell(s: Structure, slices: int) -> Int:
    """First pairs of all (block, slice), those without any as well: B·T + 1."""
    count = np.zeros((len(s.block_cell) - 1) * slices, np.int64)
    count[cell_block(s) * slices + s.cell_slice] = np.diff(s.cell_first)
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
