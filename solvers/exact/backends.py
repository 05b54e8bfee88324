"""The solvers of OR-Tools behind one call: a model in, the values and the bound that the solver could prove out.

HiGHS goes through MathOpt, whose message is filled from arrays: there it keeps its incumbent at a time limit, which
it loses through the model builder. SCIP goes through the model builder's sparse matrix, the quickest way to fill it.
Neither is told a number of threads: both run on one, and MathOpt refuses the setting for HiGHS.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import numpy as np
from ortools.linear_solver.python import model_builder_helper as helper
from ortools.math_opt import (
    callback_pb2,
    model_parameters_pb2,
    model_pb2,
    parameters_pb2,
    result_pb2,
    sparse_containers_pb2,
)
from ortools.math_opt.core.python import solver as mathopt

from solvers.exact.model import Program
from solvers.exact.quiet import solver_chatter_to_stderr
from solvers.problem import Float


class End(StrEnum):
    """Why a backend stopped."""

    DONE = "done"  # within the gap it was given
    STOPPED = "stopped"  # by time
    INFEASIBLE = "infeasible"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """What a backend says: values of the columns or None, and a lower bound (-inf when it has none)."""

    end: End
    values: Float | None
    bound: float
    message: str = ""


def solve_highs(
    model: Program, *, time_limit_s: float | None, gap: float, start: Float | None = None, relaxed: bool = False
) -> Answer:
    """HiGHS through MathOpt. `relaxed` drops integrality."""
    options = parameters_pb2.SolveParametersProto(random_seed=1)
    if not relaxed and model.integer.any():
        options.relative_gap_tolerance = gap
        options.absolute_gap_tolerance = 0.0
        options.highs.double_options["mip_feasibility_tolerance"] = 1e-8
    options.highs.double_options["primal_feasibility_tolerance"] = 1e-9
    return _solve_mathopt(model, parameters_pb2.SOLVER_TYPE_HIGHS, options, time_limit_s, start, relaxed)


def solve_glop(model: Program, *, time_limit_s: float | None = None) -> Answer:
    """The relaxation by the simplex of GLOP, to 1e-10: for small models whose shares have to be exact."""
    options = parameters_pb2.SolveParametersProto()
    options.glop.primal_feasibility_tolerance = 1e-10
    options.glop.dual_feasibility_tolerance = 1e-9
    return _solve_mathopt(model, parameters_pb2.SOLVER_TYPE_GLOP, options, time_limit_s, None, True)


def solve_cp_sat_message(
    model: Program, *, time_limit_s: float | None, gap: float, start: Float | None, threads: int
) -> Answer:
    """CP-SAT through MathOpt, for a model that `solvers.exact.whole` made whole."""
    options = parameters_pb2.SolveParametersProto(random_seed=1, threads=threads)
    options.relative_gap_tolerance = gap
    return _solve_mathopt(model, parameters_pb2.SOLVER_TYPE_CP_SAT, options, time_limit_s, start, False)


def mathopt_message(model: Program, *, relaxed: bool = False) -> model_pb2.ModelProto:
    """The model as MathOpt's message."""
    columns, rows = len(model.cost), len(model.row_upper)
    integer = np.zeros(columns, np.bool_) if relaxed else model.integer
    priced = np.flatnonzero(model.cost)
    matrix = model.matrix
    entry_row = np.repeat(np.arange(rows), np.diff(matrix.indptr))
    return model_pb2.ModelProto(
        variables=model_pb2.VariablesProto(
            ids=range(columns),
            lower_bounds=model.lower.tolist(),
            upper_bounds=model.upper.tolist(),
            integers=integer.tolist(),
        ),
        objective=model_pb2.ObjectiveProto(linear_coefficients=_sparse(priced, model.cost[priced])),
        linear_constraints=model_pb2.LinearConstraintsProto(
            ids=range(rows), lower_bounds=model.row_lower.tolist(), upper_bounds=model.row_upper.tolist()
        ),
        linear_constraint_matrix=sparse_containers_pb2.SparseDoubleMatrixProto(
            row_ids=entry_row.tolist(), column_ids=matrix.indices.tolist(), coefficients=matrix.data.tolist()
        ),
    )


