"""Steps towards better multipliers: multiplicative Adam on the demand prices, projected Adam on the others.

The demand prices live on a logarithmic scale, because a class of a megacity is worth thousands of
times one of a village (Kingma & Ba 2015 for the step; Fisher 1981 and Geoffrion 1974 for the relaxation).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from solvers.bound.backup import per_row
from solvers.bound.evaluate import Evaluator, Sweep
from solvers.bound.start import replica_worth, server_worth
from solvers.solution import Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]

MEMORY = 0.85
SCALE_MEMORY = 0.97
CUT_PART = 0.5


class _Adam:
    """Bias-corrected direction of Adam for one vector."""

    def __init__(self, size: int | tuple[int, ...]) -> None:
        self.mean = np.zeros(size)
        self.square = np.zeros(size)
        self.count = 0

    def __call__(self, gradient: Float) -> Float:
        self.count += 1
        self.mean += (1 - MEMORY) * (gradient - self.mean)
        self.square += (1 - SCALE_MEMORY) * (gradient * gradient - self.square)
        mean = self.mean / (1 - MEMORY**self.count)
        square = self.square / (1 - SCALE_MEMORY**self.count)
        return np.asarray(mean / (np.sqrt(square) + 1e-8), float)


class Steps:
    """The moving parts of a cycle of the ascent: one Adam a family of rows, and the unit of each price.

    Cuts move along prices that leave what pairs inside of B earn as it is: the demand prices of their rows follow
    (`docs/certificate.md` counts what cuts pay for shares among these). Else both had to move against each other.
    """

    def __init__(self, evaluator: Evaluator, start: Multipliers) -> None:
        problem = evaluator.layout.problem
        self.problem, self.evaluator = problem, evaluator
        self.demand = _Adam(problem.demands)
        self.uplink = _Adam(start.uplink_usd.shape)
        self.downlink = _Adam(start.downlink_usd.shape)
        self.limit = _Adam(len(problem.limit_rhs))
        self.budget = _Adam(1)
        self.cut = _Adam(len(start.cut_usd))
        self.cover = _Adam(len(start.cover_usd))
        self.floor = 1e-9 * max(float(np.abs(start.demand_usd).max(initial=0)), 1e-9)
        self.networked = bool(np.isfinite(problem.uplink_mbps).any() or np.isfinite(problem.downlink_mbps).any())
        worth = float(start.demand_usd[~problem.unservable].sum())
        traffic = float(problem.out_mbps.sum() + problem.in_mbps.sum())
        self.network_unit = worth / traffic if traffic > 0 else 0.0
        per_unit = problem.limit_matrix.multiply(problem.limit_matrix > 0)
        usd = np.asarray(abs(per_unit) @ problem.offer_usd).ravel()
        weight = np.asarray(per_unit.multiply(per_unit).sum(axis=1)).ravel()
        usd = np.where(usd > 0, usd, np.asarray(abs(per_unit) @ server_worth(problem)).ravel())
        self.limit_unit = np.where(weight > 0, usd / np.maximum(weight, 1e-300), 0.0)
        self.cut_unit, self.cover_unit = cut_unit(evaluator), cover_unit(evaluator)

    def step(self, now: Multipliers, swept: Sweep, step: float) -> Multipliers:
        """The next multipliers: demand multiplied by exp(step·direction), the others moved by step·unit·direction."""
        problem = self.problem
        gradient = 1.0 - swept.served
        most_usd = self.evaluator.most_usd(now)
        left = self._left(now.demand_usd, most_usd, gradient)
        gradient -= left
        demand = np.maximum(now.demand_usd, self.floor) * np.exp(step * self.demand(gradient))
        moved = now
        if len(now.cut_usd):
            moved = self._cuts(now, gradient, step)
            demand = np.maximum(demand + self._paid_for_shares(moved.cut_usd - now.cut_usd), self.floor)
        if len(now.cover_usd):
            moved = self._covers(moved, left[: self.evaluator.rows], step)
        demand = self._capped(demand, self.evaluator.most_usd(moved))
        moved = replace(moved, demand_usd=np.where(problem.unservable, now.demand_usd, demand))
        if self.networked:
            moved = self._network(moved, swept, step)
        if len(problem.limit_rhs):
            moved = self._limits(moved, swept, step)
        if np.isfinite(problem.monthly_budget_usd):
            servers = swept.answer.servers * swept.open[problem.offer_site]
            paid = float(problem.open_usd @ swept.open + problem.offer_usd @ servers) + self.evaluator.totals()[2]
            paid += float(problem.each_replica_usd @ (swept.answer.replicas * swept.open[problem.block_site]))
            direction = self.budget(np.array([paid / max(problem.monthly_budget_usd, 1e-9) - 1.0]))
            moved = replace(moved, budget=max(0.0, moved.budget + step * float(direction[0])))
        return moved

    def _left(self, demand_usd: Float, most_usd: Float, gradient: Float) -> Float:
        """How much of every row is left unserved: of those whose price is all that leaving them costs.

        A row and its failures are left together, by what they lack on average. What one of them lacks more is slope
        along prices that keep their sum; were each left by what it lacks itself, its price would never move to another.
        """
        whose, rows = self.evaluator.whose, self.evaluator.rows
        full = per_row(demand_usd, whose, rows) >= most_usd * (1 - 1e-12)
        lacking = per_row(gradient, whose, rows)
        if whose is not None:
            lacking /= np.bincount(whose, minlength=rows)
        left = np.where(full, np.clip(lacking, 0.0, 1.0), 0.0)
        return np.asarray(left if whose is None else left[whose], np.float64)

    def _capped(self, demand_usd: Float, most_usd: Float) -> Float:
        """Prices of which no row's are more, together, than leaving it costs."""
        whose, rows = self.evaluator.whose, self.evaluator.rows
        if whose is None:
            return np.minimum(demand_usd, most_usd)
        total = per_row(demand_usd, whose, rows)
        kept = np.where(total > most_usd, np.maximum(most_usd, 0.0) / np.maximum(total, 1e-300), 1.0)
        return np.asarray(demand_usd * kept[whose], float)

    def _cuts(self, now: Multipliers, gradient: Float, step: float) -> Multipliers:
        cuts, table = self.evaluator.cuts, self.evaluator.cut_table
        slope = self.evaluator.broken() + np.bincount(
            table.row_cut, table.row_weight * gradient[cuts.row], minlength=cuts.count
        )
        slope[(now.cut_usd <= 0) & (slope < 0)] = 0.0
        return replace(now, cut_usd=np.maximum(now.cut_usd + step * self.cut_unit * self.cut(slope), 0.0))

    def _covers(self, now: Multipliers, left: Float, step: float) -> Multipliers:
        slope = self.evaluator.missing(left)
        slope[(now.cover_usd <= 0) & (slope < 0)] = 0.0
        return replace(now, cover_usd=np.maximum(now.cover_usd + step * self.cover_unit * self.cover(slope), 0.0))

    def _paid_for_shares(self, cut_usd: Float) -> Float:
        """Σ_c δ_ic, I."""
        table = self.evaluator.cut_table
        usd = cut_usd[table.row_cut] * table.row_weight
        return np.bincount(self.evaluator.cuts.row, usd, minlength=self.problem.demands).astype(np.float64)

    def _limits(self, now: Multipliers, swept: Sweep, step: float) -> Multipliers:
        problem = self.problem
        finite = np.isfinite(problem.limit_rhs)
        used = problem.limit_matrix @ (swept.answer.servers * swept.open[problem.offer_site])
        rhs = np.where(finite, problem.limit_rhs, 1.0)
        excess = np.where(finite, (used - rhs) / np.maximum(rhs, 1), -1.0)
        limit = np.where(finite, np.maximum(now.limit_usd + step * self.limit_unit * self.limit(excess), 0.0), 0.0)
        return replace(now, limit_usd=np.where(problem.limit_rhs == 0, now.limit_usd, limit))

    def _network(self, now: Multipliers, swept: Sweep, step: float) -> Multipliers:
        problem = self.problem
        up, down, _ = self.evaluator.totals()
        new = []
        for price, used, room, adam in (
            (now.uplink_usd, up, problem.uplink_mbps, self.uplink),
            (now.downlink_usd, down, problem.downlink_mbps, self.downlink),
        ):
            bound = np.isfinite(room)[:, None] & np.ones_like(price, bool)
            limit = np.where(np.isfinite(room), room, 1.0)[:, None]
            excess = np.where(bound, (used - limit * swept.open[:, None]) / np.maximum(limit, 1e-9), 0.0)
            excess = np.where((price <= 0) & (excess < 0), 0.0, excess)
            new.append(np.where(bound, np.maximum(price + step * self.network_unit * adam(excess), 0.0), 0.0))
        return replace(now, uplink_usd=new[0], downlink_usd=new[1])


def cut_unit(evaluator: Evaluator) -> Float:
    """What a unit of every cut may be worth, C: half of the mean price of the replicas that count one."""
    table = evaluator.cut_table
    return _unit(evaluator, table.reach_cut, table.reach_block, table.reach_round, table.number)


def cover_unit(evaluator: Evaluator) -> Float:
    """What a unit of every cover may be worth, F."""
    table = evaluator.cover_table
    return _unit(evaluator, table.reach_cover, table.reach_block, table.reach_each, table.number)


def _unit(evaluator: Evaluator, reach: NDArray[np.integer], block: Int, counted: Float, number: int) -> Float:
    each = CUT_PART * replica_worth(evaluator.layout.problem)[block]
    whole = np.divide(each, counted, out=np.zeros_like(each), where=counted > 0)
    count = np.bincount(reach, counted > 0, minlength=number)
    return np.asarray(np.bincount(reach, whole, minlength=number) / np.maximum(count, 1), np.float64)
