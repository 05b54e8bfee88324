"""Random problems with failure domains and random roll-outs, small enough to enumerate."""

from dataclasses import replace

import numpy as np

from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.rollout import Rollout
from solvers.rules import Policy, Reserve, Rules


def random_rollout(seed: int, *, periods: int = 2) -> Rollout:
    """A random roll-out; the same seed gives the same one.

    Demand grows or shrinks, prices and limits change from period to period. Some servers stay, some count as
    installs, installs and capex are sometimes limited. A few seeds are infeasible.
    """
    draw = np.random.default_rng([seed, 1])
    first = random_tiny(seed, single_source=False)
    problems = [first]
    for _ in range(1, periods):
        growth = float(draw.uniform(0.4, 2.0))
        problems.append(
            replace(
                first,
                pair_load=(first.pair_load * growth).round(3),
                pair_usd=(first.pair_usd * draw.uniform(0.5, 1.5)).round(2),
                unserved_usd=(first.unserved_usd * growth).round(1),
                offer_usd=(first.offer_usd * draw.uniform(0.7, 1.2)).round(2),
                limit_rhs=(first.limit_rhs * draw.uniform(0.8, 1.6)).round(1),
            )
        )
    counts = draw.integers(0, 4, periods).astype(np.float64)
    capex = draw.integers(1, 6, first.offers).astype(np.float64)
    return Rollout(
        tuple(problems),
        draw.integers(1, 7, periods).astype(np.float64),
        draw.random(first.offers) < 0.6,
        draw.random(first.offers) < 0.7,
        np.where(draw.random(first.offers) < 0.8, capex, 0.0),
        np.where(draw.random(periods) < 0.5, counts, np.inf),
        np.where(draw.random(periods) < 0.4, draw.integers(0, 15, periods), np.inf),
    )


def random_reserve(seed: int, *, policy: Policy = "planned", disjoint: bool | None = None) -> Problem:
    """A random problem of two sites or more with failure domains; the same seed gives the same one.

    Backup pairs are most of the pairs and some besides, as a looser budget allows. Domains overlap now and then,
    unless `disjoint` says otherwise.
    """
    draw = np.random.default_rng([seed, 2])
    problem = next(p for p in (random_tiny(seed + 10_000 * k, single_source=False) for k in range(100)) if p.sites > 1)
    apart = bool(draw.random() < 0.6) if disjoint is None else disjoint
    domains = int(draw.integers(1, 4))
    if apart:
        domain_site = draw.integers(0, domains + 1, problem.sites)[None, :] == np.arange(domains)[:, None]
    else:
        domain_site = draw.random((domains, problem.sites)) < 0.4
    fits = problem.shape_model[problem.block_shape][None, :] == problem.demand_model[:, None]
    load = draw.uniform(0.05, 1.2, fits.shape).round(3)
    primary = np.zeros(fits.shape, np.bool_)
    primary[problem.pair_demand, problem.pair_block] = True
    load[problem.pair_demand, problem.pair_block] = problem.pair_load
    kept = fits & (draw.random(fits.shape) < np.where(primary, 0.85, 0.5))
    pair_demand, pair_block = np.nonzero(kept)
    reserve = Reserve(
        domain_site,
        pair_demand.astype(np.int64),
        pair_block.astype(np.int64),
        load[pair_demand, pair_block],
        policy,
    )
    return replace(problem, rules=Rules(reserve=reserve))
