"""The mixed-integer model of a problem as one sparse matrix."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from solvers.exact.bounds import Most, most
from solvers.exact.columns import Columns, given_up, layout
from solvers.exact.rows import FAMILIES, Rows
from solvers.problem import Bool, Float, Problem


@dataclass(frozen=True, kw_only=True)
class Program(ABC):
    """minimise offset + cost·v, row_lower ≤ A v ≤ row_upper, lower ≤ v ≤ upper, v integer where `integer`."""

    cost: Float
    lower: Float
    upper: Float
    integer: Bool
    matrix: sp.csr_matrix
    row_lower: Float
    row_upper: Float
    row_scale: Float  # what every row was multiplied by: a power of two
    offset_usd: float = 0.0  # paid whatever v is: the rows that nobody can serve

    @abstractmethod
    def row_names(self) -> Iterator[str]:
        """Names of the rows, each with its equation's number; made one by one as they are read."""

    @abstractmethod
    def column_names(self) -> Iterator[str]:
        """Names of the columns."""


@dataclass(frozen=True, kw_only=True)
class Model(Program):
    """The program of one problem."""

    columns: Columns
    families: tuple[Rows, ...]

    def row_names(self) -> Iterator[str]:
        """Names of the rows, each with its equation's number; made one by one as they are read."""
        for rows in self.families:
            yield from (rows.name(number) for number in range(rows.count))

    def column_names(self) -> Iterator[str]:
        """Names of the columns."""
        return self.columns.names()


def build_model(problem: Problem, bounds: Most | None = None) -> Model:
    """Assemble every family of constraints of `problem` into one model.

    `bounds` is what `most` finds unless given: larger ones where something beyond the problem, such as an earlier
    period, keeps more standing.
    """
    bounds = most(problem) if bounds is None else bounds
    columns = layout(problem, bounds)
    families = tuple(family(problem, columns, bounds) for family in FAMILIES)
    block = row_block(families, columns.count)
    return Model(
        cost=np.concatenate([kind.usd for kind in columns.kinds]),
        lower=np.zeros(columns.count),
        upper=np.concatenate([kind.upper for kind in columns.kinds]),
        integer=np.concatenate([np.full(kind.count, kind.whole) for kind in columns.kinds]),
        matrix=block.matrix,
        row_lower=block.lower,
        row_upper=block.upper,
        row_scale=block.scale,
        columns=columns,
        families=families,
        offset_usd=float(problem.unserved_usd[given_up(problem)].sum()),
    )


class RowBlock(NamedTuple):
    """Rows as a matrix, scaled, with their bounds."""

    matrix: sp.csr_matrix
    lower: Float
    upper: Float
    scale: Float


def row_block(families: Sequence[Rows], columns: int) -> RowBlock:
    """The rows of all the families, one after the other."""
    start = np.concatenate([[0], np.cumsum([rows.count for rows in families])])
    row = np.concatenate([rows.row + first for rows, first in zip(families, start[:-1], strict=True)])
    column = np.concatenate([rows.column for rows in families])
    value = np.concatenate([rows.value for rows in families])
    scale = _scale(row, value, int(start[-1]))
    return RowBlock(
        sp.csr_matrix((value * scale[row], (row, column)), shape=(int(start[-1]), columns)),
        np.concatenate([rows.lower for rows in families]) * scale,
        np.concatenate([rows.upper for rows in families]) * scale,
        scale,
    )


def _scale(row: np.ndarray, value: Float, count: int) -> Float:
    """A power of two for every row whose largest coefficient is far from 1; powers of two change no digit."""
    largest = np.zeros(count)
    np.maximum.at(largest, row, np.abs(value))
    far = (largest > 0) & ((largest > 128) | (largest < 1 / 16))
    return np.where(far, np.exp2(-np.floor(np.log2(np.where(far, largest, 1.0)))), 1.0)
