"""Pins, then jobs, then reserve, then less of all that nothing needs: the same input gives the same plan."""

from dataclasses import dataclass

from solvers.complete.draft import Draft
from solvers.complete.jobs import place_jobs
from solvers.complete.pins import keep_pins
from solvers.complete.prune import drop_idle, remove_servers
from solvers.complete.reserve import hold_reserve
from solvers.complete.survival import Survival
from solvers.problem import Problem
from solvers.solution import Placement, cost_usd

ROUNDS = 4
"""Times that all servers are looked at again after some have gone."""


@dataclass(frozen=True)
class Completed:
    """A plan that keeps pins, jobs and N-1, or what was in the way; `before_reserve_usd`: without the reserve."""

    plan: Placement | None
    message: str = ""
    before_reserve_usd: float | None = None


def complete(problem: Problem, base: Placement) -> Completed:
    """Make `base`, a plan of the problem without its rules, keep pins, jobs and N-1 (planned failover).

    What fails is said in `message`; the rest of the rules is the caller's to check.
    """
    rules = problem.rules
    if rules.pins is None and rules.jobs is None and rules.reserve is None and rules.moves is None:
        return Completed(base)
    draft = Draft(problem, base)
    if rules.pins is not None or rules.jobs is not None or rules.reserve is not None:
        drop_idle(draft, None)
    message = keep_pins(draft) or place_jobs(draft)
    if message:
        return Completed(None, message)
    if rules.reserve is None:
        return Completed(draft.placement())
    before = cost_usd(problem, draft.placement())
    survival = Survival(draft, rules.reserve)
    message = hold_reserve(draft, survival)
    if message:
        return Completed(None, message)
    drop_idle(draft, survival)
    for _ in range(ROUNDS):
        if not remove_servers(draft, survival):
            break
        drop_idle(draft, survival)
    draft.backup = survival.matrix()
    return Completed(draft.placement(), before_reserve_usd=before)
