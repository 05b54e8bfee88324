"""What upper ends, percentiles and a price on being late are worth: plans over inferred pairs, held against the truth.

python -m bench.uncertainty [--seeds N] [--per-site K]

PlanetLab's round trips between 40 regions and 80 sites; K random pairs of every site are measured, the others inferred.
Every way to plan decides over the same intervals; whether a request is in time is looked up in the whole matrix.
`truth` plans with all pairs measured. Means over the seeds; USD are those of the plan without unserved and late.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.closed_loop.knowledge import Knowledge, truth
from bench.closed_loop.matrices import Matrix, planetlab
from bench.closed_loop.world import scenario
from placement.audit import audit
from placement.frames import keyed
from placement.plan.build import Solved, build_plan
from placement.plan.document import PlanDocument
from placement.plan.folder import write_files
from placement.problem import build_rollout
from placement.problem.routes import keyed_by_profile
from placement.scenario import Scenario
from placement.solving import Request, solve
from placement.topology.pairs import Pairs

WAYS: dict[str, dict[str, float]] = {
    "upper end": {},
    "percentile 0.8": {"percentile": 0.8},
    "percentile 0.5": {"percentile": 0.5},
    "0.5, late 0.1 USD/1000": {"percentile": 0.5, "late_usd_per_1000": 0.1},
    "0.05, late 0.1 USD/1000": {"percentile": 0.05, "late_usd_per_1000": 0.1},
    "0.05, late 0.5 USD/1000": {"percentile": 0.05, "late_usd_per_1000": 0.5},
}
GAP, WORK = 0.01, 6


@dataclass(frozen=True)
class Outcome:
    """One plan: USD a month; shares of all requests that are served, expected in time and truly in time."""

    usd: float
    served: float
    expected: float
    in_time: float


def outcomes(seed: int, per_site: int) -> Iterator[tuple[str, Outcome]]:
    """Every way to plan over what a seed draws."""
    now = planetlab(seed).rtt_ms
    matrix = Matrix(now, now)
    with tempfile.TemporaryDirectory() as folder:
        told = scenario(Path(folder) / "scenario", now.shape, seed)
        known = Knowledge.first(matrix, per_site, seed).pairs(seed)
        for number, (name, keys) in enumerate(WAYS.items()):
            one = replace(told, document=told.document.model_copy(update={"uncertainty": _uncertainty(told, keys)}))
            yield name, _outcome(one, known, matrix, Path(folder) / str(number))
        yield "truth", _outcome(told, truth(matrix), matrix, Path(folder) / "truth")


def _uncertainty(told: Scenario, keys: dict[str, float]) -> object:
    return told.document.uncertainty.model_copy(update=keys)


def _outcome(told: Scenario, pairs: Pairs, matrix: Matrix, folder: Path) -> Outcome:
    built = build_rollout(told, pairs)
    found = solve(built, Request("scale", gap=GAP, work=WORK), None, 0, lambda *_: None)
    files = build_plan(Solved(told, pairs, built, found), {})
    folder.mkdir()
    write_files(folder, files)
    report = audit(folder, told, pairs)
    if not report.passed:
        raise AssertionError([str(violation) for violation in report.violations])
    plan: PlanDocument = files.document
    spent = plan.cost.total - plan.cost.unserved - plan.cost.late
    expected = plan.served_share * (plan.budget_met.met_ppm or 0) / 1e6
    return Outcome(spent, plan.served_share, expected, _in_time(told, files.routes.to_pylist(), pairs, matrix))


def _in_time(told: Scenario, routes: list[dict[str, Any]], pairs: Pairs, matrix: Matrix) -> float:
    """Share of all mean requests that are served and, by the whole matrix, within their budget."""
    services, shapes = keyed(told.table("services"), "service"), keyed_by_profile(told)
    demand = told.table("demand").set_index(["region", "service"])["mean_requests_per_s"]
    good = 0.0
    for row in routes:
        service = services[row["service"]]
        ms = matrix.rtt_ms[pairs.regions.index(row["region"]), pairs.sites.index(row["site"])]
        in_time = ms + shapes[row["shape"], service["profile"]]["ttft_p95_ms"] <= service["latency_budget_ms"]
        good += in_time * row["share_ppb"] / 1e9 * float(demand[row["region"], row["service"]])
    return good / float(demand.sum())


def main(argv: list[str] | None = None) -> int:
    """Plan every way over every seed and print the means."""
    parser = argparse.ArgumentParser(prog="bench.uncertainty", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--per-site", type=int, default=8)
    told = parser.parse_args(argv)
    found: dict[str, list[Outcome]] = {}
    for seed in range(told.seeds):
        for name, outcome in outcomes(seed, told.per_site):
            found.setdefault(name, []).append(outcome)
    print(f"{'':26}{'USD a month':>12}{'served %':>10}{'expected %':>12}{'in time %':>11}")
    for name, several in found.items():
        usd, *shares = (float(np.mean([getattr(one, part) for one in several])) for part in Outcome.__annotations__)
        told_shares = "".join(f"{100 * share:{width}.1f}" for share, width in zip(shares, (10, 12, 11), strict=True))
        print(f"{name:26}{usd:12,.0f}{told_shares}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
