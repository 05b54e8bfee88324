"""What the annealing reads and never changes: the problem by demand row, block, unit and site.

A *unit* is a (site, GPU type), numbered site·types + type, as in `solvers.complete.draft`.
"""

from typing import NamedTuple

import numpy as np

from solvers.candidates import alike
from solvers.complete.anneal.near import Int32, Kinds, Near, near_of
from solvers.complete.draft import SIZES, Draft
from solvers.problem import Bool, Float, Index, Int, Problem
from solvers.relax import base_problem
from solvers.rules import Jobs, Reserve

MUST_USD = 1e12
"""What a row that must be served costs unserved, to the annealing."""
ROWS_AT_ONCE = 1024  # demand rows: of tens of millions of pairs, a part at a time
_NONE = np.zeros(0, np.int64)
NO_JOBS = Jobs(0, _NONE, _NONE, _NONE, _NONE, np.zeros((0, 1), np.bool_), np.zeros(0))


class Land(NamedTuple):
    """Read-only arrays of the kernels."""

    row_slice: Int  # I
    row_model: Int  # I
    penalty: Float  # I: unserved_usd, finite
    out_mbps: Float  # I
    in_mbps: Float  # I
    size: Float  # I: the least quarters that the whole row keeps busy
    pair_first: Int  # I + 1
    pair_block: Int32
    pair_load: Float
    pair_usd: Float
    backup_first: Int  # I + 1
    backup_block: Int32
    backup_load: Float
    near_first: Int  # I + 1: pairs by site, as in `Near`
    near_site: Int32
    near_pair: Int32
    near_worse: Bool
    spare_first: Int  # I + 1: the same of backup pairs
    spare_site: Int32
    spare_pair: Int32
    spare_worse: Bool
    block_first: Int  # P + 1
    block_site: Int
    block_unit: Int
    block_quarters: Int
    block_level: Int
    block_choice: Int
    block_slice: Int
    block_most: Int
    block_least: Int
    block_usd: Float
    block_before: Int
    block_move_usd: Float
    units: int
    job_first: Int  # J + 1: options of a job
    option_unit: Int  # A
    option_quarters: Int
    option_levels: Int  # A: sizes that the gang counts for
    option_runs: Bool  # A × T
    option_usd: Float
    offer_first: Int  # U + 1: positions in `offer`
    offer: Int  # offers of a unit, largest servers first
    offer_quarters: Int
    offer_usd: Float
    offer_max: Int
    offer_use: Float  # O × R
    limit_first: Int
    limit_row: Int
    limit_value: Float
    limit_most: Float  # L
    limit_near: Float  # L: room below which the limit may bind some offer
    open_usd: Float
    site_limit: Float  # P × R
    uplink: Float
    downlink: Float
    tight: Bool  # P: whether its links could ever be full
    domain_first: Int  # P + 1: positions in `domain`
    domain: Int
    inside: Bool  # E × P
    losable: Bool  # I: all of its backups are inside one domain
    sizes: Int
    capacity: float
    slices: int
    types: int
    budget_usd: float
    moves_most: float


