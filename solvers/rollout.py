"""A plan over periods: one problem for each, and the rows that tie a period to the one before.

    minimise   Σ_h months_h·cost_h / Σ_h months_h            cost_h as in `solvers.problem`
    (10)  s_oh ≥ s_o,h−1                                     offers that stay once they stand (bought servers)
          Σ_{o installed} (s_oh − s_o,h−1)⁺ ≤ installs_h      servers set up in the period
    (12)  Σ_o capex_usd_o·(s_oh − s_o,h−1) ≤ capex_most_h     what is newly bought; s_o,−1 = 0

Stock, export and capex that are cumulative (all that is delivered up to h) are limits of the problem of their period,
so every period by itself is a relaxation: Σ months_h·bound_h / Σ months_h is below every plan.
The offers are the same in every period.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from solvers.problem import Float, Problem, ProblemError
from solvers.solution import Certificate, Placement, Status, cost_usd

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Rollout:
    """H periods in order; a single one is a problem like any other."""

    periods: tuple[Problem, ...]
    months: Float  # H: how long each lasts
    stays: Bool  # O: once it stands it stays
    installed: Bool  # O: counts against `installs`
    capex_usd: Float  # O: what buying one costs at once
    installs: Float  # H: inf where the rule is off
    capex_most: Float  # H

    def __post_init__(self) -> None:
        for problem in self.periods[1:]:
            first = self.periods[0]
            if not (
                np.array_equal(problem.offer_site, first.offer_site)
                and np.array_equal(problem.offer_server, first.offer_server)
            ):
                raise ProblemError("the offers differ between periods")


@dataclass(frozen=True)
class RolloutSolution:
    """The end of a run. `placements` and `certificates` are by period; `placements` is None when there is no plan."""

    status: Status
    placements: tuple[Placement, ...] | None
    objective_usd: float  # NaN without placements
    bound_usd: float  # -inf when nothing is known
    certificates: tuple[Certificate | None, ...] = ()
    work: int = 0
    sweeps: int = 0
    message: str = ""
    goals: tuple["Reached", ...] = field(default=())
    before_reserve_usd: float | None = None  # what the plan cost before its reserve for N-1, where that was a step
    polish: int = 0  # rounds that every plan with a reserve was annealed for
    branchings: int = 0  # rounds of branching that the groups of the certificates had
    among: Rollout | None = None  # the candidates that the placements are of, where they are not of all pairs


@dataclass(frozen=True)
class Reached:
    """What a goal of a lexicographic tuple came to, in its own unit, mean over the periods by their months."""

    name: str
    value: float
    bound: float
    gap: float


def one_period(problem: Problem) -> Rollout:
    """A rollout of a single period without rows of its own."""
    none = np.zeros(problem.offers, np.bool_)
    off = np.array([np.inf])
    return Rollout((problem,), np.ones(1), none, none, np.zeros(problem.offers), off, off)


def rollout_cost_usd(rollout: Rollout, placements: tuple[Placement, ...]) -> float:
    """The objective, USD a month."""
    costs = [cost_usd(problem, plan) for problem, plan in zip(rollout.periods, placements, strict=True)]
    return float(np.asarray(costs) @ rollout.months / rollout.months.sum())


def rollout_violations(rollout: Rollout, placements: tuple[Placement, ...], *, tolerance: float = 1e-9) -> list[str]:
    """What ties the periods and is broken, one line each; the rules within a period are `solvers.check`'s."""
    found = []
    before = np.zeros(len(rollout.stays), np.int64)
    for h, plan in enumerate(placements):
        grown = plan.servers - before
        if (rollout.stays & (grown < 0)).any():
            found.append(f"(10) servers that stay are fewer in period {h}")
        installs = int(np.maximum(grown, 0)[rollout.installed].sum())
        if installs > rollout.installs[h]:
            found.append(f"(10) {installs} installs in period {h}, {rollout.installs[h]:g} allowed")
        spent = float(rollout.capex_usd @ np.maximum(grown, 0))
        if spent > rollout.capex_most[h] * (1 + tolerance):
            found.append(f"(12) {spent:.2f} USD of capex in period {h}, {rollout.capex_most[h]:.2f} allowed")
        before = plan.servers
    return found
