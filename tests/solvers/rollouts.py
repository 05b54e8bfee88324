"""Random roll-outs small enough for branch and bound: a tiny problem whose demand grows, with servers that stay."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.rollout import Rollout


def grown(problem: Problem, factor: float) -> Problem:
    """The same problem with `factor` times the demand."""
    return replace(
        problem,
        pair_load=problem.pair_load * factor,
        pair_usd=problem.pair_usd * factor,
        unserved_usd=problem.unserved_usd * factor,
        out_mbps=problem.out_mbps * factor,
        in_mbps=problem.in_mbps * factor,
    )


def random_rollout(seed: int, periods: int = 2) -> Rollout:
    """A random roll-out over a tiny problem: stock that arrives, now and then install and capex limits."""
    draw = np.random.default_rng([seed, 77])
    problem = random_tiny(seed, single_source=False)
    stays = draw.random(problem.offers) < 0.6
    stock = sp.csr_matrix(stays.astype(float)[None, :])
    delivered = np.cumsum(draw.integers(0, 4, periods)).astype(float)
    matrix = sp.vstack([problem.limit_matrix, stock]).tocsr()
    factors = np.cumprod(draw.uniform(0.8, 1.6, periods))
    chain = tuple(
        replace(
            grown(problem, float(factors[h])),
            limit_matrix=matrix,
            limit_rhs=np.append(problem.limit_rhs, delivered[h]),
        )
        for h in range(periods)
    )
    return Rollout(
        chain,
        months=draw.choice([1.0, 3.0, 6.0], periods),
        stays=stays,
        installed=stays | (draw.random(problem.offers) < 0.3),
        capex_usd=np.where(stays, draw.uniform(1, 9, problem.offers).round(1), 0.0),
        installs=np.where(draw.random(periods) < 0.4, draw.integers(1, 4, periods).astype(float), np.inf),
        capex_most=np.where(draw.random(periods) < 0.3, draw.uniform(5, 30, periods).round(0), np.inf),
    )