def land_of(draft: Draft, reserve: Reserve) -> Land:
    """The annealing's view of a problem; pins are kept block by block."""
    problem = draft.problem
    base = base_problem(problem)
    moves = problem.rules.moves
    least, most = _pinned(draft)
    units = problem.sites * draft.types
    first, offers = _unit_offers(draft, units)
    jobs = problem.rules.jobs or NO_JOBS
    runs = np.zeros((jobs.options, draft.slices), np.bool_)
    runs[:, : jobs.option_slices.shape[1]] = jobs.option_slices
    limits = problem.limit_matrix.tocsc()
    slack = 5e-10 * np.maximum(1.0, np.abs(np.where(np.isfinite(problem.limit_rhs), problem.limit_rhs, 1.0)))
    domain_first, domain = _domains(reserve)
    backup_first = np.searchsorted(reserve.pair_demand, np.arange(problem.demands + 1)).astype(np.int64)
    pair_usd = np.ascontiguousarray(base.pair_usd, np.float64)
    near, spare = _near_and_spare(draft, reserve, pair_usd, backup_first, least, most)
    return Land(
        row_slice=problem.demand_slice.astype(np.int64),
        row_model=problem.demand_model.astype(np.int64),
        penalty=np.minimum(problem.unserved_usd, MUST_USD),
        out_mbps=problem.out_mbps.astype(float),
        in_mbps=problem.in_mbps.astype(float),
        size=_sizes(problem, draft.quarters),
        pair_first=draft.pair_first.astype(np.int64),
        pair_block=_narrow(problem.pair_block),
        pair_load=problem.pair_load,
        pair_usd=pair_usd,
        backup_first=backup_first,
        backup_block=_narrow(reserve.pair_block),
        backup_load=reserve.pair_load,
        near_first=near.first,
        near_site=near.site,
        near_pair=near.pair,
        near_worse=near.worse,
        spare_first=spare.first,
        spare_site=spare.site,
        spare_pair=spare.pair,
        spare_worse=spare.worse,
        block_first=np.searchsorted(problem.block_site, np.arange(problem.sites + 1)).astype(np.int64),
        block_site=problem.block_site.astype(np.int64),
        block_unit=draft.block_unit.astype(np.int64),
        block_quarters=draft.quarters.astype(np.int64),
        block_level=draft.level.astype(np.int64),
        block_choice=problem.block_choice.astype(np.int64),
        block_slice=np.asarray(draft.stands, np.int64),
        block_most=most,
        block_least=least,
        block_usd=np.asarray(problem.each_replica_usd, np.float64),
        block_before=np.zeros(problem.blocks, np.int64) if moves is None else moves.before.astype(np.int64),
        block_move_usd=np.zeros(problem.blocks) if moves is None else moves.usd.astype(float),
        units=units,
        job_first=np.searchsorted(jobs.option_job, np.arange(jobs.jobs + 1)).astype(np.int64),
        option_unit=(jobs.option_site * draft.types + jobs.option_gpu).astype(np.int64),
        option_quarters=jobs.option_quarters.astype(np.int64),
        option_levels=np.searchsorted(SIZES, jobs.option_size, side="right").astype(np.int64),
        option_runs=runs,
        option_usd=jobs.option_usd.astype(float),
        offer_first=first,
        offer=offers,
        offer_quarters=draft.offer_quarters.astype(np.int64),
        offer_usd=problem.offer_usd.astype(float),
        offer_max=problem.offer_max.astype(np.int64),
        offer_use=np.ascontiguousarray(draft.offer_use, np.float64),
        limit_first=limits.indptr.astype(np.int64),
        limit_row=limits.indices.astype(np.int64),
        limit_value=limits.data.astype(float),
        limit_most=np.where(np.isfinite(problem.limit_rhs), problem.limit_rhs + slack, np.inf),
        limit_near=_near(problem),
        open_usd=problem.open_usd.astype(float),
        site_limit=np.ascontiguousarray(problem.site_limit * (1 + 5e-10), np.float64),
        uplink=problem.uplink_mbps.astype(float),
        downlink=problem.downlink_mbps.astype(float),
        tight=_tight(problem, reserve),
        domain_first=domain_first,
        domain=domain,
        inside=np.ascontiguousarray(reserve.domain_site),
        losable=_losable(reserve, backup_first, problem.block_site[reserve.pair_block]),
        sizes=SIZES.astype(np.int64),
        capacity=float(problem.capacity_factor),
        slices=int(draft.slices),
        types=int(draft.types),
        budget_usd=float(problem.monthly_budget_usd),
        moves_most=np.inf if moves is None else float(moves.most),
    )


def _near_and_spare(
    draft: Draft, reserve: Reserve, pair_usd: Float, backup_first: Int, least: Int, most: Int
) -> tuple[Near, Near]:
    """Pairs and backup pairs by site."""
    problem = draft.problem
    usd = np.asarray(problem.each_replica_usd, np.float64)
    moves = problem.rules.moves
    if moves is not None:
        usd = usd + np.where(moves.before > 0, 0.0, moves.usd)
    site, choice, stands = (
        np.asarray(each, np.int64) for each in (problem.block_site, problem.block_choice, draft.stands)
    )
    kinds = Kinds(
        site, choice, draft.block_unit.astype(np.int64), draft.quarters.astype(np.int64), stands, most, least, usd
    )
    near = near_of(draft.pair_first.astype(np.int64), _narrow(problem.pair_block), problem.pair_load, pair_usd, kinds)
    same = near if alike(problem) else None
    spare = near_of(backup_first, _narrow(reserve.pair_block), reserve.pair_load, pair_usd[:0], kinds, same)
    return near, spare


def _narrow(block: Index) -> Int32:
    """As large problems have it anyway: for another type every kernel would be compiled once more, for a minute."""
    return block.astype(np.int32, copy=False)