def _sparse(ids: np.ndarray, values: Float) -> sparse_containers_pb2.SparseDoubleVectorProto:
    return sparse_containers_pb2.SparseDoubleVectorProto(ids=ids.tolist(), values=values.tolist())


def _solve_mathopt(
    model: Program,
    kind: int,
    options: parameters_pb2.SolveParametersProto,
    time_limit_s: float | None,
    start: Float | None,
    relaxed: bool,
) -> Answer:
    if time_limit_s is not None:
        options.time_limit.FromTimedelta(timedelta(seconds=max(time_limit_s, 0.01)))
    hints = model_parameters_pb2.ModelSolveParametersProto()
    if start is not None:
        hints.solution_hints.add(variable_values=_sparse(np.arange(len(start)), start))
    message, registration = mathopt_message(model, relaxed=relaxed), callback_pb2.CallbackRegistrationProto()
    initial = parameters_pb2.SolverInitializerProto()
    try:
        with solver_chatter_to_stderr():
            result = mathopt.solve(message, kind, initial, options, hints, None, registration, None, None)
    except Exception as error:  # MathOpt raises its own status type, which it does not export
        return Answer(End.FAILED, None, -np.inf, str(error))
    return _read_mathopt(model, result)


def _read_mathopt(model: Program, result: result_pb2.SolveResultProto) -> Answer:
    termination = result.termination
    values = None
    for found in result.solutions:
        primal = found.primal_solution
        if primal.feasibility_status == 2:  # FEASIBLE
            values = np.zeros(len(model.cost))
            values[np.array(primal.variable_values.ids, np.int64)] = primal.variable_values.values
            break
    bound = float(termination.objective_bounds.dual_bound)
    reason = termination.reason
    if reason in (result_pb2.TERMINATION_REASON_INFEASIBLE, result_pb2.TERMINATION_REASON_INFEASIBLE_OR_UNBOUNDED):
        # Every column has finite bounds, so "infeasible or unbounded" can only be infeasible.
        return Answer(End.INFEASIBLE, None, np.inf, termination.detail)
    if reason == result_pb2.TERMINATION_REASON_OPTIMAL:
        return Answer(End.DONE, values, bound)
    if reason in (
        result_pb2.TERMINATION_REASON_FEASIBLE,
        result_pb2.TERMINATION_REASON_NO_SOLUTION_FOUND,
    ):
        return Answer(End.STOPPED, values, bound, termination.detail)
    return Answer(End.FAILED, values, -np.inf, termination.detail)


def model_builder(model: Program) -> Any:
    """The model in the model builder's helper, filled from the sparse matrix."""
    built: Any = helper.ModelBuilderHelper()
    built.fill_model_from_sparse_data(
        model.lower, model.upper, model.cost, model.row_lower, model.row_upper, model.matrix
    )
    for column in np.flatnonzero(model.integer).tolist():
        built.set_var_integrality(column, True)
    return built


def solve_scip(model: Program, *, time_limit_s: float | None, gap: float, start: Float | None = None) -> Answer:
    """SCIP through the model builder."""
    built = model_builder(model)
    if start is not None:
        for column, value in enumerate(start.tolist()):
            built.add_hint(column, value)
    solver = helper.ModelSolverHelper("scip")
    if time_limit_s is not None:
        solver.set_time_limit_in_seconds(max(time_limit_s, 0.01))
    solver.set_solver_specific_parameters(f"limits/gap = {gap!r}\nnumerics/feastol = 1e-9\n")
    solver.solve(built)
    return _read_builder(model, solver)


def _read_builder(model: Program, solver: Any) -> Answer:
    status = solver.status()
    if status == helper.SolveStatus.INFEASIBLE:
        return Answer(End.INFEASIBLE, None, np.inf)
    values = np.asarray(solver.variable_values(), np.float64) if solver.has_solution() else None
    bound = float(solver.best_objective_bound()) if solver.has_response() else -np.inf
    if status == helper.SolveStatus.OPTIMAL:
        return Answer(End.DONE, values, bound)
    if status in (helper.SolveStatus.FEASIBLE, helper.SolveStatus.NOT_SOLVED, helper.SolveStatus.UNKNOWN_STATUS):
        return Answer(End.STOPPED, values, bound, solver.status_string())
    return Answer(End.FAILED, values, -np.inf, solver.status_string())
