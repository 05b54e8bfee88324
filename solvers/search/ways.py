"""Through the periods of a roll-out, forward or backward, and what of one period's prices holds in the next."""

from dataclasses import dataclass, field, replace

import numpy as np

from solvers.bound.ascent import cold_start
from solvers.problem import Problem
from solvers.rollout import Rollout
from solvers.search.chain import Stage, stage_of
from solvers.search.early import early_enough
from solvers.solution import Multipliers, Placement


@dataclass
class Way:
    """Plans of one period after another, from the first or from the last."""

    rollout: Rollout
    backward: bool
    plans: list[Placement] = field(default_factory=list)
    added_usd: dict[int, float] = field(default_factory=dict)  # by the reserve, by period

    def next_stage(self) -> tuple[int, Stage]:
        """The next period and its stage, given what is planned."""
        h = len(self.plans)
        if self.backward:
            h = len(self.rollout.periods) - 1 - h
            return h, stage_of(self.rollout, h, None, self.plans[-1].servers if self.plans else None)
        before = self.plans[-1].servers if self.plans else np.zeros(self.rollout.periods[0].offers, np.int64)
        return h, stage_of(self.rollout, h, before)

    def whole(self) -> tuple[Placement, ...] | None:
        """The plans in order, None where some period cannot set up or pay for what it needs."""
        return early_enough(self.rollout, tuple(reversed(self.plans))) if self.backward else tuple(self.plans)


def carried(earlier: Problem, later: Problem, prices: Multipliers) -> Multipliers | None:
    """Prices of one period for the next, demand prices scaled as their rows grow; None where the rows differ.

    A limit that more than doubles is another limit: its price, which may be beyond all measure where there was none to
    be had, begins anew.
    """
    same = (
        earlier.demands == later.demands
        and earlier.sites == later.sites
        and earlier.slices == later.slices
        and len(earlier.limit_rhs) == len(later.limit_rhs)
    )
    if not same:
        return None
    old, new = cold_start(earlier).demand_usd, cold_start(later).demand_usd
    grown = np.where(old > 0, new / np.where(old > 0, old, 1.0), 1.0)
    limit_usd = np.where(later.limit_rhs <= 2 * earlier.limit_rhs, prices.limit_usd, 0.0)
    demand_usd = np.minimum(prices.demand_usd * grown, later.unserved_usd)
    backup = replace(prices.backup, usd=prices.backup.usd * grown[prices.backup.row])
    return replace(prices, demand_usd=demand_usd, limit_usd=limit_usd, backup=backup, job_usd=np.zeros(0))
