"""The mixed-integer model of a problem as one sparse matrix."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from solvers.exact.columns import Columns, Most, layout, most
from solvers.exact.rows import FAMILIES, Rows
from solvers.problem import Bool, Float, Problem
from solvers.solution import Placement


@dataclass(frozen=True)
class Model:
    """minimise offset + cost·v, row_lower ≤ A v ≤ row_upper, lower ≤ v ≤ upper, v integer where `integer`."""

    cost: Float
    lower: Float
    upper: Float
    integer: Bool
    matrix: sp.csr_matrix
    row_lower: Float
    row_upper: Float
    row_scale: Float  # what every row was multiplied by: a power of two
    columns: Columns
    families: tuple[Rows, ...]
    offset_usd: float = 0.0  # paid whatever v is: the rows that nobody can serve

    def row_names(self) -> Iterator[str]:
        """Names of the rows, each with its equation's number; made one by one as they are read."""
        for rows in self.families:
            yield from (rows.name(number) for number in range(rows.count))

    def column_names(self) -> Iterator[str]:
        """Names of the columns."""
        return self.columns.names()


def build_model(problem: Problem) -> Model:
    """Assemble every family of constraints of `problem` into one model."""
    bounds = most(problem)
    columns = layout(problem, bounds)
    families = tuple(family(problem, columns, bounds) for family in FAMILIES)
    start = np.concatenate([[0], np.cumsum([rows.count for rows in families])])
    row = np.concatenate([rows.row + first for rows, first in zip(families, start[:-1], strict=True)])
    column = np.concatenate([rows.column for rows in families])
    value = np.concatenate([rows.value for rows in families])
    scale = _scale(row, value, int(start[-1]))
    matrix = sp.csr_matrix((value * scale[row], (row, column)), shape=(int(start[-1]), columns.count))
    return Model(
        cost=_cost(problem, columns),
        lower=np.zeros(columns.count),
        upper=_upper(problem, columns, bounds),
        integer=_integer(problem, columns),
        matrix=matrix,
        row_lower=np.concatenate([rows.lower for rows in families]) * scale,
        row_upper=np.concatenate([rows.upper for rows in families]) * scale,
        row_scale=scale,
        columns=columns,
        families=families,
        offset_usd=float(problem.unserved_usd[_given_up(problem)].sum()),
    )


def vector(model: Model, problem: Problem, placement: Placement) -> Float:
    """`placement` as a value of every column, M; counts above what any plan needs are cut to it.

    Open sites without a server, which cost money for nothing, are closed.
    """
    values = np.zeros(model.columns.count)
    at = model.columns
    held = np.bincount(problem.offer_site, placement.servers, minlength=problem.sites) > 0
    values[at.open : at.servers] = placement.open & (held | (problem.open_usd < 0))
    values[at.servers : at.replicas] = placement.servers
    values[at.replicas : at.choices] = placement.replicas
    values[at.choices : at.share] = placement.replicas[at.choice_block] > 0
    values[at.share : at.unserved] = placement.share
    values[at.unserved :] = placement.unserved
    return np.minimum(values, model.upper)


def _given_up(problem: Problem) -> Bool:
    """Rows that nobody can serve and nobody has to: their penalty is paid in any case, so it is no matter of choice.

    It stays out of the cost, so that a relative gap is one of what can be decided.
    """
    return np.asarray(problem.unservable & np.isfinite(problem.unserved_usd), np.bool_)


def _cost(problem: Problem, columns: Columns) -> Float:
    nothing = np.zeros(columns.share - columns.replicas)
    constant = np.isinf(problem.unserved_usd) | _given_up(problem)
    unserved = np.where(constant, 0.0, problem.unserved_usd)
    return np.concatenate([problem.open_usd, problem.offer_usd, nothing, problem.pair_usd, unserved])


def _upper(problem: Problem, columns: Columns, bounds: Most) -> Float:
    return np.concatenate(
        [
            np.ones(problem.sites),
            bounds.servers,
            bounds.replicas,
            np.ones(len(columns.choice_block)),
            np.floor(bounds.share + 1e-9) if problem.single_source else bounds.share,
            np.where(np.isinf(problem.unserved_usd), 0.0, 1.0),
        ]
    )


def _integer(problem: Problem, columns: Columns) -> Bool:
    integer = np.zeros(columns.count, np.bool_)
    integer[: columns.share] = True
    integer[columns.share : columns.unserved] = problem.single_source
    return integer


def _scale(row: np.ndarray, value: Float, count: int) -> Float:
    """A power of two for every row whose largest coefficient is far from 1; powers of two change no digit."""
    largest = np.zeros(count)
    np.maximum.at(largest, row, np.abs(value))
    far = (largest > 0) & ((largest > 128) | (largest < 1 / 16))
    return np.where(far, np.exp2(-np.floor(np.log2(np.where(far, largest, 1.0)))), 1.0)
