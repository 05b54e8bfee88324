"""What the search reads and never changes: the problem by demand row and site, and the servers' cost tables."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.bound.layout import Layout, Structure, layout_of, starts
from solvers.bound.servers import kind_ceiling
from solvers.problem import Problem
from solvers.search.tables import count_pairs, server_tables, useful_gpus
from solvers.solution import Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

SIZES = np.array([1, 8, 16, 32])
"""Quarters from which the rows of equation 6 count: all, and replicas of at least 2, 4 and 8 GPUs."""


class Ground(NamedTuple):
    """Read-only arrays of the kernels. Those by pair are the problem's own; a row's are sorted by block, so by site.

    A *team* holds the blocks of one model in one part of a unit (`solvers.bound.layout`): a refit gives a model one
    block of a part at a time.
    """

    row_first: Int  # I + 1: pairs of a row
    pair_demand: Int32
    pair_block: Int32
    pair_load: Float
    pair_usd: Float
    item_first: Int  # P + 1: stretch of every site in the lists of the state
    demand_slice: Int32
    demand_model: Int32
    penalty: Float  # I: unserved_usd, finite
    out_mbps: Float
    in_mbps: Float
    block_first: Int  # P + 1
    block_site: Int32
    block_unit: Int
    block_quarters: Int
    block_cap: Int
    block_choice: Int
    block_slice: Int  # the one slice it stands in, -1: all
    replica_usd: Float  # B: of each replica, full or not
    part_first: Int  # U + 1
    team_first: Int  # parts + 1
    member_first: Int
    members: Int
    unit_first: Int
    unit_quantum: Int
    kind_first: Int
    kind_gpus: Int
    offer_first: Int  # by kind: positions in `offers`, cheapest first
    offers: Int
    site_offer: Int  # P + 1
    offer_unit: Int  # -1: no block could use it
    offer_max: Int
    offer_usd: Float
    offer_guide: Float  # with the prices of the limit rows
    offer_quarters: Int
    offer_use: Float  # O × R
    site_limit: Float
    open_usd: Float
    uplink: Float
    downlink: Float
    uplink_usd: Float  # P × T: guiding prices
    downlink_usd: Float
    limit_first: Int  # O + 1
    limit_row: Int
    limit_value: Float
    limit_rhs: Float
    table_first: Int  # U + 1
    table_cost: Float
    table_most: Int
    best_first: Int
    table_count: Int32
    sizes: Int
    capacity: float
    slices: int
    budget_usd: float
    network: bool


@dataclass(frozen=True)
class Sizes:
    """Lengths of the work space."""

    pairs: int  # of a site
    cells: int  # of a site: blocks × slices
    teams: int
    width: int
    table: int
    kinds: int


def ground_of(problem: Problem, multipliers: Multipliers) -> tuple[Ground, Sizes]:
    """The search's view of `problem`; the prices of the limit rows and the network guide it.

    Arrays by pair are the problem's own where they are of the kernels' types. Raises ValueError where only some of the
    blocks of a (site, GPU type) follow the slices.
    """
    layout = layout_of(_without_pairs(problem))
    s = layout.structure
    if len(s.members) > problem.blocks:
        raise ValueError("replicas of one GPU type at a site either all follow the slices or none do")
    slices = max(problem.slices, 1)
    pair_demand, pair_block = _as(problem.pair_demand, np.int32), _as(problem.pair_block, np.int32)
    pair_load, pair_usd = _as(problem.pair_load, np.float64), _as(problem.pair_usd, np.float64)
    demand_slice = _as(problem.demand_slice, np.int32)
    loads, block_pairs = count_pairs(pair_demand, pair_block, pair_load, demand_slice, problem.blocks, slices)
    guide = np.asarray(problem.offer_usd + problem.limit_matrix.T @ multipliers.limit_usd, float)
    tables = server_tables(problem, s, layout.unit_site, useful_gpus(problem, s, loads), guide)
    teams = _teams(problem, layout)
    first_block = np.searchsorted(problem.block_site, np.arange(problem.sites + 1)).astype(np.int64)
    item_first = np.concatenate([[0], np.cumsum(block_pairs)])[first_block].astype(np.int64)
    matrix = problem.limit_matrix.tocsc()
    uplink, downlink = problem.uplink_mbps.astype(float), problem.downlink_mbps.astype(float)
    ground = Ground(
        row_first=np.searchsorted(pair_demand, np.arange(problem.demands + 1, dtype=np.int32)).astype(np.int64),
        pair_demand=pair_demand, pair_block=pair_block, pair_load=pair_load, pair_usd=pair_usd, item_first=item_first,
        demand_slice=demand_slice, demand_model=_as(problem.demand_model, np.int32),
        penalty=finite_penalty(problem), out_mbps=problem.out_mbps.astype(float),
        in_mbps=problem.in_mbps.astype(float),
        block_first=first_block, block_site=problem.block_site.astype(np.int32), block_unit=teams["block_unit"],
        block_quarters=problem.shape_quarters[problem.block_shape].astype(np.int64),
        block_cap=_caps(problem, layout), block_choice=problem.block_choice.astype(np.int64),
        block_slice=_block_slice(problem), replica_usd=problem.each_replica_usd.astype(float),
        part_first=s.part_first,
        team_first=teams["team_first"], member_first=teams["member_first"], members=teams["members"],
        unit_first=s.unit_first, unit_quantum=s.unit_quantum,
        kind_first=s.kind_first, kind_gpus=s.kind_gpus, offer_first=s.offer_first,
        offers=_cheapest_first(s, guide),
        site_offer=np.searchsorted(problem.offer_site, np.arange(problem.sites + 1)).astype(np.int64),
        offer_unit=_offer_units(problem, layout),
        offer_max=problem.offer_max.astype(np.int64), offer_usd=problem.offer_usd.astype(float), offer_guide=guide,
        offer_quarters=4 * problem.server_gpus[problem.offer_server].astype(np.int64),
        offer_use=np.ascontiguousarray(problem.server_use[problem.offer_server], float),
        site_limit=np.ascontiguousarray(problem.site_limit, float), open_usd=problem.open_usd.astype(float),
        uplink=uplink, downlink=downlink,
        uplink_usd=multipliers.uplink_usd, downlink_usd=multipliers.downlink_usd,
        limit_first=matrix.indptr.astype(np.int64), limit_row=matrix.indices.astype(np.int64),
        limit_value=matrix.data.astype(float), limit_rhs=problem.limit_rhs.astype(float),
        table_first=tables.first, table_cost=tables.cost, table_most=tables.most, best_first=tables.count_first,
        table_count=tables.servers, sizes=SIZES.astype(np.int64),
        capacity=float(problem.capacity_factor), slices=slices,
        budget_usd=float(problem.monthly_budget_usd),
        network=bool(np.isfinite(uplink).any() or np.isfinite(downlink).any()),
    )  # fmt: skip
    return ground, _sizes(ground, s)


def _sizes(ground: Ground, s: Structure) -> Sizes:
    gpus = np.diff(ground.table_first) - 1
    return Sizes(
        int(np.diff(ground.item_first).max(initial=0)) + 1,
        int(np.diff(ground.block_first).max(initial=0)) * ground.slices + 2,
        int((np.diff(ground.team_first[s.part_first]) + np.diff(s.part_first)).max(initial=0)),
        int((4 * gpus // s.unit_quantum).max(initial=0)) + 1,
        int(gpus.max(initial=0)) + 2,
        int(np.diff(s.kind_first).max(initial=0)) + 1,
    )


def _without_pairs(problem: Problem) -> Problem:
    """The sites, blocks and offers alone."""
    return replace(
        problem, pair_demand=problem.pair_demand[:0], pair_block=problem.pair_block[:0],
        pair_load=problem.pair_load[:0], pair_usd=problem.pair_usd[:0],
    )  # fmt: skip


def _as(values: NDArray[Any], kind: type[Any]) -> NDArray[Any]:
    """The values in a type of the kernels', the same array where it is of that type."""
    return np.ascontiguousarray(values.astype(kind, copy=False))


