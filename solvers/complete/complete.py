"""Pins, then jobs, then reserve, then less of all that nothing needs: the same input gives the same plan."""

from dataclasses import dataclass, replace

from solvers.complete.draft import Draft
from solvers.complete.jobs import place_jobs
from solvers.complete.more import serve_more
from solvers.complete.pins import keep_pins
from solvers.complete.prune import drop_idle, remove_servers
from solvers.complete.reflow import reflow
from solvers.complete.reserve import hold_reserve
from solvers.complete.survival import Survival
from solvers.problem import Problem
from solvers.solution import Placement, cost_usd

PATIENCE = (1.0, 1e6)
"""A server for the reserve may cost as much as not serving what it is for; or far more, and moves what is served."""
MANY_PAIRS = 1_000_000
"""A problem of more is given its reserve once only."""
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
    patience = PATIENCE[: 1 if problem.pairs > MANY_PAIRS else None]
    tries = [_reserved(problem, draft.placement(), times) for times in patience]
    plans = [plan for plan, _ in tries if plan is not None]
    if not plans:
        return Completed(None, tries[0][1])
    return Completed(min(plans, key=lambda plan: cost_usd(problem, plan)), before_reserve_usd=before)


def _reserved(problem: Problem, plan: Placement, patience: float) -> tuple[Placement | None, str]:
    """The plan with its reserve, as small as it gets; None and what was in the way."""
    reserve = problem.rules.reserve
    assert reserve is not None
    draft = Draft.of(problem, plan)
    survival = Survival(draft, reserve)
    if message := hold_reserve(draft, survival, patience):
        return None, message
    for _ in range(ROUNDS):
        if not serve_more(draft, survival):
            break
    _shrink(draft, survival)
    return _rerouted(problem, replace(draft.placement(), backup=survival.matrix())), ""


def _shrink(draft: Draft, survival: Survival) -> None:
    """Take away all that the reserve holds without."""
    drop_idle(draft, survival)
    for _ in range(ROUNDS):
        if not remove_servers(draft, survival):
            return
        drop_idle(draft, survival)


def _rerouted(problem: Problem, plan: Placement) -> Placement:
    """The plan with the best shares for what stands, and less of that, as long as it gets cheaper."""
    reserve = problem.rules.reserve
    assert reserve is not None
    for _ in range(ROUNDS):
        routed = reflow(problem, plan)
        if routed is None or cost_usd(problem, routed) >= cost_usd(problem, plan) * (1 - 1e-9):
            return plan
        draft = Draft.of(problem, routed)
        survival = Survival(draft, reserve)
        survival.take(routed.backup)
        _shrink(draft, survival)
        plan = replace(draft.placement(), backup=survival.matrix())
    return plan
