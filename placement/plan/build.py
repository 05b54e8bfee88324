"""From a solution in numbers to a plan in names: shares in parts per billion, counts in integers, money to the cent."""

from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from placement.frames import keyed, numbered, records
from placement.plan.certificate import certificate_arrays, shadow_prices
from placement.plan.document import BILLION, PlanDocument, Provenance, Replicas, Servers, Unserved
from placement.plan.folder import ROUTES, PlanFiles
from placement.plan.ledger import Ledger, Left, Route, Standing, cents, exact
from placement.plan.reasons import blocking_rules
from placement.problem import Names, demand_rows
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.problem import Problem
from solvers.solution import Placement, Solution

Int = NDArray[np.int64]


@dataclass(frozen=True)
class Solved:
    """Everything that a plan is told from."""

    scenario: Scenario
    pairs: Pairs
    problem: Problem
    names: Names
    solution: Solution


def build_plan(solved: Solved, parameters: dict[str, Any]) -> PlanFiles:
    """The plan of a solution that has a placement; the verified bound is left for the auditor to fill in."""
    placement = solved.solution.placement
    if placement is None:
        raise ValueError("a solution without a placement makes no plan")
    demand = demand_rows(solved.scenario)
    routed_ppb, left_ppb = parts_per_billion(solved.problem, placement)
    routes = _routes(solved, routed_ppb)
    standing = _standing(solved, placement)
    ledger = Ledger(solved.scenario, demand)
    left = _left(solved, ledger, left_ppb)
    cost = ledger.cost(standing, routes, left)
    bound = solved.solution.bound_usd
    document = PlanDocument(
        schema="nearserve-plan-1",
        scenario=solved.scenario.document.name,
        status="OPTIMAL" if solved.solution.status == "OPTIMAL" else "FEASIBLE",
        objective_usd_month=cost.total,
        bound_claimed_usd_month=float(round(bound, 2)) if np.isfinite(bound) else None,
        bound_verified_usd_month=None,
        gap=None,
        cost=cost,
        latency=ledger.latency(routes),
        served_share=float(ledger.served_share(left)),
        servers=tuple(Servers(site=s.site, server=s.server, count=s.count, new=s.new) for s in standing),
        replicas=_replicas(solved, placement),
        unserved=_unserved(solved, demand, left),
        shadow_prices=shadow_prices(solved.solution, solved.names),
        provenance=Provenance(
            inputs_sha256=dict(solved.scenario.sha256),
            versions={name: version(name) for name in ("nearserve", "numpy", "ortools")},
            parameters=parameters,
            work=solved.solution.work,
            seed=solved.scenario.document.seed,
        ),
    )
    return PlanFiles(document, _routes_table(solved.names, routes), certificate_arrays(solved.solution, solved.names))


def parts_per_billion(problem: Problem, placement: Placement) -> tuple[Int, Int]:
    """Shares of pairs (N) and unserved (I) as integers that sum to 10^9 in every demand row.

    Each is rounded down and the few parts that are missing go to the row's largest entry, so that no share grows by
    more than its row has entries; the solver keeps 10^-6 of capacity free for them.
    """
    share = np.floor(np.clip(placement.share, 0.0, 1.0) * BILLION).astype(np.int64)
    left = np.floor(np.clip(placement.unserved, 0.0, 1.0) * BILLION).astype(np.int64)
    summed = np.bincount(problem.pair_demand, share, problem.demands).astype(np.int64) + left
    missing = BILLION - summed
    largest = np.full(problem.demands, -1, np.int64)
    order = np.lexsort((share, problem.pair_demand))
    largest[problem.pair_demand[order]] = order
    routed = np.flatnonzero(largest >= 0)
    to_left = np.ones(problem.demands, np.bool_)
    to_left[routed] = left[routed] > share[largest[routed]]
    left = left + np.where(to_left, missing, 0)
    rows = np.flatnonzero(~to_left)
    share[largest[rows]] += missing[rows]
    return share, left