def finite_penalty(problem: Problem) -> Float:
    """The price of an unserved row; a row that must be served gets far more than anything can cost."""
    usd = problem.unserved_usd.astype(float)
    must = ~np.isfinite(usd)
    if must.any():
        most = float(usd[~must].max(initial=0.0)) + float(problem.pair_usd.max(initial=0.0))
        most += float(problem.open_usd.max(initial=0.0)) + float(problem.offer_usd.max(initial=0.0)) * 100
        usd[must] = 10 * most + 1.0
    return usd


def _block_slice(problem: Problem) -> Int:
    if problem.block_slice is None:
        return np.full(problem.blocks, -1, np.int64)
    return problem.block_slice.astype(np.int64)


def _cheapest_first(s: Structure, guide: Float) -> Int:
    offers = s.offers.copy()
    for k in range(len(s.offer_first) - 1):
        span = slice(s.offer_first[k], s.offer_first[k + 1])
        offers[span] = s.offers[span][np.argsort(guide[s.offers[span]], kind="stable")]
    return offers


def _teams(problem: Problem, layout: Layout) -> dict[str, Int]:
    types = int(layout.unit_gpu.max(initial=0)) + 1
    gpu = problem.shape_gpu[problem.block_shape]
    key = layout.unit_site * types + layout.unit_gpu
    block_unit = np.searchsorted(key, problem.block_site * types + gpu)
    model = problem.shape_model[problem.block_shape]
    quarters = problem.shape_quarters[problem.block_shape]
    part_first = layout.structure.part_first
    part = part_first[block_unit] + (0 if problem.block_slice is None else np.maximum(problem.block_slice, 0))
    order = np.lexsort((np.arange(problem.blocks), quarters, model, part))
    fresh = np.ones(problem.blocks, bool)
    fresh[1:] = (np.diff(part[order]) != 0) | (np.diff(model[order]) != 0)
    first = np.flatnonzero(fresh)
    return {
        "block_unit": block_unit.astype(np.int64),
        "team_first": starts(part[order][first], int(part_first[-1])),
        "member_first": np.append(first, problem.blocks).astype(np.int64),
        "members": order.astype(np.int64),
    }


