"""A plan while it is being completed: what stands, what it takes of GPUs, power, stock, and what is left.

A *unit* is a (site, GPU type), numbered site·types + type. Equation 6 is kept as `held` − `taken` ≥ 0 for every unit,
size and slice; a block stands in every slice or in its own one.
"""

from typing import Self

import numpy as np

from solvers.problem import Bool, Int, Problem
from solvers.solution import Placement, added

SIZES = np.array([1, 8, 16, 32])
"""Quarters from which the rows of (6) count."""
LOOSE = 5e-10
"""Of a limit, allowed when uses are added up; half of what `solvers.check` allows."""


class Draft:
    """Mutable copies of a placement's arrays with their accounts. P sites, O offers, B blocks, T slices."""

    def __init__(self, problem: Problem, plan: Placement) -> None:
        self.problem = problem
        self.servers = plan.servers.copy()
        self.replicas = plan.replicas.copy()
        self.share = plan.share.copy()
        self.unserved = plan.unserved.copy()
        rules = problem.rules
        self.jobs = np.full(0 if rules.jobs is None else rules.jobs.jobs, -1, np.int64)
        of_jobs = 0 if rules.jobs is None else rules.jobs.option_slices.shape[1]
        self.slices = max(problem.slices, 1, of_jobs)
        self.types = int(max(problem.shape_gpu.max(initial=0), problem.server_gpu.max(initial=0),
                             -1 if rules.jobs is None else rules.jobs.option_gpu.max(initial=0))) + 1  # fmt: skip
        self.quarters = problem.shape_quarters[problem.block_shape]
        self.level = np.searchsorted(SIZES, self.quarters, side="right") - 1
        self.block_unit = problem.block_site * self.types + problem.shape_gpu[problem.block_shape]
        self.stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
        self.offer_quarters = 4 * problem.server_gpus[problem.offer_server]
        gpu = problem.server_gpu[problem.offer_server]
        self.offer_unit = np.where(gpu >= 0, problem.offer_site * self.types + gpu, -1)
        self.offer_use = problem.server_use[problem.offer_server]
        self.site_offer = np.searchsorted(problem.offer_site, np.arange(problem.sites + 1))
        self.pair_first = np.searchsorted(problem.pair_demand, np.arange(problem.demands + 1))
        self.limits = problem.limit_matrix.tocsc()
        self.most = block_most(problem)
        self._count()

    @classmethod
    def of(cls, problem: Problem, plan: Placement) -> Self:
        """A draft of a completed plan, jobs and all."""
        draft = cls(problem, plan)
        for option in plan.jobs.tolist():
            draft.gang(option, 1)
        draft.jobs[:] = plan.jobs
        return draft

    def _count(self) -> None:
        """Add up all accounts from the counts."""
        problem = self.problem
        units = problem.sites * self.types
        self.held = np.zeros((units, len(SIZES)), np.int64)
        self.taken = np.zeros((units, len(SIZES), self.slices), np.int64)
        for offer in np.flatnonzero(self.servers):
            self._hold(int(offer), int(self.servers[offer]))
        for block in np.flatnonzero(self.replicas):
            self._take(int(block), int(self.replicas[block]))
        self.use = np.zeros_like(problem.site_limit)
        np.add.at(self.use, problem.offer_site, self.offer_use * self.servers[:, None])
        self.drawn = np.asarray(problem.limit_matrix @ self.servers.astype(float)).ravel()
        choices = int(problem.block_choice.max(initial=-1)) + 1
        self.user = np.full(choices + 1, -1, np.int64)
        own = np.flatnonzero((self.replicas > 0) & (problem.block_choice >= 0))
        self.user[problem.block_choice[own]] = own
        self.count = np.bincount(problem.offer_site, self.servers, minlength=problem.sites).astype(np.int64)

    @property
    def open(self) -> Bool:
        return np.asarray(self.count > 0, np.bool_)

    def _hold(self, offer: int, count: int) -> None:
        unit = self.offer_unit[offer]
        if unit >= 0:
            self.held[unit, self.offer_quarters[offer] >= SIZES] += self.offer_quarters[offer] * count

    def _take(self, block: int, count: int) -> None:
        rows = slice(0, int(self.level[block]) + 1)
        when = slice(None) if self.stands[block] < 0 else int(self.stands[block])
        self.taken[self.block_unit[block], rows, when] += self.quarters[block] * count

    def add(self, block: int, count: int) -> None:
        """Add replicas (take some away where `count` < 0); the caller has seen to the room."""
        self.replicas[block] += count
        self._take(block, count)
        choice = self.problem.block_choice[block]
        if choice >= 0:
            self.user[choice] = block if self.replicas[block] > 0 else -1

    def buy(self, offer: int, count: int) -> None:
        """Add servers (or give some back)."""
        self.servers[offer] += count
        self._hold(offer, count)
        site = self.problem.offer_site[offer]
        self.use[site] += self.offer_use[offer] * count
        self.count[site] += count
        span = slice(self.limits.indptr[offer], self.limits.indptr[offer + 1])
        self.drawn[self.limits.indices[span]] += self.limits.data[span] * count

    def gang(self, option: int, sign: int) -> None:
        """Let a job option run (+1) or stop (-1)."""
        jobs = self.problem.rules.jobs
        assert jobs is not None
        unit = jobs.option_site[option] * self.types + jobs.option_gpu[option]
        rows = int(np.searchsorted(SIZES, jobs.option_size[option], side="right"))
        when = np.zeros(self.slices, np.bool_)
        when[: jobs.option_slices.shape[1]] = jobs.option_slices[option]
        self.taken[unit, :rows, when] += sign * jobs.option_quarters[option]

    def spare(self) -> Int:
        """Quarters free in every slice, units × sizes."""
        return np.asarray((self.held[:, :, None] - self.taken).min(axis=2), np.int64)

    def block_room(self, blocks: Int) -> Int:
        """How many more replicas each of some blocks could have on the servers that stand."""
        level, unit, stands = self.level[blocks], self.block_unit[blocks], self.stands[blocks]
        free = np.minimum.accumulate(self.held[unit][:, :, None] - self.taken[unit], axis=1)
        free = free[np.arange(len(blocks)), level]
        own = free[np.arange(len(blocks)), np.maximum(stands, 0)]
        quarters = np.where(stands < 0, free.min(axis=1), own)
        return np.asarray(np.maximum(quarters, 0) // self.quarters[blocks], np.int64)

    def may_add(self) -> Int:
        """How many more replicas each block may have by rules of its own: maximum, operating point, pins, moves; B."""
        choice = self.problem.block_choice
        user = np.where(choice >= 0, self.user[choice], -1)
        mine = (user < 0) | (user == np.arange(len(choice)))
        may = np.where(mine, np.maximum(self.most - self.replicas, 0), 0)
        pins, moves = self.problem.rules.pins, self.problem.rules.moves
        if pins is not None:
            left = pins.most[:, None] - self.pinned()
            np.minimum.at(may, pins.entry_block, self._in_slices(pins.entry_block, left[pins.entry_pin]))
        if moves is not None and np.isfinite(moves.most):
            every = np.arange(len(may))
            left = np.broadcast_to(int(moves.most) - self.added(), (len(may), self.slices))
            free = np.maximum(moves.before - self.replicas, 0)
            may = np.minimum(may, free + self._in_slices(every, left))
        return np.asarray(may, np.int64)

    def _in_slices(self, blocks: Int, left: Int) -> Int:
        """Of counts by slice, the least over those that each block stands in, at least 0."""
        own = left[np.arange(len(blocks)), np.maximum(self.stands[blocks], 0)]
        return np.asarray(np.maximum(np.where(self.stands[blocks] < 0, left.min(axis=1), own), 0), np.int64)

    def pinned(self) -> Int:
        """Replicas of every pin, Q × T."""
        pins = self.problem.rules.pins
        assert pins is not None
        when = (self.stands[:, None] < 0) | (self.stands[:, None] == np.arange(self.slices)[None, :])
        total = np.zeros((len(pins.least), self.slices), np.int64)
        np.add.at(total, pins.entry_pin, (self.replicas[:, None] * when)[pins.entry_block])
        return total

    def added(self) -> Int:
        """Replicas added to those before, T."""
        more = added(self.problem, self.replicas)
        around = int(more[self.stands < 0].sum())
        own = self.stands >= 0
        return np.bincount(self.stands[own], more[own], minlength=self.slices).astype(np.int64) + around

    def can_buy(self, offer: int) -> int:
        """How many more servers of an offer may stand."""
        problem = self.problem
        site = problem.offer_site[offer]
        most = float(problem.offer_max[offer] - self.servers[offer])
        use, limit = self.offer_use[offer], problem.site_limit[site]
        for r in np.flatnonzero((use > 0) & np.isfinite(limit)):
            most = min(most, (limit[r] * (1 + LOOSE) - self.use[site, r]) / use[r])
        span = slice(self.limits.indptr[offer], self.limits.indptr[offer + 1])
        for row, value in zip(self.limits.indices[span], self.limits.data[span], strict=True):
            right = problem.limit_rhs[row]
            if value > 0 and np.isfinite(right):
                most = min(most, (right + LOOSE * max(1.0, abs(right)) - self.drawn[row]) / value)
        return max(int(np.floor(most + 1e-12)), 0)

    def site_offers(self, unit: int) -> Int:
        """Offers of a unit."""
        site = unit // self.types
        offers = np.arange(self.site_offer[site], self.site_offer[site + 1])
        return np.asarray(offers[self.offer_unit[offers] == unit], np.int64)

    def placement(self) -> Placement:
        """What stands now as a plan."""
        return Placement(
            self.open, self.servers.copy(), self.replicas.copy(), self.share.copy(), self.unserved.copy(),
            self.jobs.copy(),
        )  # fmt: skip


def block_most(problem: Problem) -> Int:
    """block_max, less where a pin or the replicas that may be added allow fewer of the block alone, B."""
    most = problem.block_max.copy()
    pins, moves = problem.rules.pins, problem.rules.moves
    if pins is not None:
        np.minimum.at(most, pins.entry_block, pins.most[pins.entry_pin])
    if moves is not None and np.isfinite(moves.most):
        most = np.minimum(most, moves.before + int(moves.most))
    return np.asarray(np.maximum(most, 0), np.int64)
