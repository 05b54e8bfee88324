"""The whole model through PuLP and the CBC that comes with it, built the way PuLP is used; building counts.

PYTHON bench/peers/pulp_cbc.py MATRIX.npz OUT.npz TIME_LIMIT_S    (wants pulp and numpy, nothing of this project)
"""

import json
import sys
import time
from typing import Any

import numpy as np
import pulp  # type: ignore[import-not-found,unused-ignore]


def main(matrix: str, out: str, time_limit_s: float) -> None:
    """Solve, write the columns, and say on one line of JSON what is claimed. CBC's bound does not reach PuLP."""
    began = time.perf_counter()
    problem, columns = build(matrix)
    left = time_limit_s - (time.perf_counter() - began)
    status = "no time left to solve in"
    if left > 1:
        problem.solve(pulp.PULP_CBC_CMD(msg=False, timeLimit=left, gapRel=1e-6))
        status = pulp.LpSolution[problem.sol_status]
        if problem.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
            np.savez(out, column=np.array([column.value() or 0.0 for column in columns]))
    seconds = time.perf_counter() - began
    print(json.dumps({"status": status, "bound_usd": None, "seconds": seconds, "message": pulp.__version__}))


def build(path: str) -> tuple[Any, list[Any]]:
    """The problem and its columns in order."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    kinds = ("Continuous", "Integer")
    columns = [
        pulp.LpVariable(f"z{k}", 0, float(upper), kinds[int(whole)])
        for k, (upper, whole) in enumerate(zip(arrays["upper"], arrays["integer"], strict=True))
    ]
    problem = pulp.LpProblem("edge", pulp.LpMinimize)
    problem += pulp.LpAffineExpression(list(zip(columns, arrays["cost"].tolist(), strict=True)))
    data, indices, first = arrays["data"].tolist(), arrays["indices"].tolist(), arrays["indptr"].tolist()
    for k, (low, high) in enumerate(zip(arrays["row_lower"].tolist(), arrays["row_upper"].tolist(), strict=True)):
        entries = [(columns[indices[e]], data[e]) for e in range(first[k], first[k + 1])]
        sense = pulp.LpConstraintEQ if low == high else pulp.LpConstraintLE
        problem += pulp.LpConstraint(pulp.LpAffineExpression(entries), sense, rhs=high)
    return problem, columns


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
