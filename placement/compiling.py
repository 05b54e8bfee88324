"""The solvers' kernels compiled before they are needed: once after installation, by work on a small world.

A kernel compiles when it is first called and then stays on the disk. All of them take three minutes of one
processor, which a first plan with a time limit would be short of.
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import sleep
from typing import Any

from placement.interrupting import POLL_S, Interrupted, never
from placement.problem import Built

SWEEPS = 1_200
"""Until cuts and covers have been searched for in every way."""
ROUNDS = 2


def are_compiled() -> bool:
    """Whether the kernels that take longest lie on the disk; they may be those of an older version."""
    from solvers.bound.sweep import sweep_sites  # noqa: PLC0415  heavy: numba
    from solvers.complete.anneal.moves import run_moves as anneal  # noqa: PLC0415
    from solvers.search.moves import run_moves as search  # noqa: PLC0415

    kernels: tuple[Any, ...] = (sweep_sites, search, anneal)
    files = (Path(each.stats.cache_path).glob(f"*.{each.__name__}-*.nbi") for each in kernels)
    return all(any(found) for found in files)


def compile_kernels(interrupted: Interrupted = never) -> None:
    """Compile what is not compiled yet, in processes side by side, as one process compiles one kernel at a time.

    Raises:
        subprocess.CalledProcessError: one of them failed; its `stderr` says why.
    """
    command = [sys.executable, "-m", "placement.compiling"]
    with ExitStack() as files:
        said = [files.enter_context(TemporaryFile("w+")) for _ in PARTS]  # a pipe that nobody reads fills up
        running = [subprocess.Popen([*command, part], stderr=to) for part, to in zip(PARTS, said, strict=True)]
        try:
            while not interrupted() and any(each.poll() is None for each in running):
                sleep(POLL_S)
        finally:
            for each in running:
                each.kill()  # nothing, where it has ended
                each.wait()
        for each, errors in zip(running, said, strict=True):
            if each.returncode and not interrupted():
                errors.seek(0)
                raise subprocess.CalledProcessError(each.returncode, each.args, stderr=errors.read())


def _bounds(built: Built) -> None:
    """Bounds with failures and without, and groups."""
    from solvers.bound import lagrangian_bound  # noqa: PLC0415  heavy: numba
    from solvers.bound.groups.prove import prove_groups  # noqa: PLC0415
    from solvers.relax import base_problem  # noqa: PLC0415

    for problem in built.rollout.periods:
        bound = lagrangian_bound(base_problem(problem, counted=True), sweeps=SWEEPS)
    prove_groups(base_problem(problem), bound.certificate, work=ROUNDS)


def _annealing(built: Built) -> None:
    """A plan with jobs and a reserve."""
    from solvers.complete import Effort, annealed, complete  # noqa: PLC0415  heavy: numba
    from solvers.complete.standing import nothing  # noqa: PLC0415

    problem = built.rollout.periods[0]
    plan = complete(problem, nothing(problem)).plan
    if plan is None:
        raise RuntimeError("the small world has no plan")
    annealed(problem, plan, Effort(rounds=ROUNDS))


def _search(built: Built) -> None:
    """A plan without rules, from nothing and from a plan."""
    from solvers.relax import base_problem  # noqa: PLC0415
    from solvers.search import solve_scale  # noqa: PLC0415

    problem = base_problem(built.rollout.periods[0])
    found = solve_scale(problem, work=ROUNDS)
    solve_scale(problem, work=ROUNDS, start=found.placement)


PARTS: dict[str, tuple[Callable[[Built], None], ...]] = {"bounds": (_bounds,), "plans": (_annealing, _search)}
"""What each process compiles; the search comes last, as it begins with what the other one compiles."""


def _small_world(folder: Path) -> Built:
    from placement.problem import build_rollout  # noqa: PLC0415
    from placement.scenario import load  # noqa: PLC0415
    from placement.topology import build_pairs  # noqa: PLC0415
    from placement.worlds.edge import generate  # noqa: PLC0415

    generate(folder, sites=14, regions=14, models=2, seed=0, full=True)
    scenario = load(folder)
    return build_rollout(scenario, build_pairs(scenario).pairs)


def main(part: str) -> None:
    """Compile one part of the kernels."""
    with TemporaryDirectory() as folder:
        built = _small_world(Path(folder))
    for work in PARTS[part]:
        work(built)


if __name__ == "__main__":
    main(sys.argv[1])
