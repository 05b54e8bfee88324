"""The problem without its rules: a relaxation that the bound and the search can carry.

What a rule adds to the cost is never negative, so dropping the rule and its cost can only make a plan cheaper, and a
bound of what is left is a bound of the whole. One cost is kept in part, that of transit by the peak: the highest
counted Mbit/s is at least every slice that is too long to be left out, hence at least any mean of those slices,

    peak_p ≥ Σ_{t: share_t > free_p} share_t·flow_pt / Σ_{t: share_t > free_p} share_t,

which is linear in the shares and goes into `pair_usd`.
"""

from dataclasses import replace

import numpy as np

from solvers.problem import Float, Problem, ProblemError
from solvers.rules import NO_RULES, Rules, Transit


def base_problem(problem: Problem, *, counted: bool = False) -> Problem:
    """`problem` without its rules, itself where it has none; `counted` keeps N-1 and jobs, which the bound can count.

    Raises ProblemError where a rule would pay for being kept (a negative cost): leaving it out would not be a
    relaxation.
    """
    rules = problem.rules
    if not rules.any:
        return problem
    costs = {
        "transit": None if rules.transit is None else rules.transit.usd_per_mbps,
        "moves": None if rules.moves is None else rules.moves.usd,
        "jobs": None if rules.jobs is None else rules.jobs.option_usd,
    }
    for name, usd in costs.items():
        if usd is not None and (usd < 0).any():
            raise ProblemError(f"a cost of {name} is negative, so a bound without them would not hold")
    kept = Rules(reserve=rules.reserve, jobs=rules.jobs) if counted else NO_RULES
    if rules.transit is None:
        return replace(problem, rules=kept)
    return replace(problem, rules=kept, pair_usd=problem.pair_usd + _transit_usd(problem, rules.transit))


def slice_weights(transit: Transit) -> Float:
    """What a slice counts at a site, P × T: its share of the slices that are too long to be left out; else zero."""
    counts = transit.slice_share[None, :] > transit.free[:, None] * (1 + 1e-12)
    share = np.where(counts, transit.slice_share[None, :], 0.0)
    total = share.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(share, total, out=np.zeros_like(share), where=total > 0), np.float64)


def _transit_usd(problem: Problem, transit: Transit) -> Float:
    """The least that a pair adds to the cost of the peak if the whole row is served there, N."""
    price = transit.usd_per_mbps[:, None] * slice_weights(transit)
    slice_ = problem.demand_slice[problem.pair_demand]
    return np.asarray(price[problem.pair_site, slice_] * problem.out_mbps[problem.pair_demand], np.float64)
