"""A plan, and the best proof of it that there is time for: prices first, then groups of sites by branching."""

import time
from dataclasses import replace

from solvers.bound.groups.prove import grouped_share, prove_groups
from solvers.problem import Problem
from solvers.search.scale import solve_scale
from solvers.solution import Solution, Status

GROUPED = 0.5
"""Share of the pairs in groups that can be branched whole, from which their proof is worth the time."""
PROOF_PART = 0.6
"""Of the time, for their proof: what branching adds grows for longer than a small plan does."""
USUAL_ROUNDS = 40
"""Of branching, where no time ends it."""


def solve_proved(
    problem: Problem, *, gap: float = 0.0, time_limit_s: float | None = None, work: int | None = None, seed: int = 0
) -> Solution:
    """As `solve_scale`, with groups in the certificate where the sites fall into small ones.

    Raises ValueError for what `solve_scale` refuses.
    """
    began = time.monotonic()
    grouped = grouped_share(problem) >= GROUPED
    part = 1 - PROOF_PART if grouped else 1.0
    limit_s = None if time_limit_s is None else part * time_limit_s
    found = solve_scale(problem, gap=gap, time_limit_s=limit_s, work=work, seed=seed)
    if not grouped or found.placement is None or found.certificate is None:
        return found
    left_s = None if time_limit_s is None else time_limit_s - (time.monotonic() - began)
    enough_usd = found.objective_usd - gap * max(found.objective_usd - problem.constant_usd, 0.0)
    if found.bound_usd >= enough_usd:
        return found
    proved = prove_groups(
        problem, found.certificate, time_limit_s=left_s, work=USUAL_ROUNDS if left_s is None else None,
        upper_usd=enough_usd,
    )  # fmt: skip
    if proved.bound_usd <= found.bound_usd:
        return found
    met = found.objective_usd <= proved.bound_usd + 1e-9 * abs(found.objective_usd)
    status = Status.OPTIMAL if met else found.status
    return replace(found, status=status, bound_usd=proved.bound_usd, certificate=proved.certificate)
