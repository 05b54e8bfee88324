"""The whole model through OR-Tools: HiGHS by MathOpt, or SCIP by the model builder.

python -m bench.peers.ortools_mip MATRIX.npz OUT.npz --backend highs --time-limit 60
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from solvers.exact.backends import solve_highs, solve_scip
from solvers.exact.model import Program


@dataclass(frozen=True, kw_only=True)
class RawProgram(Program):
    """A matrix without names."""

    def row_names(self) -> Iterator[str]:
        return (f"r{k}" for k in range(len(self.row_upper)))

    def column_names(self) -> Iterator[str]:
        return (f"c{k}" for k in range(len(self.cost)))


def main(argv: list[str] | None = None) -> int:
    """Solve, write the columns, and say on one line of JSON what is claimed."""
    parser = argparse.ArgumentParser(prog="bench.peers.ortools_mip", description=__doc__)
    parser.add_argument("matrix", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--backend", choices=("highs", "scip"), default="highs")
    parser.add_argument("--time-limit", type=float, default=60.0)
    told = parser.parse_args(argv)
    began = time.perf_counter()
    program = _read(told.matrix)
    solve = solve_highs if told.backend == "highs" else solve_scip
    left = told.time_limit - (time.perf_counter() - began)
    answer = solve(program, time_limit_s=max(left, 1.0), gap=1e-6)
    seconds = time.perf_counter() - began
    if answer.values is not None:
        np.savez(told.out, column=answer.values)
    bound = float(answer.bound) if np.isfinite(answer.bound) else None
    print(json.dumps({"status": str(answer.end), "bound_usd": bound, "seconds": seconds, "message": answer.message}))
    return 0


def _read(path: Path) -> RawProgram:
    with np.load(path) as file:
        rows = sp.csr_matrix((file["data"], file["indices"], file["indptr"]), shape=tuple(file["shape"]))
        cost, upper, integer = file["cost"], file["upper"], file["integer"]
        lower_of, upper_of = file["row_lower"], file["row_upper"]
    return RawProgram(
        cost=cost, lower=np.zeros(len(cost)), upper=upper, integer=integer, matrix=rows, row_lower=lower_of,
        row_upper=upper_of, row_scale=np.ones(len(upper_of)),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
