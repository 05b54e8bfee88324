"""Two goals in turn on a tiny roll-out by trying every chain of server plans; nothing of the solvers is used."""

import itertools
from dataclasses import replace

import numpy as np
from enumeration import _flow, _flow_floor, _flow_rows, _replica_plans, _server_plans
from rules_enumeration import _tied
from scipy.linalg import block_diag
from scipy.optimize import linprog

from solvers.problem import Problem
from solvers.rollout import Rollout
from solvers.rules import Total

Plan = tuple[float, tuple[int, ...], tuple[bool, ...]]


def least_total(rollout: Rollout, totals: tuple[Total, ...]) -> float:
    """The least mean of a total over offers, pairs and unserved rows."""
    weights = rollout.months / rollout.months.sum()
    plans = [_server_plans(problem) for problem in rollout.periods]
    values = [
        [_total_of(problem, total, plan) for plan in of_period]
        for problem, total, of_period in zip(rollout.periods, totals, plans, strict=True)
    ]
    return min(
        (
            sum(w * values[h][k] for h, (k, w) in enumerate(zip(chain, weights, strict=True)))
            for chain in _chains(rollout, plans)
        ),
        default=np.inf,
    )


def least_usd(rollout: Rollout, totals: tuple[Total, ...], most: float) -> float:
    """The least mean cost where the mean of the total is `most` at most."""
    weights = rollout.months / rollout.months.sum()
    plans = [_server_plans(problem) for problem in rollout.periods]
    floor = float(weights @ [_flow_floor(problem) for problem in rollout.periods])
    best = np.inf
    fixed = [(float(sum(w * plans[h][k][0] for h, (k, w) in enumerate(zip(c, weights, strict=True)))), c)
             for c in _chains(rollout, plans)]  # fmt: skip
    for usd, chain in sorted(fixed):
        if usd + floor >= best:
            break
        of_period = [plans[h][k] for h, k in enumerate(chain)]
        best = min(best, usd + _joint_flow(rollout, totals, weights, of_period, most))
    return best


def _chains(rollout: Rollout, plans: list[list[Plan]]) -> list[tuple[int, ...]]:
    chains = itertools.product(*(range(len(of_period)) for of_period in plans))
    return [c for c in chains if _tied(rollout, [np.array(plans[h][k][1]) for h, k in enumerate(c)])]


def _total_of(problem: Problem, total: Total, plan: Plan) -> float:
    _, servers, opened = plan
    lost = np.where(np.isinf(problem.unserved_usd), np.inf, _or_zero(total.unserved, problem.demands))
    priced = replace(problem, pair_usd=_or_zero(total.pair, problem.pairs), unserved_usd=lost)
    flows = [_flow(priced, replicas, opened, np.inf) for replicas in _replica_plans(problem, servers)]
    return float(_or_zero(total.offer, problem.offers) @ np.array(servers)) + min(flows, default=np.inf)


def _or_zero(values: np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count) if values is None else values


def _joint_flow(
    rollout: Rollout, totals: tuple[Total, ...], weights: np.ndarray, plans: list[Plan], most: float
) -> float:
    """Cost of the best shares of all periods that keep the total, with as many replicas as the servers hold."""
    left, right, equal, cost, row, upper = [], [], [], [], [], []
    for problem, total, weight, (_, servers, opened) in zip(rollout.periods, totals, weights, plans, strict=True):
        (replicas,) = _replica_plans(problem, servers)  # one block a site: more replicas are never worse
        own, limit = _flow_rows(problem, replicas, opened, np.inf)
        left.append(np.hstack([own, np.zeros((len(own), problem.demands))]))
        right.append(limit)
        sums = np.zeros((problem.demands, problem.pairs))
        sums[problem.pair_demand, np.arange(problem.pairs)] = 1
        equal.append(np.hstack([sums, np.eye(problem.demands)]))
        penalty = np.where(np.isinf(problem.unserved_usd), 0.0, problem.unserved_usd)
        cost.append(weight * np.concatenate([problem.pair_usd, penalty]))
        lost = _or_zero(total.unserved, problem.demands)
        row.append(weight * np.concatenate([_or_zero(total.pair, problem.pairs), lost]))
        upper.append(np.array(replicas)[problem.pair_block] > 0)
        upper.append(np.isfinite(problem.unserved_usd))
        most -= weight * float(_or_zero(total.offer, problem.offers) @ np.array(servers))
    matrix = np.vstack([block_diag(*left), np.concatenate(row)[None, :]])
    bounds = np.column_stack([np.zeros(matrix.shape[1]), np.concatenate(upper) * 1.0])
    rows = block_diag(*equal)
    found = linprog(
        np.concatenate(cost), matrix, np.append(np.concatenate(right), most), rows, np.ones(len(rows)), bounds
    )
    return float(found.fun) if found.status == 0 else np.inf
