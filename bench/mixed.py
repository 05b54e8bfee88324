"""Random small scenarios with all rule families mixed, each by branch and bound and by the search.

python -m bench.mixed [--first SEED] [--count N] [--quiet]

Of every scenario: both plans pass their audit, branch and bound proves its optimum, and
bound of the search ≤ optimum ≤ plan of the search. A line for every scenario that fails, and a summary.
"""

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.tools.machine import machine
from bench.tools.mixed_world import EXACT_ONLY, write
from placement.plan.document import PlanDocument
from placement.planning import AuditFailedError, plan_scenario
from placement.scenario import Scenario, ScenarioError, load
from placement.solving import InfeasibleError, NoPlanError, Request, TooLargeError

EXACT_S = 120.0
GAP = 1e-6
WORK = 6


@dataclass(frozen=True)
class Mixed:
    """How one seed went. `ended` is what happened, `wrong` why that is a fault ("" where it is none)."""

    seed: int
    rules: tuple[str, ...]
    ended: str
    wrong: str = ""
    gap: float | None = None  # of the search, verified, net
    loss: float | None = None  # of the search's plan over the optimum, net


def mixed(seed: int, folder: Path, *, work: int = WORK, sweeps: int | None = None) -> Mixed:
    """Make the scenario of `seed` in `folder` and hold what both solvers say against each other.

    `work` and `sweeps` say how long the search looks for plans and for bounds.
    """
    world = write(folder / "scenario", seed)
    try:
        scenario = load(world.folder)
    except ScenarioError:
        return Mixed(seed, world.rules, "refused by the check of the tables")
    exact = _planned(scenario, folder / "exact", Request("exact", gap=GAP, time_limit_s=EXACT_S, sweeps=sweeps))
    scale = _planned(scenario, folder / "scale", Request("scale", work=work, sweeps=sweeps))
    return Mixed(seed, world.rules, *_judged(exact, scale, world.rules))


def _planned(scenario: Scenario, target: Path, request: Request) -> PlanDocument | str:
    """The plan, or in a word why there is none."""
    try:
        return plan_scenario(scenario, target, request).document
    except InfeasibleError:
        return "infeasible"
    except NoPlanError:
        return "no plan"
    except TooLargeError:
        return "refused"
    except AuditFailedError as error:
        return f"audit failed: {str(error).splitlines()[0]}"


def _judged(
    exact: PlanDocument | str, scale: PlanDocument | str, rules: tuple[str, ...]
) -> tuple[str, str, float | None, float | None]:
    """What happened, what is wrong with it, and the gap and loss of the search."""
    for name, found in (("exact", exact), ("scale", scale)):
        if isinstance(found, str) and found.startswith("audit"):
            return "audit failed", f"{name}: {found}", None, None
    if isinstance(exact, str):
        return _without_optimum(exact, scale)
    if exact.status != "OPTIMAL":
        return "not closed", "", None, None
    if scale == "refused":
        wrong = (
            "" if set(rules) & set(EXACT_ONLY) else "the search refuses a scenario without rules of the exact solver"
        )
        return "refused by the search", wrong or _broken(exact, exact), None, None
    if isinstance(scale, str):
        return f"search: {scale}", f"the search ends with {scale} where a plan exists", None, None
    loss = (scale.objective_usd_month - exact.objective_usd_month) / max(exact.objective_usd_month, 1.0)
    return "both", _broken(exact, scale), scale.gap, loss


def _without_optimum(exact: str, scale: PlanDocument | str) -> tuple[str, str, None, None]:
    if isinstance(scale, str):
        return f"{exact}, search: {scale}", "", None, None
    return exact, "a plan exists where the exact solver says there is none" * (exact == "infeasible"), None, None


def _broken(exact: PlanDocument, scale: PlanDocument) -> str:
    """Which of bound ≤ optimum ≤ plan does not hold, to a cent and a few millionths."""
    most, slack = exact.objective_usd_month, 0.011 + 4 * GAP * abs(exact.objective_usd_month)
    claimed = scale.bound_claimed_usd_month
    for name, bound in (
        ("verified bound of the search", scale.bound_verified_usd_month),
        ("claimed bound of the search", claimed),
        ("verified bound of exact", exact.bound_verified_usd_month),
    ):
        if bound is not None and bound > most + slack:
            return f"{name} {bound} above the optimum {most}"
    if scale.bound_verified_usd_month is None:
        return "the certificate of the search proves nothing"
    if scale.objective_usd_month < most - slack:
        return f"plan of the search {scale.objective_usd_month} below the optimum {most}"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Run the seeds; 1 where any fails."""
    parser = argparse.ArgumentParser(prog="bench.mixed", description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=40 if argv is not None and not argv else 500)
    parser.add_argument("--quiet", action="store_true", help="only failures and the summary")
    told = parser.parse_args(argv)
    print(machine())
    began = time.perf_counter()
    ended: Counter[str] = Counter()
    found = []
    for seed in range(told.first, told.first + told.count):
        with tempfile.TemporaryDirectory() as folder:
            one = mixed(seed, Path(folder))
        ended[one.ended] += 1
        found.append(one)
        if one.wrong:
            print(f"FAILED seed {seed}: {one.wrong}; rules {' '.join(one.rules)}", flush=True)
        elif not told.quiet and one.ended != "both":
            print(f"seed {seed}: {one.ended}; rules {' '.join(one.rules)}", flush=True)
    _summary(found, ended, time.perf_counter() - began)
    return 1 if any(one.wrong for one in found) else 0


def _summary(found: list[Mixed], ended: Counter[str], seconds: float) -> None:
    print(f"{len(found)} scenarios in {seconds:.0f} s: {', '.join(f'{n} {what}' for what, n in ended.most_common())}")
    for name, values in (
        ("verified net gap", [one.gap for one in found if one.gap is not None]),
        ("plan over optimum", [one.loss for one in found if one.loss is not None]),
    ):
        if values:
            ranked = sorted(values)
            print(f"{name}: median {100 * ranked[len(ranked) // 2]:.2f} %, most {100 * ranked[-1]:.2f} %")
    print(f"{sum(bool(one.wrong) for one in found)} failed")


if __name__ == "__main__":
    raise SystemExit(main())
