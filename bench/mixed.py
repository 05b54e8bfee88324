"""Random small scenarios with all rule families mixed, each by branch and bound and by the search.

python -m bench.mixed [--first SEED] [--count N] [--quiet] [--rows FILE.csv]

Of every scenario: both plans pass their audit, branch and bound proves its optimum, and
bound of the search ≤ optimum ≤ plan of the search. A line for every scenario that fails, and a summary.
`--rows` keeps the figures of every seed; seeds that are in the file are not run again, so that a run can go on.
"""

import argparse
import csv
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
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


LEVELS = (0.001, 0.01, 0.05, 0.1)


@dataclass(frozen=True)
class Mixed:
    """How one seed went. `ended` is what happened, `wrong` why that is a fault ("" where it is none).

    USD a month; `gap` and `loss` are fractions, net of what nobody can serve.
    """

    seed: int
    rules: str  # those that are on, a blank between two
    ended: str
    wrong: str = ""
    optimum_usd: float | None = None
    plan_usd: float | None = None  # of the search
    bound_usd: float | None = None  # of the search, verified
    gap: float | None = None  # between the two
    loss: float | None = None  # of the search's plan against the optimum
    exact_s: float = 0.0
    scale_s: float = 0.0


def mixed(seed: int, folder: Path, *, work: int = WORK, sweeps: int | None = None) -> Mixed:
    """Make the scenario of `seed` in `folder` and hold what both solvers say against each other.

    `work` and `sweeps` say how long the search looks for plans and for bounds.
    """
    world = write(folder / "scenario", seed)
    rules = " ".join(world.rules)
    try:
        scenario = load(world.folder)
    except ScenarioError:
        return Mixed(seed, rules, "refused by the check of the tables")
    began = time.perf_counter()
    exact = _planned(scenario, folder / "exact", Request("exact", gap=GAP, time_limit_s=EXACT_S, sweeps=sweeps))
    between = time.perf_counter()
    scale = _planned(scenario, folder / "scale", Request("scale", work=work, sweeps=sweeps))
    seconds = between - began, time.perf_counter() - between
    ended, wrong = _judged(exact, scale, world.rules)
    found = Mixed(seed, rules, ended, wrong, exact_s=seconds[0], scale_s=seconds[1])
    return found if ended != "both" else _with_figures(found, exact, scale)


def _with_figures(found: Mixed, exact: PlanDocument | str, scale: PlanDocument | str) -> Mixed:
    """`found` with the figures of both plans."""
    assert isinstance(exact, PlanDocument)
    assert isinstance(scale, PlanDocument)
    optimum, plan, bound = exact.objective_usd_month, scale.objective_usd_month, scale.bound_verified_usd_month
    loss = None
    if scale.gap is not None and bound is not None:
        # The gap is net: (plan − bound) / (plan − what nobody can serve).
        loss = (plan - optimum) * scale.gap / (plan - bound) if scale.gap > 0.0 else 0.0
        loss = loss / (1.0 - loss)  # of the optimum's net cost, not the plan's
    return replace(found, optimum_usd=optimum, plan_usd=plan, bound_usd=bound, gap=scale.gap, loss=loss)


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


def _judged(exact: PlanDocument | str, scale: PlanDocument | str, rules: tuple[str, ...]) -> tuple[str, str]:
    """What happened, and what is wrong with it."""
    for name, found in (("exact", exact), ("scale", scale)):
        if isinstance(found, str) and found.startswith("audit"):
            return "audit failed", f"{name}: {found}"
    if isinstance(exact, str):
        return _without_optimum(exact, scale)
    if exact.status != "OPTIMAL":
        return "not closed", ""
    if scale == "refused":
        wrong = (
            "" if set(rules) & set(EXACT_ONLY) else "the search refuses a scenario without rules of the exact solver"
        )
        return "refused by the search", wrong or _broken(exact, exact)
    if isinstance(scale, str):
        return f"search: {scale}", f"the search ends with {scale} where a plan exists"
    return "both", _broken(exact, scale)


