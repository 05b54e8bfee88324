"""The flow in one place: scenario → topology → problem → solution → plan → audit → folder.

Nothing is written that has not passed its audit; the folder appears whole or not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from placement.audit import AuditReport, audit
from placement.plan.build import Solved, build_plan
from placement.plan.document import PlanDocument
from placement.plan.folder import atomic_folder, write_document, write_files
from placement.plan.ledger import cents_below
from placement.problem import build_problem
from placement.scenario import Finding, Scenario
from placement.topology import build_pairs
from solvers.problem import Problem
from solvers.solution import Solution, Status

Method = Literal["auto", "exact", "scale"]

Tell = Callable[[str, float, float, float], None]

EXACT_PAIRS = 4_000  # above this branch and bound adds little: at 20,000 (intercloud-2022) nothing in 75 s
START_WORK = 16  # rounds of search before branch and bound
START_PART = 0.3  # of the time


class LaterRulesError(ValueError):
    """The scenario states rules that this version cannot honour; they are named, never dropped."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(finding.message for finding in findings))
        self.findings = findings


class InfeasibleError(ValueError):
    """No plan satisfies the hard rules."""


class NoPlanError(RuntimeError):
    """The limit was hit before any plan was found."""


class AuditFailedError(RuntimeError):
    """The plan did not pass its audit, so that it was not written."""

    def __init__(self, report: AuditReport) -> None:
        super().__init__("\n".join(f"{v.rule}: {v.subject}: {v.detail}" for v in report.violations))
        self.report = report


@dataclass(frozen=True)
class Request:
    """How to plan: which solver, and when to stop."""

    method: Method = "auto"
    gap: float = 1e-4
    time_limit_s: float | None = None
    work: int | None = None
    sweeps: int | None = None

    def parameters(self, solution: Solution) -> dict[str, Any]:
        """What the plan's provenance records: `work` and `sweeps` as done repeat a run that time cut off."""
        asked = {"method": self.method, "gap": self.gap, "time_limit_s": self.time_limit_s, "work": self.work}
        return asked | {"sweeps": solution.sweeps}


@dataclass(frozen=True)
class Progress:
    """Where a run stands: the stage, and while it solves the plan and the bound so far, USD a month, and net gap."""

    stage: str
    seconds: float
    objective_usd: float | None = None
    bound_usd: float | None = None
    gap: float | None = None


@dataclass(frozen=True)
class Planned:
    """A plan that passed its audit and stands in its folder."""

    document: PlanDocument
    report: AuditReport
    seconds: float


def plan_scenario(
    scenario: Scenario,
    target: Path,
    request: Request,
    *,
    overwrite: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Planned:
    """Plan `scenario` into the folder `target`.

    Raises:
        LaterRulesError: the scenario states rules of a later version.
        InfeasibleError, NoPlanError: there is no plan, or none was found within the limit.
        AuditFailedError: the auditor does not accept the plan.
        placement.plan.folder.PlanExistsError: something stands at `target`.
    """
    if scenario.later:
        raise LaterRulesError(scenario.later)
    start = monotonic()

    def tell(stage: str, objective: float = inf, bound: float = -inf, gap: float = inf) -> None:
        known = (value if isfinite(value) else None for value in (objective, bound, gap))
        progress(Progress(stage, monotonic() - start, *known))

    with atomic_folder(target, replace=overwrite) as folder:
        tell("topology")
        pairs = build_pairs(scenario).pairs
        tell("problem")
        problem, names = build_problem(scenario, pairs)
        tell("solve")
        left_s = None if request.time_limit_s is None else max(1.0, request.time_limit_s - (monotonic() - start))
        solution = solve(problem, request, left_s, scenario.document.seed, tell)
        tell("plan")
        files = build_plan(Solved(scenario, pairs, problem, names, solution), request.parameters(solution))
        write_files(folder, files)
        tell("audit")
        report = audit(folder, scenario, pairs)
        if not report.passed:
            raise AuditFailedError(report)
        bound = report.bound_verified_usd_month
        verified = {
            "bound_verified_usd_month": None if bound is None else cents_below(bound),
            "gap": report.gap_verified,
        }
        document = files.document.model_copy(update=verified)
        write_document(folder, document)
    return Planned(document, report, monotonic() - start)


def solve(problem: Problem, request: Request, time_limit_s: float | None, seed: int, tell: Tell) -> Solution:
    """Run the solver that `request` asks for, or the one that fits the size, and refuse an empty hand.

    The search comes first in either case: its plan starts branch and bound, its multipliers are the certificate.
    """
    from solvers.search import net_gap, solve_scale  # noqa: PLC0415  heavy: ortools, numba

    exact = request.method == "exact" or (request.method == "auto" and problem.pairs <= EXACT_PAIRS)
    began = monotonic()

    def say(stage: str, objective_usd: float, bound_usd: float) -> None:
        tell(stage, objective_usd, bound_usd, net_gap(objective_usd, bound_usd, problem.constant_usd))

    solution = solve_scale(
        problem,
        gap=request.gap,
        time_limit_s=None if time_limit_s is None else time_limit_s * (START_PART if exact else 1.0),
        work=START_WORK if exact else request.work,
        seed=seed,
        stop=request.sweeps,
        progress=lambda p: say("search", p.objective_usd, p.bound_usd),
    )
    if exact:
        say("branch and bound", solution.objective_usd, solution.bound_usd)
        left_s = None if time_limit_s is None else max(1.0, time_limit_s - (monotonic() - began))
        solution = _branch(problem, request.gap, left_s, solution)
    if solution.status is Status.INFEASIBLE:
        raise InfeasibleError(solution.message or "no plan satisfies the hard rules")
    if solution.placement is None:
        raise NoPlanError(solution.message or f"the solver ended with {solution.status} and no plan")
    return solution


def _branch(problem: Problem, gap: float, time_limit_s: float | None, found: Solution) -> Solution:
    """Branch and bound from the plan of the search; the proof that the auditor can check stays that of the search."""
    from solvers.exact import solve_exact  # noqa: PLC0415

    solution = solve_exact(problem, gap=gap, time_limit_s=time_limit_s, start=found.placement)
    bound = max(solution.bound_usd, found.bound_usd)
    return replace(solution, certificate=found.certificate, bound_usd=bound, work=found.work, sweeps=found.sweeps)
