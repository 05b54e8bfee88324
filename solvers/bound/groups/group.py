"""What the kernels read of a group: its structure, costs, servers and cuts; and what a path through the tree allows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.bound.cuts import table_of
from solvers.bound.layout import Layout, Structure, cell_block, every_cell
from solvers.bound.servers import kind_price
from solvers.problem import Problem
from solvers.solution import Cuts

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

CLOSED, FREE, OPEN = 0, 1, 2
"""What a path says of a site."""


class Rounding(NamedTuple):
    """C cuts by their entries; `pair` is a position in the structure's pair order."""

    pair_first: Int  # C + 1
    pair: Int
    pair_usd: Float  # what a price of 1 takes from the pair
    block_first: Int  # C + 1
    block: Int
    block_usd: Float  # what a price of 1 gives to a replica
    net: Float  # C: what a price of 1 adds to a lower bound


class Group(NamedTuple):
    """A group's problem as the kernels read it. P sites, U units, K kinds of server at units, B blocks, I rows."""

    unit_first: Int
    unit_quantum: Int
    unit_gpus: Int
    kind_first: Int
    kind_gpus: Int
    kind_use: Float
    kind_ceiling: Int
    part_first: Int
    group_first: Int
    group_quarters: Int
    member_first: Int
    members: Int
    member_slice: Int
    member_cost: Float
    block_max: Int
    cell_first: Int
    pair: Int32
    pair_demand: Int32
    pair_load: Float
    pair_usd: Float
    price: Float  # I: what a row pays, ≥ 0
    open_usd: Float  # P
    site_limit: Float  # P × R
    replica_usd: Float  # B
    fill: Int  # B: replicas that take everything there is
    block_site: Int  # B
    kind_site: Int  # K
    step_first: Int  # K + 1: positions in `step_usd`
    step_usd: Float  # of 0, 1, … servers of a kind, the cheapest offers first
    table_first: Int  # U + 1: cells of the server tables, one for every count of GPUs
    best_first: Int  # U + 1: the same, times kinds
    capacity: float
    slices: int
    width: int  # the widest DP of a unit
    groups: int  # most choice groups of a unit
    cuts: Rounding


class Box(NamedTuple):
    """What a path allows."""

    open: Int  # P: CLOSED, FREE or OPEN
    servers_least: Int  # K
    servers_most: Int  # K
    replicas_least: Int  # B
    replicas_most: Int  # B


def group_of(layout: Layout, cuts: Cuts) -> Group:
    """A problem (`restrict`) and cuts in its numbering as the kernels read them."""
    problem, s = layout.problem, layout.structure
    kind_unit = np.repeat(np.arange(len(s.unit_quantum)), np.diff(s.kind_first))
    gpus = _useful_gpus(s)
    kinds = np.diff(s.kind_first)
    step_first, step_usd = _steps(problem, s)
    unit_groups = s.group_first[s.part_first]
    return Group(
        s.unit_first,
        s.unit_quantum,
        s.unit_gpus,
        s.kind_first,
        s.kind_gpus,
        s.kind_use,
        s.kind_ceiling,
        s.part_first,
        s.group_first,
        s.group_quarters,
        s.member_first,
        s.members,
        s.member_slice,
        s.member_cost,
        s.block_max,
        every_cell(s, max(problem.slices, 1)),
        s.pair,
        s.pair_demand,
        s.pair_load.astype(float),
        s.pair_usd.astype(float),
        problem.unserved_usd.astype(float),
        problem.open_usd.astype(float),
        np.ascontiguousarray(problem.site_limit, float),
        problem.each_replica_usd.astype(float),
        _fill(problem, s),
        problem.block_site.astype(np.int64),
        layout.unit_site[kind_unit].astype(np.int64),
        step_first,
        step_usd,
        np.concatenate([[0], np.cumsum(gpus + 1)]).astype(np.int64),
        np.concatenate([[0], np.cumsum((gpus + 1) * kinds)]).astype(np.int64),
        float(problem.capacity_factor),
        max(problem.slices, 1),
        int((4 * gpus // s.unit_quantum).max(initial=0)),
        int(np.diff(unit_groups).max(initial=0)),
        rounding_of(layout, cuts),
    )


def rounding_of(layout: Layout, cuts: Cuts) -> Rounding:
    """The cuts' coefficients in the order of the structure."""
    table = table_of(layout, cuts)
    numbers = np.arange(cuts.count + 1)
    return Rounding(
        np.searchsorted(table.entry_cut, numbers).astype(np.int64),
        table.slot_pair[table.entry_slot].astype(np.int64),
        table.entry_weight,
        np.searchsorted(table.reach_cut, numbers).astype(np.int64),
        table.reach_block,
        table.reach_round,
        table.ceiling - table.weight,
    )


def whole_box(group: Group) -> Box:
    """Everything that the problem allows: the root of a tree."""
    return Box(
        np.full(len(group.open_usd), FREE),
        np.zeros(len(group.kind_ceiling), np.int64),
        group.kind_ceiling.copy(),
        np.zeros(len(group.block_max), np.int64),
        np.minimum(group.block_max, _most_replicas(group)),
    )


def _most_replicas(group: Group) -> Int:
    """Replicas of every block that its unit's GPUs could hold."""
    s = group
    most = np.zeros(len(s.block_max), np.int64)
    group_part = np.repeat(np.arange(int(s.part_first[-1])), np.diff(s.group_first))
    part_unit = np.repeat(np.arange(len(s.unit_quantum)), np.diff(s.part_first))
    member_group = np.repeat(np.arange(len(s.group_quarters)), np.diff(s.member_first))
    room = 4 * s.unit_gpus[part_unit[group_part[member_group]]] // s.group_quarters[member_group]
    np.maximum.at(most, s.members, room)
    return most


def _fill(problem: Problem, s: Structure) -> Int:
    """Replicas of every block that carry all of its pairs in every slice."""
    cell = np.repeat(np.arange(len(s.cell_slice)), np.diff(s.cell_first))
    load = np.zeros(problem.blocks)
    np.maximum.at(load, cell_block(s), np.bincount(cell, s.pair_load, minlength=len(s.cell_slice)))
    filled = np.ceil(load / problem.capacity_factor) + 1
    return np.asarray(filled, np.int64)


def _useful_gpus(s: Structure) -> Int:
    """GPUs of every unit beyond which nothing more fits its blocks."""
    most = np.maximum.reduceat(s.block_max[s.members], s.member_first[:-1]) if len(s.members) else s.members
    part = np.repeat(np.arange(int(s.part_first[-1])), np.diff(s.group_first))
    of_part = np.bincount(part, most * s.group_quarters, minlength=int(s.part_first[-1]))
    need = np.maximum.reduceat(of_part, s.part_first[:-1]) if len(s.unit_quantum) else of_part[:0]
    return np.asarray(np.minimum(s.unit_gpus, np.ceil(need / 4)), np.int64)


def _steps(problem: Problem, s: Structure) -> tuple[Int, Float]:
    first = np.concatenate([[0], np.cumsum(s.kind_ceiling + 1)]).astype(np.int64)
    usd = np.zeros(int(first[-1]))
    for k, ceiling in enumerate(s.kind_ceiling):
        offers = s.offers[s.offer_first[k] : s.offer_first[k + 1]]
        order = np.argsort(problem.offer_usd[offers], kind="stable")
        prices = problem.offer_usd[offers][order].astype(float)
        maxima = problem.offer_max[offers][order].astype(np.int64)
        for c in range(1, int(ceiling) + 1):
            usd[first[k] + c] = kind_price(c, prices, maxima, 0, len(offers))
    return first, usd
