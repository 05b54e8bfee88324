"""A MILP for scipy by names of columns: what `audit_model` writes equations into."""

from collections import defaultdict
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

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
        self.constant = 0.0

    def column(self, name: Name, cost: float, upper: float, *, whole: bool = False) -> None:
        self.columns[name] = len(self.cost)
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(int(whole))

    def row(self, terms: Terms, most: float, least: float = -np.inf) -> None:
        entries: dict[int, float] = defaultdict(float)
        for name, weight in terms:
            entries[self.columns[name]] += weight
        self.rows.append((entries, least, most))

    def state(self, terms: Terms, most: float, usd: float | None) -> None:
        """Σ terms ≤ most: kept, or priced at usd."""
        if usd is None:
            self.row(terms, most)
            return
        for name, weight in terms:
            self.cost[self.columns[name]] += usd * weight
        self.constant -= usd * most

    def minimum(self) -> float:
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for j, (entries, _, _) in enumerate(self.rows):
            for column, weight in entries.items():
                matrix[j, column] = weight
        rows = LinearConstraint(matrix, [row[1] for row in self.rows], [row[2] for row in self.rows])
        options = {"mip_rel_gap": 0.0}
        found = milp(self.cost, integrality=self.whole, bounds=Bounds(0, self.upper), constraints=rows, options=options)
        assert found.success, found.message
        return float(found.fun) + self.constant
