"""Optima of tiny roll-outs and of tiny problems with failure domains by trying every whole-number plan.

Nothing of `solvers.exact` is used; what decides within one period is `enumeration`'s.
"""

import itertools
from functools import cache

import numpy as np
from enumeration import _flow, _flow_floor, _flow_rows, _replica_plans, _server_plans
from scipy.optimize import linprog

from solvers.problem import Problem
from solvers.rollout import Rollout
from solvers.rules import Reserve

SLACK = 1e-9


def rollout_optimum_usd(rollout: Rollout) -> float:
    """The least mean cost of all the chains of server plans that the ties allow; inf when there is none."""
    weights = rollout.months / rollout.months.sum()
    floors = [_flow_floor(problem) for problem in rollout.periods]
    plans = [sorted(_server_plans(problem)) for problem in rollout.periods]

    @cache
    def usd(h: int, k: int) -> float:
        """Cost of period h with its k-th server plan."""
        problem, (fixed, servers, opened) = rollout.periods[h], plans[h][k]
        budget = problem.monthly_budget_usd - fixed
        flows = [_flow(problem, replicas, opened, budget) for replicas in _replica_plans(problem, servers)]
        return fixed + min(flows, default=np.inf)

    chains = []
    for chain in itertools.product(*(range(len(of_period)) for of_period in plans)):
        servers = [np.array(plans[h][k][1]) for h, k in enumerate(chain)]
        if _tied(rollout, servers):
            least = sum(w * (plans[h][k][0] + floors[h]) for h, (k, w) in enumerate(zip(chain, weights, strict=True)))
            chains.append((least, chain))
    best = np.inf
    for least, chain in sorted(chains):
        if least >= best:
            break
        best = min(best, sum(w * usd(h, k) for h, (k, w) in enumerate(zip(chain, weights, strict=True))))
    return float(best)


def _tied(rollout: Rollout, servers: list[np.ndarray]) -> bool:
    before = np.zeros(len(rollout.stays), int)
    for h, now in enumerate(servers):
        more = np.clip(now - before, 0, None)
        if (now < before)[rollout.stays].any() or more[rollout.installed].sum() > rollout.installs[h]:
            return False
        if more @ rollout.capex_usd > rollout.capex_most[h] + SLACK:
            return False
        before = now
    return True


def reserve_optimum_usd(problem: Problem) -> float:
    """The least cost under planned N-1, or under priority for every order of preference of every row."""
    reserve = problem.rules.reserve
    assert reserve is not None
    best, floor = np.inf, _flow_floor(problem)
    for fixed, servers, opened in sorted(_server_plans(problem), key=lambda plan: plan[0]):
        if fixed + floor >= best:
            break
        for replicas in _replica_plans(problem, servers):
            for allowed in _choices(problem, reserve):
                flow = _reserved_flow(problem, reserve, replicas, opened, problem.monthly_budget_usd - fixed, allowed)
                best = min(best, fixed + flow)
    return float(best)


def _choices(problem: Problem, reserve: Reserve) -> list[np.ndarray]:
    """Which backup pairs may be used in which domain, E × Z: one matrix under planned failover, one per orders."""
    site = problem.block_site[reserve.pair_block]
    outside = ~reserve.domain_site[:, site]
    if reserve.policy == "planned":
        return [outside]
    found = []
    rows = [np.flatnonzero(reserve.pair_demand == row).tolist() for row in range(problem.demands)]
    for orders in itertools.product(*(itertools.permutations(pairs) for pairs in rows)):
        allowed = np.zeros_like(outside)
        for e, order in itertools.product(range(reserve.domains), orders):
            first = next((pair for pair in order if outside[e, pair]), None)
            if first is not None:
                allowed[e, first] = True
        found.append(allowed)
    return list({matrix.tobytes(): matrix for matrix in found}.values())


def _reserved_flow(
    problem: Problem,
    reserve: Reserve,
    replicas: tuple[int, ...],
    opened: tuple[bool, ...],
    budget: float,
    allowed: np.ndarray,
) -> float:
    """Cost of the best x, u and z for given replicas, by one dense linear program; inf when there is none."""
    n, i, e_count, z = problem.pairs, problem.demands, reserve.domains, reserve.pairs
    columns = n + i + e_count * z
    primary, right = _flow_rows(problem, replicas, opened, budget)
    left = [np.concatenate([row, np.zeros(columns - n)]) for row in primary]
    bound = right.tolist()
    equal, one = [], []
    for row in range(i):
        line = np.zeros(columns)
        line[:n][problem.pair_demand == row] = 1
        line[n + row] = 1
        equal.append(line)
        one.append(1.0)
    site = problem.block_site[reserve.pair_block]
    for e in range(e_count):
        down, first = reserve.domain_site[e], n + i + e * z
        for row in range(i):
            helpers = (reserve.pair_demand == row) & ~down[site]
            if helpers.any():
                line = np.zeros(columns)
                line[:n][(problem.pair_demand == row) & down[problem.pair_site]] = -1
                line[first : first + z][helpers] = 1
                equal.append(line)
                one.append(0.0)
        for when in range(problem.slices):
            now = problem.demand_slice[problem.pair_demand] == when
            then = problem.demand_slice[reserve.pair_demand] == when
            for block in np.flatnonzero(~down[problem.block_site]):
                line = np.zeros(columns)
                line[:n] = problem.pair_load * ((problem.pair_block == block) & now)
                line[first : first + z] = reserve.pair_load * ((reserve.pair_block == block) & then)
                left.append(line)
                bound.append(problem.capacity_factor * replicas[block])
            for place in np.flatnonzero(~down):
                for mbps, limit in (
                    (problem.out_mbps, problem.uplink_mbps[place]),
                    (problem.in_mbps, problem.downlink_mbps[place]),
                ):
                    if np.isfinite(limit):
                        line = np.zeros(columns)
                        line[:n] = mbps[problem.pair_demand] * ((problem.pair_site == place) & now)
                        line[first : first + z] = mbps[reserve.pair_demand] * ((site == place) & then)
                        left.append(line)
                        bound.append(limit * opened[place])
    standing = np.array(replicas)
    upper = np.concatenate(
        [
            (standing[problem.pair_block] > 0) * 1.0,
            np.isfinite(problem.unserved_usd) * 1.0,
            ((standing[reserve.pair_block] > 0)[None, :] & allowed).reshape(-1) * 1.0,
        ]
    )
    penalty = np.where(np.isinf(problem.unserved_usd), 0.0, problem.unserved_usd)
    cost = np.concatenate([problem.pair_usd, penalty, np.zeros(e_count * z)])
    found = linprog(
        cost,
        np.array(left).reshape(len(left), columns),
        np.array(bound, float),
        np.array(equal),
        np.array(one),
        np.column_stack([np.zeros(columns), upper]),
    )
    return float(found.fun) if found.status == 0 else np.inf
