"""The atlas planned for a while: plan, bound and net gap as they move, and how long each stage takes.

python -m bench.atlas [--rollout] [--time-limit S] [--gap G]

`--rollout` plans atlas-rollout: six slices, four half-years of demand and deliveries, metros that fail, jobs.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from placement.audit import audit
from placement.datasets import dataset
from placement.plan.build import Solved, build_plan
from placement.plan.folder import write_files
from placement.problem import Built, build_rollout
from placement.scenario import Scenario, load
from placement.topology import build_pairs
from placement.worlds import atlas_rollout
from solvers.relax import base_problem
from solvers.rollout import RolloutSolution
from solvers.search import Progress, greedy, net_gap
from solvers.search.rollout import solve_rollout_scale


def main(argv: list[str] | None = None) -> int:
    """Print a line per stage and per change of the gap."""
    parser = argparse.ArgumentParser(prog="bench.atlas", description=__doc__)
    parser.add_argument("--rollout", action="store_true", help="the whole decision")
    parser.add_argument("--time-limit", type=float, default=270.0, help="seconds of search")
    parser.add_argument("--gap", type=float, default=0.0, help="stop when this close")
    options = parser.parse_args(argv)
    began = time.perf_counter()

    def said(text: str) -> None:
        print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        scenario = _scenario(Path(scratch), rollout=options.rollout)
        said("loaded")
        pairs = build_pairs(scenario).pairs
        said(f"topology: {len(pairs.regions)} regions x {len(pairs.sites)} sites")
        built = build_rollout(scenario, pairs)
        for names, problem in zip(built.names, built.rollout.periods, strict=True):
            size = f"{problem.demands} rows, {problem.blocks} blocks, {problem.pairs} pairs"
            said(f"problem {names.period}: {size}")
        if not options.rollout:
            problem = built.rollout.periods[0]
            net = greedy(problem).objective_usd - problem.constant_usd
            said(f"greedy, cheapest first: {net:,.0f} USD a month net of what nobody can serve")
        solution = _solved(built, scenario, options.gap, options.time_limit)
        said(f"searched: {solution.work} rounds, plan {solution.objective_usd:,.0f}, bound {solution.bound_usd:,.0f}")
        if solution.before_reserve_usd is not None:
            said(f"N-1 adds {solution.objective_usd - solution.before_reserve_usd:,.0f} USD a month")
        folder = Path(scratch) / "plan"
        folder.mkdir()
        write_files(folder, build_plan(Solved(scenario, pairs, built, solution), {}))
        said("plan written")
        report = audit(folder, scenario, pairs)
    verdict = "passed" if report.passed else "FAILED"
    said(f"audit: {verdict}, verified bound {report.bound_verified_usd_month}, verified gap {report.gap_verified}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    return 0 if report.passed else 1


def _scenario(scratch: Path, *, rollout: bool) -> Scenario:
    if not rollout:
        return load(dataset("atlas-2025"))
    atlas_rollout.generate(scratch / "scenario")
    return load(scratch / "scenario")


def _solved(built: Built, scenario: Scenario, gap: float, time_limit_s: float) -> RolloutSolution:
    """The search, telling every tenth of a percent that the plan gets better."""
    months = built.rollout.months
    constants = [base_problem(problem).constant_usd for problem in built.rollout.periods]
    constant_usd = float(np.asarray(constants) @ months / months.sum())
    told = [np.inf]

    def tell(now: Progress) -> None:
        if now.objective_usd < 0.999 * told[0]:
            told[0] = now.objective_usd
            net = net_gap(now.objective_usd, now.bound_usd, constant_usd)
            print(
                f"{now.seconds:9.1f} s of search  plan {now.objective_usd:14,.0f}  bound {now.bound_usd:14,.0f}"
                f"  net gap {100 * net:6.2f} %",
                flush=True,
            )

    seed = scenario.document.seed
    return solve_rollout_scale(built.rollout, gap=gap, time_limit_s=time_limit_s, seed=seed, progress=tell)


if __name__ == "__main__":
    raise SystemExit(main())