def _near(problem: Problem) -> Float:
    """The most that an offer could draw from each limit, L."""
    drawn = problem.limit_matrix.tocoo()
    most = np.zeros(len(problem.limit_rhs))
    np.maximum.at(most, drawn.row, drawn.data * problem.offer_max[drawn.col])
    return most


def _losable(reserve: Reserve, first: Int, site: Int) -> Bool:
    """Rows all of whose backups some domain takes with it, I; those without any among them."""
    pairs = first[1:] - first[:-1]
    found = pairs == 0
    row = np.repeat(np.arange(len(pairs)), pairs)
    home = site[np.minimum(first[:-1], max(len(site) - 1, 0))] if len(site) else np.zeros(len(pairs), np.int64)
    start, domain = _domains(reserve)
    count = (start[1:] - start[:-1])[home]
    for k in range(int(count.max(initial=0))):  # only domains of the row's first site could take them all
        one = np.append(domain, 0)[np.minimum(start[home] + k, len(domain))]
        all_in = np.bincount(row, reserve.domain_site[one[row], site], minlength=len(pairs)) == pairs
        found |= (k < count) & all_in
    return np.asarray(found, np.bool_)


def _unit_offers(draft: Draft, units: int) -> tuple[Int, Int]:
    """Offers with GPUs by unit, the largest servers first and of those the cheapest."""
    usable = np.flatnonzero((draft.offer_unit >= 0) & (draft.offer_quarters > 0) & (draft.problem.offer_max > 0))
    order = np.lexsort(
        (usable, draft.problem.offer_usd[usable], -draft.offer_quarters[usable], draft.offer_unit[usable])
    )
    offers = usable[order]
    return np.searchsorted(draft.offer_unit[offers], np.arange(units + 1)).astype(np.int64), offers.astype(np.int64)


def _pinned(draft: Draft) -> tuple[Int, Int]:
    """Least and most replicas of every block so that its pins hold whatever the others do."""
    problem = draft.problem
    least, most = np.zeros(problem.blocks, np.int64), draft.most.astype(np.int64).copy()
    pins = problem.rules.pins
    if pins is None:
        return least, most
    for pin in range(len(pins.least)):
        blocks = pins.entry_block[pins.entry_pin == pin]
        if pins.least[pin] > 0:
            least[blocks] = draft.replicas[blocks]
        if most[blocks].sum() > pins.most[pin]:
            most[blocks] = np.minimum(most[blocks], draft.replicas[blocks])
    return least, np.maximum(most, least)


def _sizes(problem: Problem, quarters: Int) -> Float:
    size = np.full(problem.demands, np.inf)
    np.minimum.at(size, problem.pair_demand, problem.pair_load * quarters[problem.pair_block])
    return np.where(np.isfinite(size), size, 0.0)


def _tight(problem: Problem, reserve: Reserve) -> Bool:
    """Sites whose links could not carry all that could ever come, in some slice."""
    slices = max(problem.slices, 1)
    out_mbps, in_mbps = np.zeros((slices, problem.sites)), np.zeros((slices, problem.sites))
    kinds = ((problem.pair_demand, problem.pair_block), (reserve.pair_demand, reserve.pair_block))
    ends = [np.searchsorted(demand, np.arange(problem.demands + 1)) for demand, _ in kinds]
    for first in range(0, problem.demands, ROWS_AT_ONCE):
        last = min(first + ROWS_AT_ONCE, problem.demands)
        there = np.zeros((last - first, problem.sites), np.bool_)
        for (demand, block), end in zip(kinds, ends, strict=True):
            part = slice(end[first], end[last])
            there[demand[part] - first, problem.block_site[block[part]]] = True
        for t in range(slices):
            rows = problem.demand_slice[first:last] == t
            out_mbps[t] += problem.out_mbps[first:last][rows] @ there[rows]
            in_mbps[t] += problem.in_mbps[first:last][rows] @ there[rows]
    found = (out_mbps > problem.uplink_mbps * (1 - 1e-9)) | (in_mbps > problem.downlink_mbps * (1 - 1e-9))
    return np.asarray(found.any(axis=0), np.bool_)


def _domains(reserve: Reserve) -> tuple[Int, Int]:
    """Domains by site."""
    site, domain = np.nonzero(reserve.domain_site.T)
    sites = reserve.domain_site.shape[1]
    return np.searchsorted(site, np.arange(sites + 1)).astype(np.int64), domain.astype(np.int64)
