"""The flow in one place: scenario → topology → problem → solution → plan → audit → folder.

Nothing is written that has not passed its audit; the folder appears whole or not at all.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, isfinite
from pathlib import Path
from subprocess import CalledProcessError
from time import monotonic

from placement.audit import AuditReport, audit
from placement.clock import Clock
from placement.compiling import are_compiled, compile_kernels
from placement.interrupting import Interrupted, never
from placement.pinning import pinned
from placement.plan.build import Solved, build_plan
from placement.plan.document import PlanDocument
from placement.plan.exact import cents_below
from placement.plan.folder import atomic_folder, write_document, write_files
from placement.problem import Previous, build_rollout, read_previous
from placement.replan import read_start
from placement.scenario import Finding, Scenario
from placement.solving import NoPlanError, Request, prices_reliability, reliability_price_usd_month, solve
from placement.topology import build_pairs
from placement.topology.pairs import Pairs
from solvers.memory import give_back

LEAST_SEARCH_S = 1.0
"""What the search gets where the time limit leaves it less."""
CLOSING_S = 0.3
CLOSING_OF_PROBLEM = 7.0
"""The plan in names and its audit took 1 to 6 times the seconds of building the problem, up to 17 million pairs."""


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
    """A plan that passed its audit and stands in its folder.

    `pins_usd_month` is what pins in the request add to the cost, where there was time to find out. `needed_s` is what
    all but the search took, where the time limit was too short even for that.
    """

    document: PlanDocument
    report: AuditReport
    seconds: float
    pins_usd_month: float | None = None
    interrupted: bool = False
    needed_s: float | None = None


def plan_scenario(
    scenario: Scenario,
    target: Path,
    request: Request,
    *,
    overwrite: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    interrupted: Interrupted = never,
    began: float | None = None,
    pairs: Pairs | None = None,
) -> Planned:
    """Plan `scenario`, with the pins of the request, into the folder `target`.

    The time limit runs from `began`, by the monotonic clock, from now by default. Once `interrupted` says so, the best
    plan found by then is audited and written. `pairs` are those of the scenario, where they were built before.
    The price of the pins is the difference to a second run without them, so it is known as well as the gaps of both.

    Raises:
        placement.pinning.PinError: a pin names what the scenario does not know.
        LaterRulesError: the scenario states rules of a later version.
        placement.replan.StartError: the plan to begin with cannot be read.
        placement.solving.TooLargeError: it is too large for a rule that only the exact solver honours.
        placement.solving.InfeasibleError, NoPlanError: there is no plan, or none was found within the limit.
        AuditFailedError: the auditor does not accept the plan.
        placement.plan.folder.PlanExistsError: something stands at `target`.
    """
    if scenario.later:
        raise LaterRulesError(scenario.later)
    clock = Clock(monotonic() if began is None else began, request.time_limit_s)
    return _Planning(scenario, request, clock, progress, interrupted, pairs).into(target, overwrite=overwrite)


class _Planning:
    """One scenario on its way to a folder."""

    def __init__(
        self,
        scenario: Scenario,
        request: Request,
        clock: Clock,
        progress: Callable[[Progress], None],
        interrupted: Interrupted,
        pairs: Pairs | None,
    ) -> None:
        self.free, self.pairs = scenario, pairs
        self.scenario = pinned(scenario, request.pins) if request.pins else scenario
        self.request, self.clock, self.progress, self.interrupted = request, clock, progress, interrupted
        self.searched_s = 0.0

    def into(self, target: Path, *, overwrite: bool) -> Planned:
        """Plan, audit, write."""
        with atomic_folder(target, replace=overwrite) as folder:
            solved = self._solved()
            document, report = self._audited(folder, solved)
        spent_s = self.clock.spent_s
        needed_s = spent_s - self.searched_s
        limit_s = self.clock.limit_s
        return Planned(
            document,
            report,
            spent_s,
            self._pins_usd(solved, document),
            self.interrupted(),
            needed_s if limit_s is not None and needed_s > limit_s else None,
        )

    def tell(self, stage: str, objective: float = inf, bound: float = -inf, gap: float = inf) -> None:
        known = (value if isfinite(value) else None for value in (objective, bound, gap))
        self.progress(Progress(stage, self.clock.spent_s, *known))

    def _solved(self) -> Solved:
        """The solution, in the time that the rest leaves it."""
        scenario, request = self.scenario, self.request
        self.tell("topology")
        pairs = build_pairs(scenario).pairs if self.pairs is None else self.pairs
        give_back()
        self.tell("problem")
        problem_s = -self.clock.spent_s
        previous = previous_of(scenario)
        built = build_rollout(scenario, pairs, previous=previous)
        give_back()
        problem_s += self.clock.spent_s
        start = None if request.start is None else read_start(request.start, scenario, built)
        self._compiled()
        if self.interrupted():
            raise NoPlanError("interrupted before any plan was found")
        left_s = self.clock.left_s(closing_s(problem_s), LEAST_SEARCH_S)
        shares = 1 + bool(request.pins) + prices_reliability(built, request)
        part_s = None if left_s is None else max(left_s / shares, LEAST_SEARCH_S)
        seed, before_s = scenario.document.seed, self.clock.spent_s
        solution = solve(
            built, request, part_s, seed, self.tell, interrupted=self.interrupted, start=start, narrow=True
        )
        price = None
        if not self.interrupted():
            price = reliability_price_usd_month(built, solution, request, part_s, seed, self.interrupted)
        self.searched_s = self.clock.spent_s - before_s
        if solution.among is not None:
            built = replace(built, rollout=solution.among)  # from here on: the others take gigabytes
        return Solved(scenario, pairs, built, solution, previous, price)

    def _compiled(self) -> None:
        """The solvers are compiled; that counts as time which is not the search's."""
        if not are_compiled():
            self.tell("compiling, once on this machine")
            with suppress(CalledProcessError):  # what failed there compiles here, or says why not
                compile_kernels(self.interrupted)

    def _audited(self, folder: Path, solved: Solved) -> tuple[PlanDocument, AuditReport]:
        """The plan in `folder`, with what the auditor proved.

        Raises:
            AuditFailedError: it found something.
        """
        self.tell("plan")
        files = build_plan(solved, self.request.parameters(solved.solution))
        write_files(folder, files)
        give_back()
        self.tell("audit")
        report = audit(folder, solved.scenario, solved.pairs)
        if not report.passed:
            raise AuditFailedError(report)
        bound = report.bound_verified_usd_month
        verified = {
            "bound_verified_usd_month": None if bound is None else cents_below(bound),
            "gap": report.gap_verified,
        }
        document = files.document.model_copy(update=verified)
        write_document(folder, document)
        return document, report

    def _pins_usd(self, solved: Solved, document: PlanDocument) -> float | None:
        """What the pins add, against the scenario planned in the same way without them; None where that ends early."""
        if not self.request.pins or self.interrupted():
            return None
        built = build_rollout(self.free, solved.pairs, previous=previous_of(self.free))
        left_s, seed = self.clock.left_s(least_s=LEAST_SEARCH_S), self.free.document.seed
        try:
            free = solve(built, self.request, left_s, seed, self.tell, interrupted=self.interrupted)
        except NoPlanError:
            return None
        return None if self.interrupted() else document.objective_usd_month - free.objective_usd


def closing_s(problem_s: float) -> float:
    """About what is left to do after the search: the plan in names, and its audit.

    The auditor goes the way from the tables to the pairs once more and then looks at every pair, so its time is a
    multiple of what building the problem took on this machine, as busy as it is.
    """
    return CLOSING_S + CLOSING_OF_PROBLEM * problem_s


def previous_of(scenario: Scenario) -> Previous | None:
    """The replicas of the plan that moves are counted from; None where the scenario names none."""
    path = scenario.document.stability.previous_plan
    return None if not path else read_previous(scenario.folder / path)
