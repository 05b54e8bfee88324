"""The flow in one place: scenario → topology → problem → solution → plan → audit → folder.

Nothing is written that has not passed its audit; the folder appears whole or not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from time import monotonic

from placement.audit import AuditReport, audit
from placement.pinning import pinned
from placement.plan.build import Solved, build_plan
from placement.plan.document import PlanDocument
from placement.plan.exact import cents_below
from placement.plan.folder import atomic_folder, write_document, write_files
from placement.problem import Previous, build_rollout, read_previous
from placement.scenario import Finding, Scenario
from placement.solving import Request, Tell, reliability_price_usd_month, solve
from placement.topology import build_pairs
from placement.topology.pairs import Pairs


class LaterRulesError(ValueError):
    """The scenario states rules that this version cannot honour; they are named, never dropped."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(finding.message for finding in findings))
        self.findings = findings


class AuditFailedError(RuntimeError):
    """The plan did not pass its audit, so that it was not written."""

    def __init__(self, report: AuditReport) -> None:
        super().__init__("\n".join(f"{v.rule}: {v.subject}: {v.detail}" for v in report.violations))
        self.report = report


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
    """A plan that passed its audit and stands in its folder; with pins in the request, what they add to the cost."""

    document: PlanDocument
    report: AuditReport
    seconds: float
    pins_usd_month: float | None = None


def plan_scenario(
    scenario: Scenario,
    target: Path,
    request: Request,
    *,
    overwrite: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Planned:
    """Plan `scenario`, with the pins of the request, into the folder `target`.

    The price of the pins is the difference to a second run without them, so it is known as well as the gaps of both.

    Raises:
        placement.pinning.PinError: a pin names what the scenario does not know.
        LaterRulesError: the scenario states rules of a later version.
        placement.solving.TooLargeError: it is too large for a rule that only the exact solver honours.
        placement.solving.InfeasibleError, NoPlanError: there is no plan, or none was found within the limit.
        AuditFailedError: the auditor does not accept the plan.
        placement.plan.folder.PlanExistsError: something stands at `target`.
    """
    if scenario.later:
        raise LaterRulesError(scenario.later)
    start = monotonic()
    free, scenario = scenario, pinned(scenario, request.pins) if request.pins else scenario

    def tell(stage: str, objective: float = inf, bound: float = -inf, gap: float = inf) -> None:
        known = (value if isfinite(value) else None for value in (objective, bound, gap))
        progress(Progress(stage, monotonic() - start, *known))

    previous = previous_of(scenario)
    with atomic_folder(target, replace=overwrite) as folder:
        tell("topology")
        pairs = build_pairs(scenario).pairs
        tell("problem")
        built = build_rollout(scenario, pairs, previous=previous)
        left_s = None if request.time_limit_s is None else max(1.0, request.time_limit_s - (monotonic() - start))
        solution = solve(built, request, left_s, scenario.document.seed, tell)
        price = reliability_price_usd_month(built, solution, request, left_s, scenario.document.seed)
        tell("plan")
        solved = Solved(scenario, pairs, built, solution, previous, price)
        files = build_plan(solved, request.parameters(solution))
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
    price_usd = document.objective_usd_month - _least_usd(free, pairs, request, tell) if request.pins else None
    return Planned(document, report, monotonic() - start, price_usd)


def _least_usd(scenario: Scenario, pairs: Pairs, request: Request, tell: Tell) -> float:
    """What the scenario costs when it is planned as `request` asks, USD a month."""
    built = build_rollout(scenario, pairs, previous=previous_of(scenario))
    return solve(built, request, request.time_limit_s, scenario.document.seed, tell).objective_usd


def previous_of(scenario: Scenario) -> Previous | None:
    """The replicas of the plan that moves are counted from; None where the scenario names none."""
    path = scenario.document.stability.previous_plan
    return None if not path else read_previous(scenario.folder / path)
