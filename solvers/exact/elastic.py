"""Limits that give way: the least that has to be added to them so that what is asked for is served.

Notation: v columns of a roll-out's program, A v ≤ b its rows, g a limit that may give, e_g ≥ 0 how much it gives
(whole where it is counted), w_g what a unit of it weighs, a_rg how far a unit loosens row r; u_i unserved, most_i.

    minimise   Σ_g w_g·e_g    subject to    A v − a e ≤ b,  u_i ≤ most_i,  the other rows as they are
    then       cost·v         subject to    the same and Σ_g w_g·e_g ≤ what was found

(elastic programming: Brown and Graves 1975; Chinneck, Feasibility and Infeasibility in Optimization, 2008). A row that
is an equation, a job that must run, is relieved from above: what gives is the job left out.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from solvers.exact.backends import Answer, End, solve_highs, solve_scip
from solvers.exact.model import Program
from solvers.exact.rows import Rows
from solvers.exact.stack import Stack, build_stack
from solvers.problem import Float, Int
from solvers.rollout import Rollout
from solvers.solution import Status

_BACKENDS: dict[str, Callable[..., Answer]] = {"highs": solve_highs, "scip": solve_scip}

BETWEEN = -1
"""The `period` of rows that tie periods."""

_SLACK = 1e-9
"""How far the second step may go beyond the least found in the first, relative and absolute."""


@dataclass(frozen=True)
class Loosened:
    """Rows of one family that a limit enters: those whose labels are `about` (letter and number), `by` for a unit."""

    period: int
    family: str
    about: tuple[tuple[str, int], ...]
    by: float = 1.0


@dataclass(frozen=True)
class Give:
    """A limit that may give way, with all the rows that a unit more of it loosens."""

    rows: tuple[Loosened, ...]
    weight: float = 1.0
    whole: bool = False


@dataclass(frozen=True)
class Elastic:
    """`amounts` of each Give; None where there is no plan even so (INFEASIBLE) or none was found (LIMIT, ERROR).

    `usd_month` is what the plan that goes with them costs, within the gap; `unserved` what it leaves, I by period.
    """

    status: Status
    amounts: Float | None
    least: float  # the weighted sum, NaN without amounts
    usd_month: float
    unserved: tuple[Float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Giving(Program):
    """A roll-out's program with a column for every Give behind its own."""

    inner: Stack
    gives: int

    def row_names(self) -> Iterator[str]:
        yield from self.inner.row_names()
        if len(self.row_upper) > len(self.inner.row_upper):
            yield "given"

    def column_names(self) -> Iterator[str]:
        yield from self.inner.column_names()
        yield from (f"give_{number}" for number in range(self.gives))


def solve_elastic(
    rollout: Rollout,
    loose: Rollout,
    gives: Sequence[Give],
    most_unserved: tuple[Float, ...],
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
    cheapest: bool = True,
) -> Elastic:
    """The least of `gives` with which no row of period h is unserved by more than `most_unserved[h]` (I).

    Args:
        rollout: with its limits as they are.
        loose: the same arrays without the limits that may give way: what columns may hold then.
        cheapest: among the plans that need the least, whether the cheapest is looked for.

    Raises ValueError for a backend that does not exist.
    """
    if backend not in _BACKENDS:
        raise ValueError(f"backend {backend!r} is none of {', '.join(_BACKENDS)}")
    begun, solve = time.monotonic(), _BACKENDS[backend]
    stack = _asked(build_stack(rollout, within=loose), most_unserved)
    program = _giving(stack, gives)
    part = None if time_limit_s is None else time_limit_s * (0.6 if cheapest else 1.0)
    found = solve(program, time_limit_s=part, gap=gap)
    if found.values is None:
        status = {End.INFEASIBLE: Status.INFEASIBLE, End.STOPPED: Status.LIMIT}.get(found.end, Status.ERROR)
        return Elastic(status, None, float("nan"), float("nan"))
    values, least = found.values, float(program.cost @ found.values)
    if cheapest:
        left = None if time_limit_s is None else max(time_limit_s - (time.monotonic() - begun), 0.01)
        second = solve(_cheapest(program, least), time_limit_s=left, gap=max(gap, 1e-4), start=values)
        values = values if second.values is None else second.values
    amounts = values[len(stack.cost) :]
    amounts = np.where([give.whole for give in gives], np.rint(amounts), np.where(amounts < 1e-9, 0.0, amounts))
    usd = float(stack.cost @ values[: len(stack.cost)]) + stack.offset_usd
    status = Status.OPTIMAL if found.end == End.DONE else Status.FEASIBLE
    return Elastic(status, np.asarray(amounts, np.float64), least, usd, _unserved(stack, values))


def least_unserved(
    rollout: Rollout,
    loose: Rollout,
    gives: Sequence[Give],
    requests: tuple[Float, ...],
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
) -> tuple[Float, ...] | None:
    """Unserved shares of every period (I) where as many of `requests` (I, by period) are served as could be.

    The limits of `gives` may give whatever is needed; None where even so no plan is found.
    """
    stack = build_stack(rollout, within=loose)
    program = _giving(stack, gives)
    cost = np.zeros(len(program.cost))
    columns = _first_unserved(stack)
    size = max(float(of_period.max(initial=0.0)) for of_period in requests) or 1.0
    for first, of_period in zip(columns, requests, strict=True):
        cost[first : first + len(of_period)] = of_period / size
    found = _BACKENDS[backend](replace(program, cost=cost), time_limit_s=time_limit_s, gap=gap)
    return None if found.values is None else _unserved(stack, found.values)


