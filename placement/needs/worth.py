"""What measuring a pair is worth at a plan's prices, USD a month. The formula stands in `placement.needs.pairs`.

scenario, belief ─► the Problem in which every pair is as near as it may be ─► ways, their chances and savings
                    prices and routes of the plan ────────────────────────────► gain and risk of class × site
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from placement.frames import keyed, numbered
from placement.needs.belief import Belief
from placement.needs.classes import Class
from placement.needs.planned import Planned, Prices, Route
from placement.planning import previous_of
from placement.problem import build_rollout
from placement.problem.names import DemandRow, Names
from placement.problem.routes import keyed_by_profile, transfer_ms
from placement.problem.uncertainty import planned_rtt_ms
from placement.scenario import Scenario
from placement.topology.pairs import Pairs, State
from solvers.problem import Problem

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

WHOLE = 1 - 1e-6
"""A row of which the plan serves less has a part left unserved."""
REPLACED_TIMES = 3.0
"""Of what a class pays: the price of not serving one that must be served, which the scenario leaves open."""


@dataclass(frozen=True)
class Worth:
    """C × P, classes by number and sites in the order of the pairs, USD a month: what could be gained by serving the
    class there, and what is at risk since the plan serves it there. `unserved`, C: the plan leaves a part of it."""

    classes: Mapping[Class, int]
    gain_usd: Float
    risk_usd: Float
    unserved: Bool


class _Ways(NamedTuple):
    """Every (demand row, site, shape) that a measurement could allow, N; sites in the order of the pairs.

    `now` is whether the plan may use it as far as is known. `row_usd` is what each demand row pays, I.
    """

    row: Int
    site: Int
    shape: Int
    bearable_ms: Float
    chance: Float
    now: Bool
    row_usd: Float
    saving_usd: Float


def worth(scenario: Scenario, pairs: Pairs, belief: Belief, planned: Planned) -> Worth:
    """The worth of every class × site, the mean over the periods by their months."""
    built = build_rollout(scenario, nearest(pairs, belief), previous=previous_of(scenario))
    classes: dict[Class, int] = {}
    for row in (row for names in built.names for row in names.demands):
        classes.setdefault((row.region, row.model, row.service), len(classes))
    gain_usd, risk_usd = np.zeros((2, len(classes), len(pairs.sites)))
    unserved = np.zeros(len(classes), np.bool_)
    weights = built.rollout.months / built.rollout.months.sum()
    by_period = {prices.period: prices for prices in planned.prices}
    for problem, names, weight in zip(built.rollout.periods, built.names, weights.tolist(), strict=True):
        if names.period not in by_period:
            continue
        prices = by_period[names.period]
        routes = [route for route in planned.routes if route.period == names.period]
        left = _left(names, routes)
        paid_usd = _paid_usd(problem, names, prices, left)
        ways = _ways(scenario, pairs, belief, problem, names, prices, paid_usd)
        number = np.array([classes[row.region, row.model, row.service] for row in names.demands], np.int64)
        unserved[number[left]] = True
        i, p, usd = _gains(ways, problem, names, pairs, routes, prices)
        np.add.at(gain_usd, (number[i], p), weight * usd)
        i, p, usd = _risks(ways, problem, names, routes)
        np.add.at(risk_usd, (number[i], p), weight * usd)
    return Worth(classes, gain_usd, risk_usd, unserved)


def nearest(pairs: Pairs, belief: Belief) -> Pairs:
    """The pairs as near as they may be, with all the bandwidth and nothing lost where that is not known: every route
    that a measurement could allow is one."""
    least_ms = belief.least_ms
    return replace(
        pairs,
        rtt_state=np.full(pairs.rtt_state.shape, State.MEASURED, np.int8),
        rtt_p95_ms=least_ms,
        rtt_lower_ms=least_ms,
        rtt_mid_ms=least_ms,
        rtt_upper_ms=least_ms,
        mbps=np.where(np.isnan(pairs.mbps), np.inf, pairs.mbps),
        loss=np.nan_to_num(pairs.loss),
        jitter_ms=np.nan_to_num(pairs.jitter_ms),
    )


def _ways(
    scenario: Scenario, pairs: Pairs, belief: Belief, problem: Problem, names: Names, prices: Prices, row_usd: Float
) -> _Ways:
    """The ways of a period with the chance of each, and what it saves."""
    site_number, region_number = numbered(pairs.sites), numbered(pairs.regions)
    row = np.asarray(problem.pair_demand, np.int64)
    region = np.array([region_number[row.region] for row in names.demands], np.int64)[row]
    site = np.array([site_number[name] for name in names.sites], np.int64)[problem.pair_site]
    shape = problem.block_shape[problem.pair_block]
    bearable_ms = _bearable_ms(scenario, names, row, shape, pairs.mbps[region, site])
    planned_ms = planned_rtt_ms(pairs, scenario.document.uncertainty.percentile)[region, site]
    with np.errstate(invalid="ignore"):
        now = planned_ms <= bearable_ms
    measured = pairs.rtt_state[region, site] == State.MEASURED
    chance = _sobered(row * len(names.shapes) + shape, measured, now, belief.chance(bearable_ms, region, site))
    return _Ways(row, site, shape, bearable_ms, chance, now, row_usd, _savings(problem, names, prices, row_usd))


def _sobered(kind: Int, measured: Bool, now: Bool, chance: Float) -> Float:
    """The chances, N, less where ways of the same kind (demand row and shape) have disappointed.

    Errors of an inference run in families: a region whose sites proved too far one after the other has a last mile
    that nobody has seen. With m measured ways of a kind, h of them near enough, and c the mean chance of the others,
    m · c were to be expected: (1 + h) / (1 + m · c), at most 1, is the mean of a factor whose prior is exponential.
    """
    kinds = int(kind.max(initial=-1)) + 1
    tried, found = np.bincount(kind, measured, kinds), np.bincount(kind, measured & now, kinds)
    hoped = np.bincount(kind, np.where(measured, 0.0, chance), kinds)
    mean = hoped / np.maximum(np.bincount(kind, ~measured, kinds), 1)
    factor = np.minimum((1 + found) / (1 + tried * mean), 1.0)[kind]
    return np.where(measured | now, chance, chance * factor)


def _left(names: Names, routes: Sequence[Route]) -> Bool:
    """Demand rows of which the plan leaves a part unserved, I."""
    served = dict.fromkeys(_rows(names), 0.0)
    for route in routes:
        if (row := (route.region, route.model, route.service, route.slice)) in served:
            served[row] += route.share
    return np.array([share < WHOLE for share in served.values()], np.bool_)


def _paid_usd(problem: Problem, names: Names, prices: Prices, left: Bool) -> Float:
    """π of every demand row, I: its price, and where a part is left unserved no less than the penalty."""
    priced = np.array([prices.class_usd.get(row, 0.0) for row in _rows(names)], np.float64)
    return np.where(left & np.isfinite(problem.unserved_usd), np.fmax(priced, problem.unserved_usd), priced)


def _rows(names: Names) -> list[tuple[str, str, str, str]]:
    return [(row.region, row.model, row.service, row.slice) for row in names.demands]


def _bearable_ms(scenario: Scenario, names: Names, row: Int, shape: Int, mbps: Float) -> Float:
    """The longest round trip with which (2) still holds, N."""
    services, table = keyed(scenario.table("services"), "service"), keyed_by_profile(scenario)
    found = np.empty(len(row))
    kinds = [demand.service for demand in names.demands]
    for name in sorted(set(kinds)):
        service = services[name]
        ttft_ms = np.array(
            [table.get((d.shape, service["profile"]), {}).get("ttft_p95_ms", np.nan) for d in names.shapes], np.float64
        )
        mine = np.array([kind == name for kind in kinds], np.bool_)[row]
        wire_ms = np.nan_to_num(transfer_ms(scenario, service, mbps[mine]))
        found[mine] = (service["latency_budget_ms"] - ttft_ms[shape[mine]] - wire_ms) / service["round_trips"]
    return found


def _savings(problem: Problem, names: Names, prices: Prices, row_usd: Float) -> Float:
    """π - (1 + ν)·pair_usd - μ·mbps - load·replica, N: what serving the whole row this way saves, before opening."""
    row, block = np.asarray(problem.pair_demand, np.int64), problem.pair_block
    site, slice_ = problem.pair_site, problem.demand_slice[row]
    up, down = (_wires(names, usd)[site, slice_] for usd in (prices.up_usd, prices.down_usd))
    wires = up * problem.out_mbps[row] + down * problem.in_mbps[row]
    replica_usd = _replica_usd(problem, names, prices)[block]
    return row_usd[row] - (1 + prices.budget) * problem.pair_usd - wires - problem.pair_load * replica_usd


def _wires(names: Names, usd: Mapping[tuple[str, str], float]) -> Float:
    return np.array([[usd.get((site, slice_), 0.0) for slice_ in names.slices] for site in names.sites], np.float64)


def _replica_usd(problem: Problem, names: Names, prices: Prices) -> Float:
    """What a replica of every block costs at the prices, by its part of the cheapest server there that holds it, B."""
    limit_usd = np.array([prices.limit_usd.get(name, 0.0) for name in names.limits], np.float64)
    offer_usd = (1 + prices.budget) * problem.offer_usd + problem.limit_matrix.T @ limit_usd
    gpu, quarters = problem.server_gpu[problem.offer_server], 4 * problem.server_gpus[problem.offer_server]
    found = np.full(problem.blocks, np.inf)
    for d, need in enumerate(problem.shape_quarters.tolist()):
        fits = (gpu == problem.shape_gpu[d]) & (quarters >= need)
        cheapest = np.full(problem.sites, np.inf)
        np.minimum.at(cheapest, problem.offer_site[fits], offer_usd[fits] / quarters[fits])
        mine = problem.block_shape == d
        found[mine] = need * cheapest[problem.block_site[mine]]
    return found + (1 + prices.budget) * problem.each_replica_usd


def _gains(
    ways: _Ways, problem: Problem, names: Names, pairs: Pairs, routes: Sequence[Route], prices: Prices
) -> tuple[Int, Int, Float]:
    """The demand row, site and gain of every (row, site) with a way; the least demanding ways are opened first."""
    order = np.lexsort((-ways.bearable_ms, ways.site, ways.row))
    begins = np.diff(ways.row[order] * len(pairs.sites) + ways.site[order], prepend=-1) != 0
    first, group = np.flatnonzero(begins), np.cumsum(begins) - 1
    row, site = ways.row[order[first]], ways.site[order[first]]
    saving = np.maximum(ways.saving_usd[order], 0.0)
    best, gain, likely = np.zeros((3, len(first)))
    np.maximum.at(best, group, np.where(ways.now[order], saving, 0.0))
    rank = np.arange(len(order)) - first[group]
    for k in range(int(rank.max(initial=-1)) + 1):
        at = np.flatnonzero(rank == k)
        mine, chance = group[at], ways.chance[order[at]]
        more = np.maximum(saving[at] - best[mine], 0.0)
        gain[mine] += more * chance
        likely[mine] = np.where(more > 0, chance, likely[mine])
        best[mine] += more
    pays = _opening(
        problem, names, pairs, routes, prices, np.asarray(np.bincount(site, best, len(pairs.sites)), np.float64)
    )
    gain = gain * pays[site]
    return row, site, gain * _still_sought(row, gain, likely)


def _opening(
    problem: Problem, names: Names, pairs: Pairs, routes: Sequence[Route], prices: Prices, could_usd: Float
) -> Float:
    """The part of what a site could save at the very best (`could_usd`) that opening it leaves, P; 1 where it is."""
    used = {route.site for route in routes}
    asked = (0.0 if name in used else usd for name, usd in zip(names.sites, problem.open_usd.tolist(), strict=True))
    fixed = dict(zip(names.sites, asked, strict=True))
    fixed_usd = (1 + prices.budget) * np.array([fixed[name] for name in pairs.sites], np.float64)
    left = np.maximum(could_usd - fixed_usd, 0.0)
    return np.divide(left, could_usd, out=np.zeros_like(left), where=could_usd > 0)


def _still_sought(row: Int, gain: Float, chance: Float) -> Float:
    """The chance that none of the row's sites with a larger gain is near enough, for every (row, site)."""
    order = np.lexsort((-gain, row))
    lost = np.log1p(-np.minimum(chance[order], 1 - 1e-9))
    before = np.cumsum(lost) - lost
    begins = np.diff(row[order], prepend=-1) != 0
    found = np.empty(len(row))
    found[order] = np.exp(before - before[begins][np.cumsum(begins) - 1])
    return found


def _risks(ways: _Ways, problem: Problem, names: Names, routes: Sequence[Route]) -> tuple[Int, Int, Float]:
    """The demand row, site and risk of every part of the plan's routes."""
    used = {route.site for route in routes}
    near = np.flatnonzero(np.array([name in used for name in names.sites], np.bool_)[problem.pair_site])
    places = zip(ways.row[near].tolist(), problem.pair_site[near].tolist(), ways.shape[near].tolist(), strict=True)
    named = ((names.demands[i], names.sites[p], names.shapes[d].shape) for i, p, d in places)
    at = dict(zip(named, near.tolist(), strict=True))
    told = [((DemandRow(r.region, r.model, r.service, r.slice), r.site, r.shape), r.share) for r in routes]
    which = np.array([at[key] for key, _ in told if key in at], np.int64)
    share = np.array([share for key, share in told if key in at], np.float64)
    row = ways.row[which]
    asked = np.where(np.isfinite(problem.unserved_usd), problem.unserved_usd, REPLACED_TIMES * ways.row_usd)[row]
    lost = np.maximum(asked - ways.row_usd[row], 0.0)
    return row, ways.site[which], (1 - ways.chance[which]) * share * lost
