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
from solvers.problem import Figures, Problem

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
    cell_first: Int  # B·T + 1: pairs of (block, slice)
    pair: Int32  # N: pair number of the problem, by (block, slice)
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
    cell_first, pair = _cells(problem)
    structure = Structure(
        unit_first=starts(unit_site, problem.sites),
        unit_quantum=_quantum(problem, block_unit, len(unit_key)),
        unit_gpus=_unit_gpus(problem, unit_site, kinds),
        **kinds,
        **groups,
        block_max=problem.block_max.astype(np.int64),
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


def _cells(problem: Problem) -> tuple[Int, Int32]:
    """Pairs by (block, slice, demand row)."""
    slices = max(problem.slices, 1)
    first = np.zeros(problem.blocks * slices + 1, np.int64)
    pair = np.empty(problem.pairs, np.int32)
    _place(problem.pair_demand, problem.pair_block, problem.demand_slice, slices, first, pair)
    return first, pair


@njit(cache=True, nogil=True)
def _place(pair_demand: Int, pair_block: Int, demand_slice: Int, slices: int, first: Int, pair: Int32) -> None:
    """Sort the pairs by cell, their order kept within one; `first` becomes the cells' bounds."""
    for n in range(len(pair)):
        first[np.int64(pair_block[n]) * slices + demand_slice[pair_demand[n]] + 1] += 1
    for c in range(1, len(first)):
        first[c] += first[c - 1]
    at = first[:-1].copy()
    for n in range(len(pair)):
        c = np.int64(pair_block[n]) * slices + demand_slice[pair_demand[n]]
        pair[at[c]] = n
        at[c] += 1