def _routes(solved: Solved, routed_ppb: Int) -> list[Route]:
    """Every pair that carries something, with its exact planned latency."""
    problem, names, pairs = solved.problem, solved.names, solved.pairs
    services = keyed(solved.scenario.table("services"), "service")
    ttft = {(row["shape"], row["profile"]): row["ttft_p95_ms"] for row in records(solved.scenario.table("shapes"))}
    region_number, site_number = numbered(pairs.regions), numbered(pairs.sites)
    rtt = pairs.planned_rtt_ms
    routes = []
    for n in np.flatnonzero(routed_ppb):
        i, b = int(problem.pair_demand[n]), problem.pair_block[n]
        site, shape = names.sites[problem.block_site[b]], names.shapes[problem.block_shape[b]]
        service = services[names.demands[i].service]
        place = region_number[names.demands[i].region], site_number[site]
        latency = exact(service["round_trips"]) * exact(rtt[place]) + exact(ttft[shape, service["profile"]])
        if not np.isnan(pairs.mbps[place]):
            latency += 8 * exact(service["kbyte_in"]) / exact(pairs.mbps[place])
        routes.append(Route(i, site, shape, int(routed_ppb[n]), latency))
    return routes


def _standing(solved: Solved, placement: Placement) -> list[Standing]:
    """Servers by (site, server), fleet and new together."""
    counts: dict[tuple[str, str], list[int]] = {}
    for offer, count in zip(solved.names.offers, placement.servers, strict=True):
        if count:
            entry = counts.setdefault((offer.site, offer.server), [0, 0])
            entry[0] += int(count)
            entry[1] += int(count) if offer.new else 0
    return [Standing(site, server, count, new) for (site, server), (count, new) in sorted(counts.items())]


def _replicas(solved: Solved, placement: Placement) -> tuple[Replicas, ...]:
    problem, names = solved.problem, solved.names
    return tuple(
        Replicas(
            site=names.sites[problem.block_site[b]],
            shape=names.shapes[problem.block_shape[b]],
            count=int(placement.replicas[b]),
        )
        for b in np.flatnonzero(placement.replicas)
    )


def _left(solved: Solved, ledger: Ledger, left_ppb: Int) -> list[Left]:
    """Unserved rows with the penalty of the whole row, exact where the service states it."""
    services = keyed(solved.scenario.table("services"), "service")
    left = []
    for i in np.flatnonzero(left_ppb).tolist():
        stated = services[solved.names.demands[i].service]["unserved_usd_per_1000"]
        by_rule = Fraction(float(solved.problem.unserved_usd[i]))
        penalty = by_rule if np.isnan(stated) else exact(stated) * ledger.requests_month(i) / 1000
        left.append(Left(i, int(left_ppb[i]), penalty))
    return left


def _unserved(solved: Solved, demand: pd.DataFrame, left: list[Left]) -> tuple[Unserved, ...]:
    reasons = blocking_rules(solved.scenario, solved.pairs, demand.iloc[[u.demand for u in left]])
    rows = [solved.names.demands[u.demand] for u in left]
    return tuple(
        Unserved(
            region=row.region,
            model=row.model,
            service=row.service,
            slice=row.slice or None,
            share_ppb=u.share_ppb,
            usd_month=cents(Fraction(u.share_ppb, BILLION) * u.penalty_usd),
            reason=reason,
        )
        for u, row, reason in zip(left, rows, reasons, strict=True)
    )


def _routes_table(names: Names, routes: list[Route]) -> pa.Table:
    """routes.parquet: sorted as the demand is; `failure` is null until backup routes are planned."""
    rows = [names.demands[r.demand] for r in routes]
    columns = {
        "region": [row.region for row in rows],
        "model": [row.model for row in rows],
        "service": [row.service for row in rows],
        "slice": [row.slice or None for row in rows],
        "site": [r.site for r in routes],
        "shape": [r.shape for r in routes],
        "failure": [None] * len(routes),
        "share_ppb": [r.share_ppb for r in routes],
    }
    return pa.table(columns, schema=ROUTES)
