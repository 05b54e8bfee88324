"""The stage that decides: a plan within the time that the deadline leaves, audited, and audited once more from disk."""

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog

from placement.nightly import deadline
from placement.nightly.faults import Fault

if TYPE_CHECKING:
    from placement.nightly.tonight import Tonight
    from placement.planning import Progress
    from placement.scenario import Scenario
    from placement.topology.pairs import Pairs

SHOWN = 20
TELL_EVERY_S = 30.0
DEFAULT_SECONDS = 300.0
"""Of the plan, where the configuration limits neither its time nor its work: as of `nearserve plan`."""

_LOG = structlog.get_logger("nearserve.nightly")


def make_plan(
    tonight: "Tonight", scenario: "Scenario", pairs: "Pairs", start: Path | None, into: Path, kept_s: float
) -> dict[str, Any]:
    """The plan in the folder `plan` of `into`. `kept_s` is what the stages after it take.

    Raises:
        Fault: there is no time, no plan, or none that its audit accepts.
    """
    from placement.pinning import PinError  # noqa: PLC0415
    from placement.planning import AuditFailedError, LaterRulesError, plan_scenario  # noqa: PLC0415
    from placement.problem import UnplannableError  # noqa: PLC0415
    from placement.solving import InfeasibleError, NoPlanError, Request, TooLargeError  # noqa: PLC0415

    wanted = tonight.config.plan
    usual_s = DEFAULT_SECONDS if wanted.time_limit_s is None and wanted.work is None else wanted.time_limit_s
    seconds, shortened = deadline.search_s(usual_s, tonight.end, kept_s)
    if shortened and seconds is not None and seconds < deadline.LEAST_PLAN_S:
        left = tonight.end.left_s or 0.0
        message = f"no time for a plan: {left:.0f} s are left, and what follows it takes {kept_s:.0f} s"
        raise Fault("deadline", message)
    request = Request(wanted.method, wanted.gap, seconds, wanted.work, start=start)
    told = _Told()
    try:
        planned = plan_scenario(
            scenario, into / "plan", request, progress=told, interrupted=tonight.interrupted, pairs=pairs
        )
    except InfeasibleError as error:
        message = f"{error}; `nearserve explain {scenario.folder}` says what contradicts and what would help"
        raise Fault("infeasible", message) from error
    except NoPlanError as error:
        reason = "interrupted" if tonight.interrupted() else "deadline" if shortened else "no_plan"
        raise Fault(reason, str(error)) from error
    except (LaterRulesError, TooLargeError, UnplannableError, PinError) as error:
        raise Fault("bad_scenario", str(error)) from error
    except AuditFailedError as error:
        raise Fault("audit_failed", f"the plan failed its audit:\n{error}") from error
    document = planned.document
    return {
        "gap": document.gap,
        "cost_usd_month": document.cost.total,
        "served_share": document.served_share,
        "time_limit_s": seconds,
        "cut_short": planned.interrupted or (shortened and _short_of_gap(document.gap, wanted.gap)),
        "interrupted": planned.interrupted,
        "warm": start is not None,
        "needed_s": planned.needed_s,
    }


def _short_of_gap(gap: float | None, wanted: float) -> bool:
    return gap is None or gap > wanted


def audit_again(plan: Path, folder: Path, pairs: "Pairs") -> dict[str, Any]:
    """The plan as it lies on the disk against the snapshot as it lies there, read again for that alone.

    Raises:
        Fault: the auditor does not accept it.
    """
    from placement.audit import audit  # noqa: PLC0415
    from placement.scenario import load  # noqa: PLC0415

    report = audit(plan, load(folder), pairs)
    if not report.passed:
        lines = [str(violation) for violation in report.violations[:SHOWN]] or ["nothing was checked"]
        raise Fault("audit_failed", "\n".join(lines), violations=len(report.violations))
    return {
        "facts_checked": sum(report.rules_checked.values()),
        "bound_verified_usd_month": report.bound_verified_usd_month,
        "gap_verified": report.gap_verified,
    }


class _Told:
    """Says in the log where the plan stands, now and then."""

    def __init__(self) -> None:
        self.stage, self.at = "", 0.0

    def __call__(self, progress: "Progress") -> None:
        now = monotonic()
        if progress.stage == self.stage and now - self.at < TELL_EVERY_S:
            return
        self.stage, self.at = progress.stage, now
        _LOG.info(
            "planning",
            at=progress.stage,
            seconds=round(progress.seconds, 1),
            objective_usd_month=progress.objective_usd,
            bound_usd_month=progress.bound_usd,
            gap=progress.gap,
        )
