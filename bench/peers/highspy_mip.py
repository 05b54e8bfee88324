"""The whole model through highspy, in an interpreter of its own: highspy and ortools cannot share a process.

PYTHON bench/peers/highspy_mip.py MATRIX.npz OUT.npz TIME_LIMIT_S    (wants highspy and numpy, nothing of this project)
"""

import json
import sys
import time
from typing import Any

import highspy  # type: ignore[import-not-found,unused-ignore]
import numpy as np


def main(matrix: str, out: str, time_limit_s: float) -> None:
    """Solve, write the columns, and say on one line of JSON what is claimed."""
    began = time.perf_counter()
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("mip_rel_gap", 1e-6)
    solver.passModel(read(matrix))
    solver.setOptionValue("time_limit", max(time_limit_s - (time.perf_counter() - began), 1.0))
    solver.run()
    info = solver.getInfo()
    seconds = time.perf_counter() - began
    if info.primal_solution_status == 2:  # feasible
        np.savez(out, column=np.array(solver.getSolution().col_value))
    bound = info.mip_dual_bound if np.isfinite(info.mip_dual_bound) else None
    status = solver.modelStatusToString(solver.getModelStatus())
    print(json.dumps({"status": status, "bound_usd": bound, "seconds": seconds, "message": highspy.Highs().version()}))


def read(path: str) -> Any:
    """The matrix as HiGHS' own model."""
    with np.load(path) as file:
        model: Any = highspy.HighsLp()
        rows, columns = (int(size) for size in file["shape"])
        model.num_row_, model.num_col_ = rows, columns
        model.col_cost_, model.col_lower_, model.col_upper_ = file["cost"], np.zeros(columns), file["upper"]
        model.row_lower_, model.row_upper_ = file["row_lower"], file["row_upper"]
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.num_row_, model.a_matrix_.num_col_ = rows, columns
        model.a_matrix_.start_ = file["indptr"]
        model.a_matrix_.index_, model.a_matrix_.value_ = file["indices"], file["data"]
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[int(whole)] for whole in file["integer"]]
    return model


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