def _without_optimum(exact: str, scale: PlanDocument | str) -> tuple[str, str]:
    if isinstance(scale, str):
        return f"{exact}, search: {scale}", ""
    return exact, "a plan exists where the exact solver says there is none" * (exact == "infeasible")


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
    parser.add_argument("--rows", type=Path, help="keep a row for every seed here, and go on where it ends")
    told = parser.parse_args(argv)
    print(machine())
    found = _read(told.rows) if told.rows is not None and told.rows.exists() else []
    known = {one.seed for one in found}
    for seed in range(told.first, told.first + told.count):
        if seed in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            one = mixed(seed, Path(folder))
        found.append(one)
        if told.rows is not None:
            _keep(told.rows, one)
        if not told.quiet and one.ended != "both" and not one.wrong:
            print(f"seed {seed}: {one.ended}; rules {one.rules}", flush=True)
        if one.wrong:
            print(f"FAILED seed {seed}: {one.wrong}; rules {one.rules}", flush=True)
    _summary(found)
    return 1 if any(one.wrong for one in found) else 0


def _keep(path: Path, one: Mixed) -> None:
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Mixed)], lineterminator="\n")
        if fresh:
            rows.writeheader()
        rows.writerow(asdict(one))


def _read(path: Path) -> list[Mixed]:
    with path.open(encoding="utf-8", newline="") as file:
        return [_row(row) for row in csv.DictReader(file)]


def _row(row: dict[str, str]) -> Mixed:
    def figure(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return Mixed(
        int(row["seed"]),
        row["rules"],
        row["ended"],
        row["wrong"],
        figure("optimum_usd"),
        figure("plan_usd"),
        figure("bound_usd"),
        figure("gap"),
        figure("loss"),
        float(row["exact_s"]),
        float(row["scale_s"]),
    )


def _summary(found: list[Mixed]) -> None:
    ended = Counter(one.ended for one in found)
    print(f"{len(found)} scenarios: {', '.join(f'{n} {what}' for what, n in ended.most_common())}")
    both = [one for one in found if one.gap is not None]
    _spread("plan over optimum", [(one.loss, one.seed) for one in both if one.loss is not None])
    plain = [one for one in both if "n_minus_1" not in one.rules.split()]
    for name, those in (("without N-1", plain), ("with N-1", [one for one in both if one not in plain])):
        _spread(f"verified gap {name}", [(one.gap, one.seed) for one in those if one.gap is not None])
    _seconds("branch and bound", [(one.exact_s, one.seed) for one in found])
    _seconds("search", [(one.scale_s, one.seed) for one in found])
    print(f"{sum(bool(one.wrong) for one in found)} failed")


def _spread(name: str, values: Iterable[tuple[float, int]]) -> None:
    """How many of `values`, each with its seed, are within the levels; median, nine of ten, and the five worst."""
    ranked = sorted(values)
    if not ranked:
        return
    within = ", ".join(f"{sum(value <= level for value, _ in ranked)} within {100 * level:g} %" for level in LEVELS)
    middle, high = (100 * ranked[int(part * (len(ranked) - 1))][0] for part in (0.5, 0.9))
    worst = ", ".join(f"{100 * value:.1f} % ({seed})" for value, seed in ranked[:-6:-1])
    print(f"{name}, {len(ranked)}: {within}; median {middle:.2f} %, 9 of 10 {high:.1f} %; worst (seed) {worst}")


def _seconds(name: str, values: Iterable[tuple[float, int]]) -> None:
    ranked = sorted(values)
    if ranked:
        most, seed = ranked[-1]
        total, middle = sum(value for value, _ in ranked), ranked[len(ranked) // 2][0]
        print(f"{name}: {total:.0f} s in all, median {middle:.2f} s, most {most:.1f} s (seed {seed})")


if __name__ == "__main__":
    raise SystemExit(main())
