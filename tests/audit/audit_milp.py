"""A MILP for scipy by names of columns: what `audit_model` writes equations into."""

from collections import defaultdict
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

Name = tuple[Any, ...]
Terms = list[tuple[Name, float]]


class Model:
    """Columns by name with cost, upper bound and kind; rows ≤, filled as the equations say."""

    def __init__(self) -> None:
        self.columns: dict[Name, int] = {}
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.whole: list[int] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.named: dict[Name, int] = {}
        self.constant = 0.0

    def column(self, name: Name, cost: float, upper: float, *, whole: bool = False) -> None:
        self.columns[name] = len(self.cost)
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(int(whole))

    def upper_of(self, name: Name) -> float:
        return self.upper[self.columns[name]]

    def row(self, terms: Terms, most: float, least: float = -np.inf, called: Name | None = None) -> None:
        if called is not None:
            self.named[called] = len(self.rows)
        entries: dict[int, float] = defaultdict(float)
        for name, weight in terms:
            entries[self.columns[name]] += weight
        self.rows.append((entries, least, most))

    def state(self, terms: Terms, most: float, usd: float | None, called: Name | None = None) -> None:
        """Σ terms ≤ most: kept, or priced at usd."""
        if usd is None:
            self.row(terms, most, called=called)
            return
        for name, weight in terms:
            self.cost[self.columns[name]] += usd * weight
        self.constant -= usd * most

    def _matrix(self) -> np.ndarray:
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for j, (entries, _, _) in enumerate(self.rows):
            for column, weight in entries.items():
                matrix[j, column] = weight
        return matrix

    def duals(self) -> dict[Name, float]:
        """What the linear relaxation pays for the named rows; 0 or less for those that are ≤."""
        matrix, most = self._matrix(), np.array([row[2] for row in self.rows])
        even = np.array([row[1] == row[2] for row in self.rows])
        found = linprog(self.cost, matrix[~even], most[~even], matrix[even], most[even],
                        list(zip([0] * len(self.cost), self.upper, strict=True)), method="highs")  # fmt: skip
        assert found.success, found.message
        usd = np.empty(len(even))
        usd[~even], usd[even] = found.ineqlin.marginals, found.eqlin.marginals
        return {name: float(usd[j]) for name, j in self.named.items()}

    def minimum(self) -> float:
        matrix = self._matrix()
        rows = LinearConstraint(matrix, [row[1] for row in self.rows], [row[2] for row in self.rows])
        options = {"mip_rel_gap": 0.0}
        found = milp(self.cost, integrality=self.whole, bounds=Bounds(0, self.upper), constraints=rows, options=options)
        assert found.success, found.message
        return float(found.fun) + self.constant
