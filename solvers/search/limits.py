"""How long a run of a roll-out may take, and what is known before it begins."""

from dataclasses import dataclass, replace

from solvers.check import violations
from solvers.rollout import Rollout, RolloutSolution, rollout_violations
from solvers.search.run import FIRST_CYCLE
from solvers.search.scale import usual_sweeps
from solvers.solution import Certificate, Placement, cost_usd

QUICK = 40
"""What part of the sweeps a known plan and its prices get at first."""
QUICK_STEP = 0.005
"""Of the bound then: the usual step leaves good prices and takes long to come back."""
QUICK_WORK = 2 * FIRST_CYCLE - 1
"""Rounds of search then: the calm cycles."""


@dataclass(frozen=True)
class Limits:
    """What ends a run, as `solve_rollout_scale` takes it."""

    gap: float
    time_limit_s: float | None
    work: int | None
    seed: int
    sweeps: int | None
    stop: int | None
    polish: int | None
    first_step: float | None = None
    calm: bool = True  # the search from a known plan

    def quick(self, rollout: Rollout) -> "Limits":
        """Few sweeps in small steps, and the calm cycles of search: for a plan and prices that are nearly right."""
        sweeps = max((self.sweeps or usual_sweeps(rollout.periods[0])) // QUICK, 1)
        rounds = QUICK_WORK if self.work is None else min(self.work, QUICK_WORK)
        return replace(self, sweeps=sweeps, work=rounds, first_step=QUICK_STEP)

    def after(self, found: RolloutSolution, seconds: float) -> "Limits":
        """What is left when the quick run took so many seconds."""
        return replace(
            self,
            time_limit_s=None if self.time_limit_s is None else max(self.time_limit_s - seconds, 0.01),
            work=None if self.work is None else max(self.work - found.work, 0),
            stop=None if self.stop is None else max(self.stop - found.sweeps, 1),
            first_step=QUICK_STEP,
            calm=False,
        )


@dataclass(frozen=True)
class Known:
    """What is known before: a plan of every period, and prices of some."""

    plans: tuple[Placement, ...] | None
    prices: tuple[Certificate | None, ...]

    def enough_usd(self, rollout: Rollout, gap: float) -> list[float | None]:
        """The bound of every period at which the plans, as they are, are within the gap; None where they break a rule.

        Sweeps beyond would prove more than is asked.
        """
        if self.plans is None or gap <= 0 or rollout_violations(rollout, self.plans):
            return [None] * len(rollout.periods)
        if any(violations(problem, plan) for problem, plan in zip(rollout.periods, self.plans, strict=True)):
            return [None] * len(rollout.periods)
        found = list[float | None]()
        for problem, plan in zip(rollout.periods, self.plans, strict=True):
            usd = cost_usd(problem, plan)
            found.append(usd - gap * max(usd - problem.constant_usd, 0.0))
        return found
