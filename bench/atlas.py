"""The bundled atlas planned for a while: plan, bound and net gap as they move, and how long each stage takes.

python -m bench.atlas [--time-limit S]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from placement.audit import audit
from placement.datasets import dataset
from placement.plan.build import Solved, build_plan
from placement.plan.folder import write_files
from placement.problem import build_problem
from placement.scenario import load
from placement.topology import build_pairs
from solvers.search import greedy, net_gap, solve_scale


def main(argv: list[str] | None = None) -> int:
    """Print a line per stage and per change of the gap."""
    parser = argparse.ArgumentParser(prog="bench.atlas", description=__doc__)
    parser.add_argument("--time-limit", type=float, default=270.0, help="seconds of search")
    options = parser.parse_args(argv)
    began = time.perf_counter()

    def said(text: str) -> None:
        print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True)

    scenario = load(dataset("atlas-2025"))
    said("loaded")
    pairs = build_pairs(scenario).pairs
    said(f"topology: {len(pairs.regions)} regions x {len(pairs.sites)} sites")
    problem, names = build_problem(scenario, pairs)
    said(f"problem: {problem.demands} rows, {problem.blocks} blocks, {problem.pairs} pairs")
    net = greedy(problem).objective_usd - problem.constant_usd
    said(f"greedy, cheapest first: {net:,.0f} USD a month net of what nobody can serve")
    solution = solve_scale(problem, time_limit_s=options.time_limit, seed=scenario.document.seed)
    for seconds, objective, bound in _thinned(solution.trace):
        gap = net_gap(objective, bound, problem.constant_usd)
        print(f"{seconds:9.1f} s of search  plan {objective:14,.0f}  bound {bound:14,.0f}  net gap {100 * gap:6.2f} %")
    said(f"searched: {solution.work} rounds")
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), build_plan(Solved(scenario, pairs, problem, names, solution), {}))
        said("plan written")
        report = audit(Path(folder), scenario, pairs)
    verdict = "passed" if report.passed else "FAILED"
    said(f"audit: {verdict}, verified bound {report.bound_verified_usd_month}, verified gap {report.gap_verified}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    return 0 if report.passed else 1


def _thinned(trace: tuple[tuple[float, float, float], ...]) -> list[tuple[float, float, float]]:
    """The points where the plan got better by a tenth of a percent, and the last."""
    kept: list[tuple[float, float, float]] = []
    for point in trace:
        if not kept or point[1] < kept[-1][1] * 0.999 or point is trace[-1]:
            kept.append(point)
    return kept


if __name__ == "__main__":
    raise SystemExit(main())
