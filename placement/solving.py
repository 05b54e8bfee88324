"""Which solver a scenario gets, and in what order they run.

The search comes first wherever it can: its plan starts branch and bound, and its multipliers are the certificate in
either case. Rules that only the exact solver honours are refused by name where the scenario is too large for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from placement.clock import Clock
from placement.interrupting import Interrupted, never, unless_interrupted
from placement.pinning import Pin
from placement.problem import Built
from placement.proving import falls_into_groups, with_groups
from placement.replan import Start, plan_sha256
from solvers.problem import Problem
from solvers.rollout import Rollout, RolloutSolution, rollout_cost_usd, rollout_violations
from solvers.solution import Placement, Status

if TYPE_CHECKING:
    from solvers.search import Progress

Method = Literal["auto", "exact", "scale"]

Tell = Callable[[str, float, float, float], None]

EXACT_PAIRS = 4_000  # above this branch and bound adds little: at 20,000 (intercloud-2022) nothing in 75 s
EXACT_ALONE = 60_000  # pairs up to which branch and bound is tried where the search cannot honour a rule
START_WORK = 16  # rounds of search before branch and bound
START_PART = 0.3  # of the time


class InfeasibleError(ValueError):
    """No plan satisfies the hard rules."""


class NoPlanError(RuntimeError):
    """The limit was hit before any plan was found."""


class TooLargeError(ValueError):
    """Only the exact solver honours some of the rules, which are named, and it was not asked or has too much to do."""

    def __init__(self, rules: tuple[str, ...], pairs: int) -> None:
        named = ", ".join(rules)
        super().__init__(
            f"the search cannot honour {named}; branch and bound can, and {pairs:,} admissible pairs are much for it"
        )
        self.rules = rules


@dataclass(frozen=True)
class Request:
    """How to plan: which solver, and when to stop."""

    method: Method = "auto"
    gap: float = 1e-4
    time_limit_s: float | None = None
    work: int | None = None
    sweeps: int | None = None
    polish: int | None = None
    branchings: int | None = None
    pins: tuple[Pin, ...] = ()
    start: Path | None = None  # a plan to begin with

    def parameters(self, solution: RolloutSolution) -> dict[str, Any]:
        """What the plan's provenance records: rounds and sweeps as done repeat a timed run."""
        asked = {"method": self.method, "gap": self.gap, "time_limit_s": self.time_limit_s, "work": self.work}
        pins = {"pins": [str(pin) for pin in self.pins]} if self.pins else {}
        start = {} if self.start is None else {"start_sha256": plan_sha256(self.start)}
        done = {"sweeps": solution.sweeps, "polish": solution.polish, "branchings": solution.branchings}
        return asked | done | pins | start


def solve(
    built: Built,
    request: Request,
    time_limit_s: float | None,
    seed: int,
    tell: Tell,
    *,
    interrupted: Interrupted = never,
    start: Start | None = None,
    narrow: bool = False,
) -> RolloutSolution:
    """Run the solver that `request` asks for, or the one that fits the size and the rules.

    Once `interrupted` says so, the best plan found by then is the answer. `start` is a plan to begin with. With
    `narrow` the plan may be one `among` candidates: of a hundred million pairs, shares of all take more than they say.

    Raises:
        TooLargeError: a rule that only the exact solver honours, and more pairs than it can carry.
        InfeasibleError, NoPlanError: there is no plan, or none was found within the limit.
    """
    from solvers.search.proved import PROOF_PART  # noqa: PLC0415  heavy: numba

    if nowhere := jobs_nowhere(built):
        raise InfeasibleError(
            f"(15) no way to run {', '.join(nowhere)}: no site that could hold the gang may take its data and has them "
            "there in time for its window"
        )
    refused, exact = refused_rules(built), exact_for(built, request)
    if refused and not exact:
        raise TooLargeError(refused, _pairs(built))
    groups = request.branchings != 0 and falls_into_groups(built)
    clock = Clock(monotonic(), time_limit_s)
    run = _Run(built, request, clock, seed, tell, interrupted, start, PROOF_PART if groups else 0.0)
    found = run.search(bare=bool(refused), exact=exact, narrow=narrow and not exact and not groups)
    if exact:
        tell("branch and bound", found.objective_usd if not refused else inf, found.bound_usd, inf)
        found = run.branch(found)
    if found.status is Status.INFEASIBLE:
        raise InfeasibleError(found.message or "no plan satisfies the hard rules")
    if found.placements is None:
        said = found.message or f"the solver ended with {found.status} and no plan"
        raise NoPlanError(said if interrupted() else f"{said}; give more --time-limit")
    if not groups or interrupted():
        return found
    tell("groups", found.objective_usd, found.bound_usd, inf)
    return with_groups(built, found, request.gap, request.branchings, clock, interrupted)