def _first_unserved(stack: Stack) -> list[int]:
    """Where the columns of what is unserved begin, by period."""
    return [stack.of(h).start + part.columns.of("unserved").start for h, part in enumerate(stack.parts)]


def _unserved(stack: Stack, values: Float) -> tuple[Float, ...]:
    """What is unserved of every row, I by period."""
    left = [
        values[at : at + problem.demands] for at, problem in zip(_first_unserved(stack), stack.problems, strict=True)
    ]
    return tuple(np.where(share < 1e-9, 0.0, np.minimum(share, 1.0)) for share in left)


def _asked(stack: Stack, most_unserved: tuple[Float, ...]) -> Stack:
    """The program in which no row may be unserved by more than is said."""
    upper = stack.upper.copy()
    for h, (part, most) in enumerate(zip(stack.parts, most_unserved, strict=True)):
        columns = stack.of(h).start + np.arange(part.columns.of("unserved").start, part.columns.of("unserved").stop)
        upper[columns] = np.minimum(upper[columns], most)
    return replace(stack, upper=upper)


def _giving(stack: Stack, gives: Sequence[Give]) -> _Giving:
    row, column, value = [], [], []
    for number, give in enumerate(gives):
        for rows in give.rows:
            at = _rows_of(stack, rows)
            equation = stack.row_lower[at] == stack.row_upper[at]
            row.append(at)
            column.append(np.full(len(at), number))
            value.append(np.where(equation, 1.0, -rows.by) * stack.row_scale[at])
    own = np.concatenate([np.empty(0, np.int64), *row]), np.concatenate([np.empty(0, np.int64), *column])
    shape = (len(stack.row_upper), len(gives))
    added = sp.csr_matrix((np.concatenate([np.empty(0), *value]), own), shape=shape)
    weight = np.array([give.weight for give in gives])
    return _Giving(
        cost=np.concatenate([np.zeros(len(stack.cost)), weight]),
        lower=np.concatenate([stack.lower, np.zeros(len(gives))]),
        upper=np.concatenate([stack.upper, _most_given(stack, added, gives)]),
        integer=np.concatenate([stack.integer, np.array([give.whole for give in gives], np.bool_)]),
        matrix=sp.csr_matrix(sp.hstack([stack.matrix, added], format="csr")),
        row_lower=stack.row_lower,
        row_upper=stack.row_upper,
        row_scale=stack.row_scale,
        inner=stack,
        gives=len(gives),
    )


def _rows_of(stack: Stack, wanted: Loosened) -> Int:
    """Where the rows stand in the program; those that no plan could break are not there."""
    first, families = 0, stack.ties
    for h, part in enumerate(stack.parts):
        if h == wanted.period:
            families = part.families
            break
        first += len(part.row_upper)
    for rows in families:
        if rows.family == wanted.family:
            return first + np.flatnonzero(_about(rows, wanted))
        first += rows.count
    return np.empty(0, np.int64)


def _about(rows: Rows, wanted: Loosened) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    labels = dict(rows.labels)
    matching = np.ones(rows.count, np.bool_)
    for letter, number in wanted.about:
        matching &= labels[letter] == number
    return matching


def _most_given(stack: Stack, added: sp.csr_matrix, gives: Sequence[Give]) -> Float:
    """What each limit would have to give if every column stood at its bound, rounded up: enough for any plan."""
    matrix = stack.matrix
    largest = matrix.maximum(0) @ stack.upper + matrix.minimum(0) @ stack.lower
    entries = added.tocoo()
    with np.errstate(invalid="ignore"):
        over = np.maximum(np.asarray(largest).reshape(-1) - stack.row_upper, 0.0)[entries.row] / np.abs(entries.data)
    most = np.zeros(len(gives))
    np.maximum.at(most, entries.col, np.ceil(over))
    equation = stack.row_lower[entries.row] == stack.row_upper[entries.row]
    most[entries.col[equation]] = 1.0
    return most


def _cheapest(program: _Giving, least: float) -> _Giving:
    """The second step: the cost is made small, and no more is given than the least."""
    weight = np.flatnonzero(program.cost)
    limit = least + _SLACK * max(least, 1.0 if not len(weight) else float(np.abs(program.cost[weight]).min()))
    row = sp.csr_matrix((program.cost[weight], (np.zeros(len(weight), np.int64), weight)), shape=(1, len(program.cost)))
    return replace(
        program,
        cost=np.concatenate([program.inner.cost, np.zeros(program.gives)]),
        matrix=sp.csr_matrix(sp.vstack([program.matrix, row], format="csr")),
        row_lower=np.append(program.row_lower, -np.inf),
        row_upper=np.append(program.row_upper, limit),
        row_scale=np.append(program.row_scale, 1.0),
    )
