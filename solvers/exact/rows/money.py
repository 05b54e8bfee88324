"""Rows over the whole plan: stock, export, capex (10-12), the monthly budget (12), totals such as carbon (16)."""

import numpy as np

from solvers.exact.bounds import Most
from solvers.exact.columns import Columns
from solvers.exact.rows.base import Part, Rows, at_most, kept
from solvers.problem import Float, Problem
from solvers.rules import Total


def limits(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(10–12) Stock, export, capex: Σ_o limit_lo·s_o ≤ limit_rhs_l."""
    entries = problem.limit_matrix.tocoo()
    largest = np.asarray(problem.limit_matrix @ most.servers.astype(np.float64)).reshape(-1)
    limit, row, stays = kept(entries.row.astype(np.int64), largest > problem.limit_rhs)
    return at_most(
        "10",
        "limits",
        (("l", limit),),
        ((row, columns.at("servers", entries.col[stays]), entries.data[stays]),),
        problem.limit_rhs[limit],
    )


def monthly_budget(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(12) All that is paid in a month, the unserved left out: Σ usd·column ≤ monthly_budget_usd."""
    one = np.zeros(1 if np.isfinite(problem.monthly_budget_usd) else 0, np.int64)
    parts: list[Part] = [(one[:0], one[:0], 1.0)]
    for kind in columns.kinds if len(one) else ():
        paid = np.flatnonzero(kind.usd) if kind.name != "unserved" else one[:0]
        parts.append((np.zeros(len(paid), np.int64), columns.at(kind.name, paid), kind.usd[paid]))
    return at_most("12", "monthly_budget", (("h", one),), tuple(parts), problem.monthly_budget_usd)


def total_vector(columns: Columns, total: Total) -> Float:
    """The coefficient of every column in `total`, M; a plan's value of the total is this times its vector.

    Raises ValueError where added replicas or peaks count negatively: their columns say "at least".
    """
    result = np.zeros(columns.count)
    counted = {
        "open": total.open,
        "servers": total.offer,
        "share": total.pair,
        "unserved": total.unserved,
        "job": total.job,
        "added": total.added,
        "peak": total.peak,
    }
    for name, coefficients in counted.items():
        if coefficients is None or not columns.kind(name).count:
            continue
        if name in ("added", "peak") and (coefficients < 0).any():
            raise ValueError(f"the total {total.name!r} counts {name} negatively")
        result[columns.of(name)] = coefficients[columns.kind(name).index[0]]
    return result


def totals(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(16) Carbon, the least served share, goals already reached: Σ coefficient·column ≤ most."""
    limited = [number for number, total in enumerate(problem.rules.totals) if np.isfinite(total.most)]
    empty = np.empty(0, np.int64)
    parts: list[Part] = [(empty, empty, 1.0)]
    for row, number in enumerate(limited):
        value = total_vector(columns, problem.rules.totals[number])
        column = np.flatnonzero(value)
        parts.append((np.full(len(column), row), column, value[column]))
    most = np.array([problem.rules.totals[number].most for number in limited], np.float64)
    return at_most("16", "totals", (("k", np.array(limited, np.int64)),), tuple(parts), most)
