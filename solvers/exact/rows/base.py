"""Rows of a model as coordinate arrays, with the equation's number in their names."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.exact.bounds import Most
from solvers.exact.columns import Columns
from solvers.problem import Bool, Float, Int, Problem


@dataclass(frozen=True)
class Rows:
    """Rows of one family: entries (row, column, value), bounds, and what each row is about."""

    equation: str
    family: str
    row: Int
    column: Int
    value: Float
    lower: Float
    upper: Float
    labels: tuple[tuple[str, Int], ...]  # letter of an index, and that index for every row; -1 is not named

    @property
    def count(self) -> int:
        return len(self.upper)

    def name(self, number: int) -> str:
        """The row's name in an LP file, made only when asked for."""
        where = "".join(f"_{letter}{index[number]}" for letter, index in self.labels if index[number] >= 0)
        return f"c{self.equation}_{self.family}{where}"


Family = Callable[[Problem, Columns, Most], Rows]
"""Takes (problem, columns, most) and returns the rows that can bind; one that no plan within `most` could break is
left out."""

Labels = tuple[tuple[str, Int], ...]
Part = tuple[Int, Int, Float | float]
"""(row, column, value) of some entries."""


def at_most(equation: str, family: str, labels: Labels, parts: tuple[Part, ...], right: Float | float = 0.0) -> Rows:
    """Rows Σ value·column ≤ right."""
    return _rows(equation, family, labels, parts, -np.inf, right)


def equal(equation: str, family: str, labels: Labels, parts: tuple[Part, ...], right: Float | float) -> Rows:
    """Rows Σ value·column = right."""
    return _rows(equation, family, labels, parts, right, right)


def _rows(
    equation: str,
    family: str,
    labels: Labels,
    parts: tuple[Part, ...],
    lower: Float | float,
    upper: Float | float,
) -> Rows:
    count = len(labels[0][1])
    return Rows(
        equation,
        family,
        np.concatenate([row for row, _, _ in parts]),
        np.concatenate([column for _, column, _ in parts]),
        np.concatenate([np.broadcast_to(np.asarray(value, np.float64), row.shape) for row, _, value in parts]),
        np.broadcast_to(np.asarray(lower, np.float64), (count,)).copy(),
        np.broadcast_to(np.asarray(upper, np.float64), (count,)).copy(),
        labels,
    )


def none(equation: str, family: str, *letters: str) -> Rows:
    """No row at all: the rule is off."""
    empty = np.empty(0, np.int64)
    return at_most(equation, family, tuple((letter, empty) for letter in letters), ((empty, empty, 1.0),))


def kept(key: Int, wanted: Bool) -> tuple[Int, Int, Bool]:
    """Rows for the keys that are wanted: (their keys, row of every entry that stays, which entries stay)."""
    number = np.cumsum(wanted) - 1
    stays = wanted[key]
    return np.flatnonzero(wanted).astype(np.int64), number[key[stays]], stays
