"""Verifies a plan and a bound of a reference instance, in plain numpy and without any solver.

python -m bench.verify_arrays INSTANCE.npz SOLVED.npz [--matrix SCALE SEED] [--tolerance T]

The plan is held against every row of the instance, with `--matrix` against the generator's own matrix as well; the
bound is recomputed from the certificate over every pair, rounded outward. Without arguments a small instance is made,
planned and verified.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.arrays.bound import bound_usd
from bench.arrays.check import TOLERANCE, broken_matrix, broken_rows, cost_usd
from bench.arrays.instance import EdgeArrays, load_arrays, make, make_matrix
from bench.arrays.planned import ArrayPlan, CertificateArrays, CertificateFormError, load_solved
from bench.tools.process import ROOT


@dataclass(frozen=True)
class Verified:
    """What is certain. Costs are USD a day; None where there is no plan or nothing is proved."""

    plan_usd: float | None
    bound_usd: float | None
    constant_usd: float
    gap: float | None  # net of the constant
    broken: tuple[str, ...]  # what the plan breaks, or why the certificate proves nothing
    seconds: float


def verify(
    arrays: EdgeArrays,
    plan: ArrayPlan | None,
    certificate: CertificateArrays | None,
    *,
    matrix_of: tuple[str, int] | None = None,
    tolerance: float = TOLERANCE,
) -> Verified:
    """Check and recompute everything; `matrix_of` is the scale and seed whose matrix is to be asked too."""
    began = time.perf_counter()
    broken: list[str] = []
    plan_usd, bound, constant = None, None, arrays.unservable_usd
    if plan is not None:
        broken += broken_rows(arrays, plan, tolerance)
        if matrix_of is not None:
            broken += [f"matrix: {line}" for line in broken_matrix(make_matrix(*matrix_of), plan, tolerance)]
        plan_usd = None if broken else cost_usd(arrays, plan)
    if certificate is not None:
        try:
            bound = bound_usd(arrays, certificate)
        except CertificateFormError as error:
            broken.append(f"certificate: {error}")
    gap = None if plan_usd is None or bound is None else net_gap(plan_usd, bound, constant)
    return Verified(plan_usd, bound, constant, gap, tuple(broken), time.perf_counter() - began)


def net_gap(plan_usd: float, bound: float, constant_usd: float) -> float:
    """(z − L)/(z − C0), 0 where z ≤ L."""
    return 0.0 if plan_usd <= bound else (plan_usd - bound) / max(plan_usd - constant_usd, math.ulp(plan_usd))


def main(argv: list[str] | None = None) -> int:
    """Print what was verified as one line of JSON; 5 where the plan or the certificate fails."""
    parser = argparse.ArgumentParser(prog="bench.verify_arrays", description=__doc__)
    parser.add_argument("instance", type=Path, nargs="?")
    parser.add_argument("solved", type=Path, nargs="?")
    parser.add_argument("--matrix", nargs=2, metavar=("SCALE", "SEED"), help="ask the generator's matrix too")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    told = parser.parse_args(argv)
    if told.solved is None:
        return _example()
    matrix_of = None if told.matrix is None else (told.matrix[0], int(told.matrix[1]))
    plan, certificate = load_solved(told.solved)
    found = verify(load_arrays(told.instance), plan, certificate, matrix_of=matrix_of, tolerance=told.tolerance)
    print(json.dumps(asdict(found)))
    return 5 if found.broken else 0


def _example() -> int:
    scale, seed = "8,6,3", 0
    with tempfile.TemporaryDirectory() as folder:
        instance, solved = Path(folder) / "instance.npz", Path(folder) / "solved.npz"
        make(scale, seed).save(instance)
        command = [sys.executable, "-m", "bench.arrays.solve", str(instance), str(solved), "--work", "4"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        return main([str(instance), str(solved), "--matrix", scale, str(seed)])


if __name__ == "__main__":
    sys.exit(main())