def _caps(problem: Problem, layout: Layout) -> Int:
    """block_max, less where the servers large enough for one replica cannot hold so many (equation 6)."""
    s = layout.structure
    quarters = problem.shape_quarters[problem.block_shape]
    types = int(layout.unit_gpu.max(initial=0)) + 1
    key = layout.unit_site * types + layout.unit_gpu
    unit = np.searchsorted(key, problem.block_site * types + problem.shape_gpu[problem.block_shape])
    large = np.zeros((len(layout.unit_site), len(SIZES)), np.int64)
    for u, site in enumerate(layout.unit_site):
        for k in range(s.kind_first[u], s.kind_first[u + 1]):
            for z, size in enumerate(SIZES):
                if 4 * s.kind_gpus[k] >= size:
                    alone = kind_ceiling(s.kind_use[k], problem.site_limit[site], int(s.kind_ceiling[k]))
                    large[u, z] += 4 * s.kind_gpus[k] * alone
    level = np.searchsorted(SIZES, quarters, side="right") - 1
    level = np.where((quarters > 1) & (quarters < 8), 0, level)
    return np.asarray(np.minimum(problem.block_max, large[unit, level] // quarters), np.int64)


def _offer_units(problem: Problem, layout: Layout) -> Int:
    unit = np.full(problem.offers, -1, np.int64)
    s = layout.structure
    kind_unit = np.repeat(np.arange(len(layout.unit_site)), np.diff(s.kind_first))
    unit[s.offers] = np.repeat(kind_unit, np.diff(s.offer_first))
    return unit
