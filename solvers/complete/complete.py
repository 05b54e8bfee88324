"""Pins, then jobs, then a reserve; a plan that has one can be annealed. The same input gives the same plan."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from solvers.complete.draft import Draft
from solvers.complete.jobs import place_jobs
from solvers.complete.pins import keep_pins
from solvers.complete.prune import drop_idle
from solvers.problem import Problem
from solvers.solution import Placement, cost_usd

if TYPE_CHECKING:
    from solvers.complete.anneal.annealing import Annealing


@dataclass(frozen=True)
class Effort:
    """How long a plan with a reserve is made cheaper: for so many rounds, and no longer than `until`.

    `until` is by the monotonic clock; None for `rounds`: as many as there is time for.
    """

    rounds: int | None = 0
    least: int = 0  # rounds that are done however late it is
    until: float = np.inf
    seed: int = 0
    told: int | None = None  # rounds that cycles are fitted to; None: whatever comes
    interrupted: Callable[[], bool] = lambda: False

    def spent(self, rounds: int) -> bool:
        """Whether a run that has done so many rounds ends here."""
        if self.rounds is not None and rounds >= self.rounds:
            return True
        return (rounds >= self.least and time.monotonic() >= self.until) or self.interrupted()


@dataclass(frozen=True)
class Completed:
    """A plan that keeps pins, jobs and N-1, or what was in the way; `before_reserve_usd`: without the reserve."""

    plan: Placement | None
    message: str = ""
    before_reserve_usd: float | None = None


def complete(problem: Problem, base: Placement) -> Completed:
    """Make `base`, a plan of the problem without its rules or with its jobs, keep pins, jobs and N-1 as planned.

    What fails is said in `message`; the rest of the rules is the caller's to check.
    """
    rules = problem.rules
    if rules.pins is None and rules.jobs is None and rules.reserve is None and rules.moves is None:
        return Completed(base)
    draft = Draft.of(problem, base) if len(base.jobs) else Draft(problem, base)
    if rules.pins is not None or rules.jobs is not None or rules.reserve is not None:
        drop_idle(draft)
    message = keep_pins(draft) or place_jobs(draft)
    if message:
        return Completed(None, message)
    if rules.reserve is None:
        return Completed(draft.placement())
    return _reserved(problem, draft)


def _reserved(problem: Problem, draft: Draft) -> Completed:
    """The plan with a reserve: the cheaper of one around its primaries and one from nothing."""
    annealing = _annealing(draft, 0)
    annealing.begin()
    plan = annealing.placement()
    lost = np.flatnonzero((plan.unserved > 0) & np.isinf(problem.unserved_usd))
    if len(lost):
        return Completed(None, f"(13) row {lost[0]} must be served, and no plan was found that does so with a reserve")
    return Completed(plan, before_reserve_usd=cost_usd(problem, draft.placement()))


def annealed(problem: Problem, plan: Placement, effort: Effort) -> tuple[Placement, int]:
    """A plan with a reserve made cheaper, jobs and all; and the rounds that it took."""
    annealing = _annealing(Draft.of(problem, plan), effort.seed)
    annealing.go_on_from(plan)
    annealing.anneal(effort.spent, effort.told)
    return annealing.placement(), annealing.rounds


def _annealing(draft: Draft, seed: int) -> "Annealing":
    from solvers.complete.anneal.annealing import Annealing  # noqa: PLC0415  heavy: numba

    assert draft.problem.rules.reserve is not None
    return Annealing(draft, draft.problem.rules.reserve, seed)
