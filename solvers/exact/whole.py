"""Single-source models in whole numbers, for CP-SAT.

CP-SAT reasons about whole numbers only. With split shares its bound would be that of a rounded problem, so it takes
single-source problems, where every column is whole. A row whose coefficients become whole after a power of ten is
kept exactly; any other is rounded, and then two models are needed:

    inner   coefficients up, limits down: what it finds keeps the true rows
    outer   coefficients down, limits up, costs down: what it proves holds for the true rows

(Every column is ≥ 0 and every inequality an upper limit, so "up" is the strict side.) Each coefficient moves by at
most 2^-30 of the largest in its row. A plan that fills a rounded row to the last digit may be lost to the inner model;
then the answer is FEASIBLE or LIMIT with a sound bound, never a wrong OPTIMAL.
"""

import time
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.exact.backends import Answer, End, solve_cp_sat_message
from solvers.exact.model import Model
from solvers.problem import Float

_LARGEST = 2.0**30
"""Rounded coefficients stay below this, so that sums stay far below the 2^63 of CP-SAT."""
_TOLERANCE = 1e-9
_WHOLE_ANYWAY = ("unserved", "added")
"""Kinds that are whole once all others are."""


def solve_cp_sat(
    model: Model, *, time_limit_s: float | None, gap: float, start: Float | None = None, threads: int = 2
) -> Answer:
    """CP-SAT on a model whose columns are all whole but the unserved ones (which then are whole, too).

    Raises ValueError when shares may be split.
    """
    begun = time.monotonic()
    for kind in model.columns.kinds:
        if kind.count and not kind.whole and kind.name not in _WHOLE_ANYWAY:
            if kind.name == "share":
                raise ValueError("cp-sat takes single-source problems only: it has no split shares")
            raise ValueError(f"cp-sat has no columns of the kind {kind.name!r}, which are not whole")
    inner, _ = whole(model, strict=True)
    outer, cost_scale = whole(model, strict=False)
    exact = _same(inner, outer)
    first = solve_cp_sat_message(
        inner, time_limit_s=_part(time_limit_s, 1.0 if exact else 0.5), gap=gap, start=start, threads=threads
    )
    if exact:
        return replace(first, bound=first.bound / cost_scale)
    left = None if time_limit_s is None else max(time_limit_s - (time.monotonic() - begun), 0.01)
    second = solve_cp_sat_message(outer, time_limit_s=left, gap=gap, start=first.values, threads=threads)
    if second.end in (End.INFEASIBLE, End.FAILED):
        return second
    end = End.DONE if first.end == second.end == End.DONE else End.STOPPED
    return Answer(end, first.values, second.bound / cost_scale, first.message)


def _part(time_limit_s: float | None, part: float) -> float | None:
    return None if time_limit_s is None else time_limit_s * part


def _same(inner: Model, outer: Model) -> bool:
    return bool(
        (inner.matrix.data == outer.matrix.data).all()
        and (inner.row_upper == outer.row_upper).all()
        and (inner.cost == outer.cost).all()
    )


def whole(model: Model, *, strict: bool) -> tuple[Model, float]:
    """The model with whole coefficients, and what its cost was multiplied by.

    `strict` rounds so that its plans keep the true rows; otherwise so that every true plan keeps its rows.
    """
    matrix, count = model.matrix, len(model.row_upper)
    row = np.repeat(np.arange(count), np.diff(matrix.indptr))
    finite = np.isfinite(model.row_upper)
    scale = _row_scales(row, matrix.data / model.row_scale[row], count) / model.row_scale
    data, upper = _near(matrix.data * scale[row]), _near(np.where(finite, model.row_upper, 0.0) * scale)
    rounded = np.bincount(row, data != np.rint(data), minlength=count) > 0
    # Whole coefficients of whole columns add up to a whole number: the digits of their limit say nothing.
    upper = np.where(rounded & (not strict), np.ceil(upper), np.floor(upper))
    data = np.ceil(data) if strict else np.floor(data)
    lower = np.where(np.isfinite(model.row_lower), upper, -np.inf)  # the equations, (1) and (15), are whole as they are
    cost_scale = float(_row_scales(np.zeros(len(model.cost), np.int64), model.cost, 1)[0])
    cost = _near(model.cost * cost_scale)
    return (
        replace(
            model,
            cost=np.rint(cost) if strict else np.floor(cost),
            integer=np.ones(len(model.cost), np.bool_),
            matrix=sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape),
            row_lower=lower,
            row_upper=np.where(finite, upper, np.inf),
        ),
        cost_scale,
    )


def _near(values: Float) -> Float:
    """Values with those that are whole but for the last digits made whole."""
    nearest = np.rint(values)
    return np.where(np.abs(values - nearest) <= _TOLERANCE * np.maximum(1.0, np.abs(values)), nearest, values)


def _row_scales(row: np.ndarray, value: Float, count: int) -> Float:
    """The least power of ten (to 10^9) that makes a row's coefficients whole; else what brings its largest to 2^30."""
    largest = np.zeros(count)
    np.maximum.at(largest, row, np.abs(value))
    result = np.where(largest > 0, _LARGEST / np.where(largest > 0, largest, 1.0), 1.0)
    for power in range(9, -1, -1):
        scaled = value * 10.0**power
        odd = np.bincount(row, _near(scaled) != np.rint(scaled), minlength=count) > 0
        result = np.where(~odd & (largest * 10.0**power <= _LARGEST), 10.0**power, result)
    return result
