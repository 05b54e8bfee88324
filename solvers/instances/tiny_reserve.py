"""Random problems with failure domains, small enough to enumerate."""

from dataclasses import replace

import numpy as np

from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.rules import Policy, Reserve, Rules


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
