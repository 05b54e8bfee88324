"""What is left of every limit beside a plan that stays as it is: the elastic program of a large scenario.

Only the rows that are left unserved, and the sites that they could reach, remain. What those sites serve already is one
demand row for each block and slice, which must be served: its load and its flow. Servers that stand are there at no
cost; only what is new is paid, drawn from stock and counted, so that limits over many sites are reduced by all that
stands, and a gap is one of what there is to decide. Rules beyond the daily ones (N-1, moves, spread, totals) are left
out, jobs and pins at those sites kept; one period is looked at, that with the dearest penalties. The re-solve knows
all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from placement.explain.blocked import Left
from placement.explain.case import Case
from placement.explain.reliefs import Elastics, Relief
from placement.problem import Built, Names
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.rollout import one_period
from solvers.rules import Jobs, Rules
from solvers.solution import Placement

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

MOST_ROWS = 150
"""Blocked rows that are looked at, the dearest first."""

LEFT_OUT = frozenset(("served", "carbon", "moves", "job", "installs"))
"""Kinds of limits that the residual program does not have."""


@dataclass(frozen=True)
class Standing:
    """A period of the plan in the numbers of another problem of the same scenario."""

    servers: Int
    replicas: Int
    share: Float


def residual(case: Case, roomy: Elastics, left: Sequence[Left]) -> Elastics | None:
    """The elastic program of what is `left`; None where nothing of it has a pair."""
    if case.plans is None:
        return None
    h = _dearest(case, left)
    problem = roomy.rollout.periods[h]
    usd = case.built.rollout.periods[h].unserved_usd
    mine = sorted((one for one in left if one.h == h), key=lambda one: (-usd[one.i] * one.share, one.i))
    rows = np.array([one.i for one in mine if not problem.unservable[one.i]][:MOST_ROWS], np.int64)
    if not len(rows):
        return None
    stands = _standing(case.built.rollout.periods[h], case.built.names[h], case.plans[h], roomy, h)
    cut, before_usd = _cut(problem, stands, np.sort(rows), case.plans[h])
    names = roomy.built.names[h]
    wanted = np.where(np.arange(cut.demands) < len(rows), 0.0, 1.0)
    requests = np.where(wanted == 0, 1.0, 0.0)
    requests[: len(rows)] = case.requests[h][np.sort(rows)]
    return Elastics(
        Built(roomy.built.rollout, (names,), roomy.built.goals),
        one_period(cut),
        tuple(_of_period(roomy.reliefs, h, names.period)),
        (wanted,),
        (requests,),
        before_usd,
    )


def _dearest(case: Case, left: Sequence[Left]) -> int:
    usd = np.zeros(len(case.built.names))
    for one in left:
        usd[one.h] += float(case.built.rollout.periods[one.h].unserved_usd[one.i]) * one.share
    return int(np.argmax(usd))


def _of_period(reliefs: Sequence[Relief], h: int, period: str) -> "list[Relief]":
    """The reliefs as they enter a problem of one period; those of another period or of what is left out are gone."""
    found = []
    for relief in reliefs:
        of_period = {"stock": relief.where[-1:], "capex": relief.where, "monthly": relief.where}
        if relief.kind in LEFT_OUT or of_period.get(relief.kind, (period,)) != (period,):
            continue
        rows = tuple(replace(row, period=0) for row in relief.give.rows if row.period == h)
        if rows:
            found.append(replace(relief, give=replace(relief.give, rows=rows)))
    return found


def _standing(problem: Problem, names: Names, plan: Placement, roomy: Elastics, h: int) -> Standing:
    """The plan in the numbers of the roomy problem, which has all that the true one has and more."""
    wide, wide_names = roomy.rollout.periods[h], roomy.built.names[h]
    number = {offer: o for o, offer in enumerate(wide_names.offers)}
    servers = np.zeros(wide.offers, np.int64)
    for o in np.flatnonzero(plan.servers).tolist():
        servers[number[names.offers[o]]] = plan.servers[o]
    block = np.searchsorted(_block_key(wide), _block_key(problem))
    replicas = np.zeros(wide.blocks, np.int64)
    replicas[block] = plan.replicas
    used = np.flatnonzero(plan.share > 0)
    pair = np.searchsorted(
        wide.pair_demand.astype(np.int64) * wide.blocks + wide.pair_block,
        problem.pair_demand[used].astype(np.int64) * wide.blocks + block[problem.pair_block[used]],
    )
    share = np.zeros(wide.pairs)
    share[pair] = plan.share[used]
    return Standing(servers, replicas, share)


def _block_key(problem: Problem) -> Int:
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    place = problem.block_site * (len(problem.shape_gpu) + 1) + problem.block_shape
    return np.asarray(place * (problem.slices + 2) + stands + 1, np.int64)


def _cut(wide: Problem, stands: Standing, rows: Int, plan: Placement) -> tuple[Problem, float]:
    """The residual problem, and what the plan costs in its terms: the rows first, then what stands."""
    problem = base_problem(wide)
    place = np.full(problem.demands, -1)
    place[rows] = np.arange(len(rows))
    mine = place[problem.pair_demand] >= 0
    near = np.zeros(problem.sites, np.bool_)
    near[problem.pair_site[mine]] = True
    kept_block = near[problem.block_site] & (stands.replicas > 0)
    kept_block[problem.pair_block[mine]] = True
    number = np.where(kept_block, np.cumsum(kept_block) - 1, -1)
    offer, standing = _offers(problem, stands, near)
    held = _held(problem, stands.share, mine, number)
    base = len(rows)
    pair_demand = np.concatenate([place[problem.pair_demand[mine]], base + np.arange(len(held.block))])
    pair_block = np.concatenate([number[problem.pair_block[mine]], held.block])
    capacity = np.maximum(problem.block_max, stands.replicas)[kept_block]
    cut = replace(
        problem,
        open_usd=np.where(np.bincount(problem.offer_site, stands.servers, problem.sites) > 0, 0.0, problem.open_usd),
        offer_site=problem.offer_site[offer],
        offer_server=problem.offer_server[offer],
        offer_max=np.where(standing, stands.servers[offer], np.maximum(problem.offer_max - stands.servers, 0)[offer]),
        offer_usd=np.where(standing, 0.0, problem.offer_usd[offer]),
        block_site=problem.block_site[kept_block],
        block_shape=problem.block_shape[kept_block],
        block_max=capacity,
        block_choice=problem.block_choice[kept_block],
        block_slice=None if problem.block_slice is None else problem.block_slice[kept_block],
        demand_model=np.concatenate([problem.demand_model[rows], np.full(len(held.block), -1)]),
        demand_slice=np.concatenate([problem.demand_slice[rows], held.slice]),
        unserved_usd=np.concatenate([problem.unserved_usd[rows], np.full(len(held.block), np.inf)]),
        out_mbps=np.concatenate([problem.out_mbps[rows], held.out_mbps]),
        in_mbps=np.concatenate([problem.in_mbps[rows], held.in_mbps]),
        pair_demand=pair_demand,
        pair_block=pair_block,
        pair_load=np.concatenate([problem.pair_load[mine], held.load]),
        pair_usd=np.concatenate([problem.pair_usd[mine], np.zeros(len(held.block))]),
        limit_matrix=sp.csr_matrix(problem.limit_matrix[:, offer] @ sp.diags(np.where(standing, 0.0, 1.0))),
        limit_rhs=problem.limit_rhs - problem.limit_matrix @ stands.servers,
        monthly_budget_usd=problem.monthly_budget_usd - _standing_usd(problem, stands, mine),
        rules=_kept_rules(wide, near, number, plan),
    )
    before = problem.unserved_usd[rows] @ plan.unserved[rows] + problem.pair_usd[mine] @ stands.share[mine]
    return cut, float(before)


@dataclass(frozen=True)
class _Held:
    """What blocks near the blocked rows serve already, by (block, slice)."""

    block: Int
    slice: Int
    load: Float
    out_mbps: Float
    in_mbps: Float


def _held(problem: Problem, share: Float, mine: Bool, number: Int) -> _Held:
    pair = np.flatnonzero((share > 0) & ~mine & (number[problem.pair_block] >= 0))
    demand = problem.pair_demand[pair]
    slices = max(problem.slices, 1)
    key, at = np.unique(number[problem.pair_block[pair]] * slices + problem.demand_slice[demand], return_inverse=True)

    def summed(value: Float) -> Float:
        return np.asarray(np.bincount(at, value * share[pair], len(key)), np.float64)

    return _Held(
        key // slices,
        key % slices,
        summed(problem.pair_load[pair]),
        summed(problem.out_mbps[demand]),
        summed(problem.in_mbps[demand]),
    )


def _offers(problem: Problem, stands: Standing, near: Bool) -> tuple[Int, Bool]:
    """The offers near the blocked rows by site, twice where servers stand: those first, then what could be new."""
    near_offers = np.flatnonzero(near[problem.offer_site])
    there = near_offers[stands.servers[near_offers] > 0]
    offer = np.concatenate([there, near_offers])
    standing = np.arange(len(offer)) < len(there)
    order = np.argsort(problem.offer_site[offer], kind="stable")
    return offer[order], standing[order]


def _standing_usd(problem: Problem, stands: Standing, mine: Bool) -> float:
    """What a month costs already, the blocked rows left aside."""
    opened = np.bincount(problem.offer_site, stands.servers, problem.sites) > 0
    usd = problem.pair_usd[~mine] @ stands.share[~mine] + problem.offer_usd @ stands.servers
    return float(usd + problem.open_usd[opened].sum())


def _kept_rules(wide: Problem, near: Bool, number: Int, plan: Placement) -> Rules:
    """Jobs where they run, and pins, at the sites that remain."""
    jobs, pins = wide.rules.jobs, wide.rules.pins
    if jobs is not None:
        run = plan.jobs[near[jobs.option_site[plan.jobs]]] if len(plan.jobs) else plan.jobs
        jobs = Jobs(
            len(run),
            np.arange(len(run)),
            jobs.option_site[run],
            jobs.option_gpu[run],
            jobs.option_quarters[run],
            jobs.option_slices[run],
            jobs.option_usd[run],
        )
    if pins is not None:
        entry = number[pins.entry_block] >= 0
        least = np.zeros_like(pins.least)
        here = np.unique(pins.entry_pin[entry])
        least[here] = pins.least[here]
        pins = replace(pins, least=least, entry_pin=pins.entry_pin[entry], entry_block=number[pins.entry_block[entry]])
    return Rules(jobs=jobs if jobs is not None and jobs.jobs else None, pins=pins)
