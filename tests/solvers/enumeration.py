"""The optimum of a tiny problem by trying every whole-number plan; it shares nothing with `solvers.exact`.

For every count of servers and every count of replicas that the rules allow, the shares are one small linear program
(scipy), or, single source, one more enumeration. A plan whose fixed cost alone is no better than the best plan so
far is passed over, which loses nothing because shares cost nothing below zero.
"""

import itertools

import numpy as np
from scipy.optimize import Bounds, milp

from solvers.problem import Problem

SLACK = 1e-9


def optimum_usd(problem: Problem) -> float:
    """The least cost in USD a month, inf when no plan keeps the hard rules."""
    best = np.inf
    floor = _flow_floor(problem)
    for fixed, servers, opened in sorted(_server_plans(problem), key=lambda plan: plan[0]):
        if fixed + floor >= best:
            break
        for replicas in _replica_plans(problem, servers):
            paid = fixed + float(problem.each_replica_usd @ np.array(replicas, float))
            flow = _flow(problem, replicas, opened, problem.monthly_budget_usd - paid)
            best = min(best, paid + flow)
    return best


def _counts(most: np.ndarray) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(int(upper) + 1) for upper in most)))


def _flow_floor(problem: Problem) -> float:
    """What the shares cost at least: every row at its cheapest."""
    total = 0.0
    for row in range(problem.demands):
        total += min([problem.unserved_usd[row], *problem.pair_usd[problem.pair_demand == row]])
    return total


def _server_plans(problem: Problem) -> list[tuple[float, tuple[int, ...], tuple[bool, ...]]]:
    """(fixed cost, servers of every offer, open sites) of every stock of servers that rules 7, 8, 10–12 allow."""
    plans = []
    limits = problem.limit_matrix.toarray()
    for servers in _counts(problem.offer_max):
        count = np.array(servers, float)
        opened = tuple(bool(count[problem.offer_site == site].any()) for site in range(problem.sites))
        if (limits @ count > problem.limit_rhs + SLACK).any():
            continue
        fits = True
        for site in range(problem.sites):
            here = problem.offer_site == site
            use = count[here] @ problem.server_use[problem.offer_server[here]]
            fits &= bool((use <= problem.site_limit[site] + SLACK).all())
        if fits:
            fixed = float(problem.open_usd @ np.array(opened, float) + problem.offer_usd @ count)
            plans.append((fixed, servers, opened))
    return plans


def _replica_plans(problem: Problem, servers: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Counts of replicas that equation 6 allows, less those that another one covers in every block."""
    allowed = [replicas for replicas in _counts(problem.block_max) if _fits(problem, servers, replicas)]
    if problem.each_replica_usd.any():
        return allowed
    return [a for a in allowed if not any(a != b and all(x <= y for x, y in zip(a, b, strict=True)) for b in allowed)]


def _fits(problem: Problem, servers: tuple[int, ...], replicas: tuple[int, ...]) -> bool:
    for site in range(problem.sites):
        for gpu in set(problem.shape_gpu.tolist()):
            for size in (1, 8, 16, 32):
                taken = sum(
                    int(problem.shape_quarters[shape]) * count
                    for place, shape, count in zip(problem.block_site, problem.block_shape, replicas, strict=True)
                    if place == site and problem.shape_gpu[shape] == gpu and problem.shape_quarters[shape] >= size
                )
                there = sum(
                    4 * int(problem.server_gpus[server]) * count
                    for place, server, count in zip(problem.offer_site, problem.offer_server, servers, strict=True)
                    if place == site and problem.server_gpu[server] == gpu and 4 * problem.server_gpus[server] >= size
                )
                if taken > there:
                    return False
    used = [int(c) for c, count in zip(problem.block_choice, replicas, strict=True) if c >= 0 and count > 0]
    return len(used) == len(set(used))


def _flow(problem: Problem, replicas: tuple[int, ...], opened: tuple[bool, ...], budget: float) -> float:
    """Cost of the best shares, unserved included; inf when there are none."""
    left, right = _flow_rows(problem, replicas, opened, budget)
    standing = np.array(replicas)[problem.pair_block] > 0
    unserved = np.where(np.isinf(problem.unserved_usd), 0.0, problem.unserved_usd)
    if problem.single_source:
        return _single_source_flow(problem, standing, left, right)
    cost = np.concatenate([problem.pair_usd, unserved])
    upper = np.concatenate([standing * 1.0, np.isfinite(problem.unserved_usd) * 1.0])
    equal = np.zeros((problem.demands, len(cost)))
    equal[problem.pair_demand, np.arange(problem.pairs)] = 1
    equal[np.arange(problem.demands), problem.pairs + np.arange(problem.demands)] = 1
    left = np.hstack([left, np.zeros((len(left), problem.demands))])
    least = np.append(np.full(len(left), -np.inf), np.ones(problem.demands))
    rows = (np.vstack([left, equal]), least, np.append(right, np.ones(problem.demands)))
    found = milp(cost, constraints=rows, bounds=Bounds(0.0, upper))
    return float(found.fun) if found.status == 0 else np.inf


def _flow_rows(
    problem: Problem, replicas: tuple[int, ...], opened: tuple[bool, ...], budget: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rules 4, 9 and 12 on the shares, as left·x ≤ right."""
    left, right = [], []
    number = problem.demand_slice[problem.pair_demand]
    for when in range(problem.slices):
        for block in range(problem.blocks):
            left.append(problem.pair_load * ((problem.pair_block == block) & (number == when)))
            right.append(problem.capacity_factor * replicas[block])
        for site in range(problem.sites):
            here = (problem.pair_site == site) & (number == when)
            for mbps, limit in (
                (problem.out_mbps, problem.uplink_mbps[site]),
                (problem.in_mbps, problem.downlink_mbps[site]),
            ):
                if np.isfinite(limit):
                    left.append(mbps[problem.pair_demand] * here)
                    right.append(limit * opened[site])
    if np.isfinite(budget):
        left.append(problem.pair_usd)
        right.append(budget)
    return np.array(left).reshape(len(left), problem.pairs), np.array(right, float)


def _single_source_flow(problem: Problem, standing: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """The best assignment of every whole row to one standing pair or to none."""
    options = [
        [-1, *np.flatnonzero((problem.pair_demand == row) & standing).tolist()] for row in range(problem.demands)
    ]
    best = np.inf
    for chosen in itertools.product(*options):
        share = np.zeros(problem.pairs)
        share[[pair for pair in chosen if pair >= 0]] = 1
        if (left @ share <= right + SLACK).all():
            missed = sum(problem.unserved_usd[row] for row, pair in enumerate(chosen) if pair < 0)
            best = min(best, float(problem.pair_usd @ share) + float(missed))
    return best