def jobs_nowhere(built: Built) -> list[str]:
    """Jobs that have not one option, by name: no plan satisfies them."""
    found = []
    for problem, names in zip(built.rollout.periods, built.names, strict=True):
        if problem.rules.jobs is not None:
            ways = np.bincount(problem.rules.jobs.option_job, minlength=problem.rules.jobs.jobs)
            found += [names.jobs[job] for job in np.flatnonzero(ways == 0).tolist()]
    return found


def exact_for(built: Built, request: Request) -> bool:
    """Whether branch and bound solves it."""
    if request.method != "auto":
        return request.method == "exact"
    free = (EXACT_ALONE if refused_rules(built) else EXACT_PAIRS) - _pairs(built)
    # Counted only where they may decide: thousands of domains, each against millions of pairs, take an hour.
    return free >= 0 and sum(_backup_pairs(problem) for problem in built.rollout.periods) <= free


def refused_rules(built: Built) -> tuple[str, ...]:
    """Rules that are on and that only the exact solver honours, by name."""
    from solvers.search.refused import refused_at_scale  # noqa: PLC0415  heavy: numba

    goals = tuple(goal.name for goal in built.goals)
    several = () if goals == ("cost",) else (f"goals {', '.join(goals)}",)
    return refused_at_scale(built.rollout) + several


def _pairs(built: Built) -> int:
    return sum(problem.pairs for problem in built.rollout.periods)


def _backup_pairs(problem: Problem) -> int:
    """Backup shares that branch and bound would decide about: those of every demand for every domain it may lose."""
    reserve = problem.rules.reserve
    if reserve is None:
        return 0
    backups = np.bincount(reserve.pair_demand, minlength=problem.demands)
    site = problem.pair_site
    return sum(int(backups[np.unique(problem.pair_demand[inside[site]])].sum()) for inside in reserve.domain_site)


def _bare(rollout: Rollout) -> Rollout:
    """Without the rules beyond the daily ones: a relaxation, whose bound and certificate hold for the whole."""
    from solvers.relax import base_problem  # noqa: PLC0415

    return replace(rollout, periods=tuple(base_problem(problem) for problem in rollout.periods))


