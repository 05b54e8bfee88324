"""From what is believed of the pairs to a plan, and what that plan truly costs."""

from dataclasses import dataclass

import numpy as np

from bench.closed_loop.matrices import Bool, Float
from placement.frames import keyed, numbered
from placement.needs.planned import Planned, Route, prices_of
from placement.plan.certificate import certificate_arrays
from placement.problem import Built, build_rollout
from placement.problem.routes import keyed_by_profile
from placement.scenario import Scenario
from placement.solving import Method, Request, solve
from placement.topology.pairs import Pairs
from solvers.problem import Problem
from solvers.solution import Placement, cost_usd

WORK, SWEEPS = 8, 200
"""Rounds of the search and sweeps of the bound for each plan: half a second, and the same on every machine."""


@dataclass(frozen=True)
class Decision:
    """A plan; `bound_usd` is below the cost of every plan of the same pairs."""

    scenario: Scenario
    built: Built
    placement: Placement
    planned: Planned
    believed_usd: float
    bound_usd: float

    @property
    def problem(self) -> Problem:
        return self.built.rollout.periods[0]


def decide(
    scenario: Scenario, pairs: Pairs, work: int = WORK, sweeps: int = SWEEPS, *, exact: bool = False
) -> Decision:
    """The plan of these pairs, by branch and bound if `exact`; the same pairs give the same plan."""
    built = build_rollout(scenario, pairs)
    method: Method = "exact" if exact else "scale"
    request = Request(method=method, gap=1e-4, work=work, sweeps=sweeps, branchings=0)
    found = solve(built, request, None, scenario.document.seed, lambda *_: None)
    assert found.placements is not None  # solve raises where there is no plan
    arrays = certificate_arrays(found.certificates, built.names, built.rollout.periods)
    routes = _routes(built, found.placements[0])
    planned = Planned(() if arrays is None else prices_of(arrays), routes)
    return Decision(scenario, built, found.placements[0], planned, found.objective_usd, found.bound_usd)


def true_cost_usd(decision: Decision, rtt_ms: Float) -> float:
    """What the plan costs in the network as it is: what it serves too late counts as unserved, and costs no less."""
    problem, placement = decision.problem, decision.placement
    late = np.where(_in_time(decision, rtt_ms), 0.0, placement.share)
    lost = late @ problem.unserved_usd[problem.pair_demand]
    return cost_usd(problem, placement) + float(lost)


def _routes(built: Built, placement: Placement) -> tuple[Route, ...]:
    problem, names = built.rollout.periods[0], built.names[0]
    found = []
    for n in np.flatnonzero(placement.share > 0).tolist():
        row, block = names.demands[problem.pair_demand[n]], problem.pair_block[n]
        site, shape = names.sites[problem.block_site[block]], names.shapes[problem.block_shape[block]].shape
        share = float(placement.share[n])
        found.append(Route(row.region, row.model, row.service, row.slice, names.period, site, shape, share))
    return tuple(found)


def _in_time(decision: Decision, rtt_ms: Float) -> Bool:
    """Whether each pair of the problem keeps its budget in the network as it is."""
    problem, names, scenario = decision.problem, decision.built.names[0], decision.scenario
    services, table = keyed(scenario.table("services"), "service"), keyed_by_profile(scenario)
    regions = numbered(tuple(sorted(scenario.table("regions")["region"])))
    region = np.array([regions[row.region] for row in names.demands])[problem.pair_demand]
    budget_ms = np.array([services[row.service]["latency_budget_ms"] for row in names.demands])[problem.pair_demand]
    ttft_ms = np.array([table[d.shape, "chat"]["ttft_p95_ms"] for d in names.shapes])
    planned_ms = rtt_ms[region, problem.pair_site] + ttft_ms[problem.block_shape[problem.pair_block]]
    return np.asarray(planned_ms <= budget_ms, np.bool_)
