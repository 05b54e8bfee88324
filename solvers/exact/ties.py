"""(10, 12) The rows between the periods of a roll-out. Symbols are those of `solvers.rollout`."""

from dataclasses import dataclass

import numpy as np

from solvers.exact.rows import Rows
from solvers.exact.rows.base import Part, at_most
from solvers.problem import Bool, Float, Int
from solvers.rollout import Rollout


@dataclass(frozen=True)
class Ties:
    """Rows over the server columns of all periods.

    What grows in the first period, and what offers that stay grow by, are differences of server columns. Only an
    offer that may be given back has a column of its own for it, grown_oh ≥ s_oh − s_o,h−1, where a limit counts it.
    """

    rollout: Rollout
    servers: Int  # H × O: the column of every server decision
    most: Int  # H × O: the most of each
    columns: int  # of all periods; those that say what has grown follow

    def rows(self) -> tuple[Rows, ...]:
        """Every family."""
        return self.stays(), self.grown(), self.installs(), self.capex()

    def growing(self) -> tuple[Int, Int]:
        """Period and offer of every column that says what has grown."""
        rollout = self.rollout
        counted = rollout.installed & np.isfinite(rollout.installs)[:, None]
        counted |= (rollout.capex_usd > 0) & np.isfinite(rollout.capex_most)[:, None]
        period, offer = np.nonzero(counted[1:] & ~rollout.stays)
        return period.astype(np.int64) + 1, offer.astype(np.int64)

    def stays(self) -> Rows:
        """(10) Servers that are bought stay: s_o,h−1 ≤ s_oh."""
        before, offer = np.nonzero(self.rollout.stays & (self.most[:-1] > 0))
        row = np.arange(len(before))
        return at_most(
            "10",
            "stays",
            (("h", before + 1), ("o", offer)),
            (
                (row, self.servers[before, offer], 1.0),
                (row, self.servers[before + 1, offer], -1.0),
            ),
        )

    def grown(self) -> Rows:
        """(10) What an offer that may be given back has grown by: s_oh − s_o,h−1 ≤ grown_oh."""
        period, offer = self.growing()
        row = np.arange(len(period))
        return at_most(
            "10",
            "grown",
            (("h", period), ("o", offer)),
            (
                (row, self.servers[period, offer], 1.0),
                (row, self.servers[period - 1, offer], -1.0),
                (row, self.columns + row, -1.0),
            ),
        )

    def installs(self) -> Rows:
        """(10) Servers set up in a period: Σ_{o installed} grown_oh ≤ installs_h."""
        return self._growth("10", "installs", self.rollout.installed.astype(np.float64), self.rollout.installs)

    def capex(self) -> Rows:
        """(12) What is newly bought in a period: Σ_o capex_usd_o·grown_oh ≤ capex_most_h."""
        return self._growth("12", "capex", self.rollout.capex_usd, self.rollout.capex_most)

    def _growth(self, equation: str, family: str, weight: Float, limit: Float) -> Rows:
        """Rows Σ_o weight_o·grown_oh ≤ limit_h, where the most of every offer could exceed it."""
        largest = self.most @ weight
        period = np.flatnonzero(largest > limit)
        row_of = np.full(len(limit), -1)
        row_of[period] = np.arange(len(period))
        column_of = np.full(self.most.shape, -1)
        growing = self.growing()
        column_of[growing] = self.columns + np.arange(len(growing[0]))
        weighed = np.flatnonzero(weight)
        parts: list[Part] = []
        for h in period.tolist():
            row = np.full(len(weighed), row_of[h])
            own: Bool = column_of[h, weighed] >= 0
            column = np.where(own, column_of[h, weighed], self.servers[h, weighed])
            parts.append((row, column, weight[weighed]))
            if h > 0:
                less = weighed[~own]
                parts.append((row[: len(less)], self.servers[h - 1, less], -weight[less]))
        empty = np.empty(0, np.int64)
        return at_most(equation, family, (("h", period),), ((empty, empty, 1.0), *parts), limit[period])