@dataclass(frozen=True)
class _Run:
    """What is solved, in which time, and who is told."""

    built: Built
    request: Request
    clock: Clock
    seed: int
    tell: Tell
    interrupted: Interrupted
    start: Start | None
    kept_part: float  # of the time, for a better proof at the end

    def search(self, *, bare: bool, exact: bool, narrow: bool) -> RolloutSolution:
        """A plan and a certificate; `bare` of the rules that the search cannot keep, a first one before `exact`."""
        from solvers.search import net_gap  # noqa: PLC0415
        from solvers.search.rollout import solve_rollout_scale  # noqa: PLC0415

        rollout = _bare(self.built.rollout) if bare else self.built.rollout
        constants = [problem.constant_usd for problem in rollout.periods]
        constant_usd = float(np.asarray(constants) @ rollout.months / rollout.months.sum())

        def say(now: "Progress") -> None:
            gap = net_gap(now.objective_usd, now.bound_usd, constant_usd)
            self.tell(now.stage, now.objective_usd, now.bound_usd, gap)

        return solve_rollout_scale(
            rollout,
            gap=self.request.gap,
            time_limit_s=self.clock.part_s(START_PART if exact else 1.0 - self.kept_part),
            work=START_WORK if exact else self.request.work,
            seed=self.seed,
            stop=self.request.sweeps,
            polish=self.request.polish,
            start=None if self.start is None else self.start.whole_plans,
            prices=None if self.start is None else self.start.prices,
            progress=say,
            interrupted=self.interrupted,
            narrow=narrow,
        )

    def branch(self, found: RolloutSolution) -> RolloutSolution:
        """Branch and bound from the plan of the search, whose certificate stays the proof that the auditor checks."""
        from solvers.exact.quiet import speak_past_chatter  # noqa: PLC0415

        rollout = self.built.rollout
        start = found.placements if _keeps(rollout, found.placements) else None
        # a plan of the search knows the cost alone: with goals it is no answer
        instead = start if len(self.built.goals) == 1 else None
        solution = unless_interrupted(self.interrupted, lambda: self._branched(start))
        if solution is None:
            speak_past_chatter()
            status = Status.LIMIT if instead is None else Status.FEASIBLE
            return replace(found, status=status, placements=instead, message="interrupted before any plan was found")
        bound = max(solution.bound_usd, found.bound_usd)
        return replace(solution, certificates=found.certificates, bound_usd=bound, work=found.work, sweeps=found.sweeps)

    def _branched(self, start: tuple[Placement, ...] | None) -> RolloutSolution:
        from solvers.exact.rollout import solve_rollout_exact  # noqa: PLC0415
        from solvers.goals import Goal, solve_goals  # noqa: PLC0415

        rollout, gap, left_s = self.built.rollout, self.request.gap, self.clock.part_s(1.0 - self.kept_part)
        if len(self.built.goals) == 1:
            return solve_rollout_exact(rollout, gap=gap, time_limit_s=left_s, start=start)
        goals = [Goal(goal.name, goal.totals, goal.gap) for goal in self.built.goals]
        return solve_goals(rollout, goals, gap=gap, time_limit_s=left_s, start=start)


def _keeps(rollout: Rollout, placements: tuple[Placement, ...] | None) -> bool:
    """Whether a plan of the search keeps every rule, so that branch and bound may begin with it."""
    from solvers.check import violations  # noqa: PLC0415

    if placements is None or rollout_violations(rollout, placements):
        return False
    return not any(violations(p, plan) for p, plan in zip(rollout.periods, placements, strict=True))


def prices_reliability(built: Built, request: Request) -> bool:
    """Whether what N-1 adds to the cost takes a second run: branch and bound does not know what went before."""
    return _reserved(built) and exact_for(built, request)


def reliability_price_usd_month(
    built: Built,
    solution: RolloutSolution,
    request: Request,
    time_limit_s: float | None,
    seed: int,
    interrupted: Interrupted = never,
) -> float | None:
    """What N-1 adds to the cost: against the same scenario without it, solved the same way; None where that is off.

    The search knows what its plan cost before it added the reserve; branch and bound solves once more.
    """
    if not _reserved(built) or solution.placements is None:
        return None
    cost = rollout_cost_usd(solution.among or built.rollout, solution.placements)
    if solution.before_reserve_usd is not None:
        return cost - solution.before_reserve_usd
    periods = tuple(replace(p, rules=replace(p.rules, reserve=None)) for p in built.rollout.periods)
    without = replace(built, rollout=replace(built.rollout, periods=periods))
    free = solve(without, request, time_limit_s, seed, lambda *_: None, interrupted=interrupted)
    return cost - free.objective_usd if isfinite(free.objective_usd) and not interrupted() else None


def _reserved(built: Built) -> bool:
    return any(problem.rules.reserve is not None for problem in built.rollout.periods)
