"""One run of the project's own search on one reference instance: what a child process of `bench.scale` does.

python -m bench.arrays.solve INSTANCE.npz OUT.npz [--time-limit S] [--gap G] [--seed N] [--work N] [--greedy]
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from bench.arrays.instance import EdgeArrays, load_arrays, make
from bench.arrays.planned import ArrayPlan, save_solved
from solvers.instances.edge_arrays import edge_problem
from solvers.problem import Problem
from solvers.search import greedy
from solvers.search.proved import solve_proved
from solvers.solution import Placement, Solution


def main(argv: list[str] | None = None) -> int:
    """Plan, write what was found, and say on one line of JSON how it went."""
    parser = argparse.ArgumentParser(prog="bench.arrays.solve", description=__doc__)
    parser.add_argument("instance", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--time-limit", type=float)
    parser.add_argument("--gap", type=float, default=0.0, help="stop when the claimed net gap is this small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=int)
    parser.add_argument("--greedy", action="store_true", help="the cheapest-site-first heuristic instead")
    told = parser.parse_args(argv)
    warm()
    began = time.perf_counter()
    arrays = load_arrays(told.instance)
    problem = edge_problem(arrays.by_name())
    del arrays
    read_s = time.perf_counter() - began
    began = time.perf_counter()
    if told.greedy:
        found = greedy(problem)
    else:
        found = solve_proved(problem, gap=told.gap, time_limit_s=told.time_limit, work=told.work, seed=told.seed)
    seconds = time.perf_counter() - began
    save(told.out, problem, found)
    said = {
        "status": str(found.status),
        "seconds": seconds,
        "read_seconds": read_s,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "plan_usd": _finite(found.objective_usd),
        "bound_claimed_usd": _finite(found.bound_usd),
        "work": found.work,
        "sweeps": found.sweeps,
        "message": found.message,
        "trace": found.trace,
    }
    print(json.dumps(said))
    return 0


def save(path: Path, problem: Problem, found: Solution) -> None:
    """The plan and the certificate of a solution; nothing is written of what was not found."""
    if found.placement is None:
        np.savez(path)
        return
    save_solved(path, plan_of(problem, found.placement), found.certificate)


def plan_of(problem: Problem, placement: Placement) -> ArrayPlan:
    """A placement in the instance's own arrays, whose order is that of the problem."""
    return ArrayPlan(
        open=placement.open.astype(np.float64),
        servers=placement.servers.astype(np.float64).reshape(problem.sites, 3),
        replicas=placement.replicas.astype(np.float64),
        share=placement.share,
        unserved=placement.unserved,
    )


def warm() -> None:
    """Load or compile the kernels once on a small instance, so that no figure holds it."""
    small: EdgeArrays = make("8,6,3", 0)
    problem = edge_problem(small.by_name())
    solve_proved(problem, time_limit_s=2.0)
    greedy(problem)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


if __name__ == "__main__":
    sys.exit(main())
