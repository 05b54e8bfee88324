"""Rules that the search cannot keep, by name."""

from collections.abc import Iterator

import numpy as np

from solvers.problem import Problem
from solvers.rollout import Rollout


def refused_at_scale(rollout: Rollout) -> tuple[str, ...]:
    """Names of rules that are on and that `solve_rollout_scale` cannot keep, sorted."""
    return tuple(sorted({name for problem in rollout.periods for name in _refused(problem)}))


def _refused(problem: Problem) -> Iterator[str]:
    rules = problem.rules
    if problem.single_source:
        yield "single_source"
    if rules.spread is not None:
        yield "min_share, max_sites"
    if rules.reserve is not None and rules.reserve.policy != "planned":
        yield f"failover = {rules.reserve.policy}"
    if _mixed(problem):
        yield "replicas_follow_slices for some replicas of a GPU type at a site and not for others"
    yield from (total.name for total in rules.totals if np.isfinite(total.most))


def _mixed(problem: Problem) -> bool:
    """Whether blocks of one (site, GPU type) follow the slices and others do not."""
    if problem.block_slice is None:
        return False
    types = int(problem.shape_gpu.max(initial=0)) + 1
    unit = problem.block_site * types + problem.shape_gpu[problem.block_shape]
    follows = problem.block_slice >= 0
    return bool(np.isin(unit[follows], unit[~follows]).any())
