"""The Lagrangian function at one vector of multipliers, with its subgradient: two threads, the same bytes as one."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.backup import Survivors, joined, per_row, with_failures
from solvers.bound.covers import cover_table, missing, spared, standing_usd
from solvers.bound.cuts import broken, replica_gain, slot_usd, table_of
from solvers.bound.gain import Facts, Prices
from solvers.bound.jobs import with_job_rows, with_jobs
from solvers.bound.layout import Layout, Structure, cell_block, layout_of
from solvers.bound.sweep import Answer, Room, Tables, sweep_sites
from solvers.problem import Figures, Problem
from solvers.solution import Certificate, Covers, Cuts, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Sweep:
    """L(multipliers) and what the sites chose. `answer` is overwritten by the next sweep."""

    bound_usd: float
    open: NDArray[np.bool_]  # P
    served: Float  # I: how often every row is served
    answer: Answer


NO_COVERS = Covers()


class Evaluator:
    """Sweeps of one problem; holds the work space and the threads. Use as a context manager."""

    def __init__(
        self,
        layout: Layout,
        threads: int = 2,
        cuts: Cuts | None = None,
        survivors: Survivors | None = None,
        covers: Covers | None = None,
        *,
        exact: bool = False,
        secure: bool = False,
    ) -> None:
        """`survivors`, whose problem is that of the layout, name the rows that are left unserved together.

        `covers` need survivors: they are of the problem that these come from.

        `exact`: the answers' profits are exact where they are below 0, too. `secure`: no failure may lose a row of the
        covers, as is known of a problem that this one is a part of.
        """
        self.layout, self.exact, self.secure = layout, exact, secure
        self.threads = threads
        self.whose = None if survivors is None else survivors.whose
        self.rows = layout.problem.demands if survivors is None else survivors.rows
        problem, s = layout.problem, layout.structure
        self.facts = _facts(problem)
        self.replica_usd = problem.each_replica_usd.astype(float)
        first_block = np.searchsorted(problem.block_site, np.arange(problem.sites + 1))
        self.answer = Answer(
            np.zeros(problem.sites),
            np.zeros(problem.blocks, np.int64),
            np.zeros(problem.offers, np.int64),
            np.empty(problem.pairs, np.int32),
            np.empty(problem.pairs, np.float32),
            s.cell_first[s.block_cell[first_block]],
            np.zeros(problem.sites, np.int64),
        )
        self._spans = np.searchsorted(self.answer.item_first, np.linspace(0, problem.pairs, 4 * threads + 1)[1:-1])
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.base = problem if survivors is None else survivors.base
        self.wired = max(self.base.slices, 1)  # failures are slices behind these, and take no wires
        self.use(Cuts() if cuts is None else cuts, Covers() if covers is None else covers)

    def use(self, cuts: Cuts, covers: Covers = NO_COVERS) -> None:
        """Price these cuts and covers from now on.

        Raises ValueError for one that proves nothing.
        """
        problem, s = self.layout.problem, self.layout.structure
        self.cuts, self.cut_table = cuts, table_of(self.layout, cuts)
        self.covers, self.cover_table = covers, cover_table(self.base, covers, secure=self.secure)
        reached = np.concatenate([self.cut_table.reach_block, self.cover_table.reach_block])
        paid_for = np.bincount(reached, minlength=problem.blocks) > 0
        self.room = _room(problem, s, paid_for)
        self.tables = Tables(
            np.full(self.room.table_first[-1], np.inf),
            np.zeros(self.room.best_first[-1], np.int32),
            np.full(problem.offers, np.nan),
            np.full(len(s.unit_quantum), -1, np.int64),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()

    def prices(self, multipliers: Multipliers) -> Prices:
        problem = self.layout.problem
        paid = 1.0 + multipliers.budget
        offer = paid * problem.offer_usd + problem.limit_matrix.T @ multipliers.limit_usd
        network = bool((multipliers.uplink_usd > 0).any() or (multipliers.downlink_usd > 0).any())
        return Prices(
            multipliers.demand_usd, multipliers.uplink_usd, multipliers.downlink_usd, np.asarray(offer, float),
            paid * self.replica_usd
            - replica_gain(self.cut_table, multipliers.cut_usd, problem.blocks),
            self.cover_table.stand_first, standing_usd(self.cover_table, multipliers.cover_usd),
            self.cut_table.slot_first, self.cut_table.slot_pair, slot_usd(self.cut_table, multipliers.cut_usd),
            paid, network,
        )  # fmt: skip

    def sweep(self, multipliers: Multipliers) -> Sweep:
        """L at `multipliers`, the open sites and how often they serve every demand row."""
        problem, s = self.layout.problem, self.layout.structure
        prices = self.prices(multipliers)
        edges = [0, *self._spans.tolist(), problem.sites]
        spans = [(a, b) for a, b in pairwise(edges) if b > a]

        def work(span: tuple[int, int]) -> None:
            sweep_sites(s, self.facts, prices, self.room, self.tables, self.answer, *span, self.exact)

        if self._pool is None:
            for span in spans:
                work(span)
        else:
            list(self._pool.map(work, spans))
        served = np.zeros(problem.demands)
        add_served(s.pair_demand, self.answer.item, self.answer.share, self.answer.item_first,
                   self.answer.item_count, served)  # fmt: skip
        earned_usd = float(np.maximum(self.answer.profit, 0.0).sum())
        return Sweep(self.bound_usd(multipliers, earned_usd), self.answer.profit > 0, served, self.answer)

    def totals(self) -> tuple[Float, Float, float]:
        """Of the last sweep: Mbit/s out of and into every (site, wired slice), and the USD of all its pairs."""
        problem, s = self.layout.problem, self.layout.structure
        up, down = np.zeros((problem.sites, self.wired)), np.zeros((problem.sites, self.wired))
        usd = add_traffic(s, self.facts, problem.demand_slice, self.answer, up, down)
        return up, down, usd

    def broken(self) -> Float:
        """How far the last sweep's choice breaks every cut: the slope of L along their prices, C."""
        problem = self.layout.problem
        is_open = self.answer.profit > 0
        share = slot_shares(self.cut_table.slot_pair, self.answer)
        return broken(self.cut_table, share, (self.answer.replicas * is_open[problem.block_site]).astype(float))

    def most_usd(self, multipliers: Multipliers) -> Float:
        """What every row and its failures may pay together: what leaving it costs, less what covers give for that."""
        asked = self.layout.problem.unserved_usd[: self.rows]
        if not self.cover_table.number:
            return asked
        return np.asarray(asked - spared(self.cover_table, multipliers.cover_usd, self.rows), np.float64)

    def missing(self, left: Float) -> Float:
        """How far the last sweep's choice and the shares `left` unserved (I) break every cover, F."""
        is_open = self.answer.profit > 0
        replicas = self.answer.replicas * is_open[self.layout.problem.block_site]
        return missing(self.cover_table, replicas.astype(float), left)

    def bound_usd(self, multipliers: Multipliers, earned_usd: float) -> float:
        """L where the sites earn so much in all."""
        problem = self.layout.problem
        row_usd = per_row(multipliers.demand_usd, self.whose, self.rows)
        bound = float(np.minimum(row_usd, self.most_usd(multipliers)).sum())
        bound += float(multipliers.cut_usd @ (self.cut_table.ceiling - self.cut_table.weight))
        bound += float(multipliers.cover_usd @ self.cover_table.ceiling)
        bound -= earned_usd
        if len(problem.limit_rhs):
            active = multipliers.limit_usd > 0
            bound -= float(multipliers.limit_usd[active] @ problem.limit_rhs[active])
        if multipliers.budget > 0:
            bound -= multipliers.budget * problem.monthly_budget_usd
        return bound


def evaluate(
    problem: Problem,
    multipliers: Multipliers,
    cuts: Cuts | None = None,
    threads: int = 2,
    *,
    covers: Covers | None = None,
) -> float:
    """The lower bound, USD a month, that `multipliers` prove: any values ≥ 0 (demand: any sign) give a valid one.

    Raises ValueError for a cut that proves nothing, or a price of what a failure may lose.
    """
    if len(multipliers.job_usd):
        hosted = with_jobs(problem)
        known = with_job_rows(hosted, Certificate(multipliers, cuts or Cuts()))
        return evaluate(hosted.problem, known.multipliers, known.cuts, threads, covers=covers)
    if len(multipliers.backup.row) or (covers is not None and covers.count):
        survivors = with_failures(problem, multipliers.backup.domain, multipliers.backup.row)
        with Evaluator(layout_of(survivors.problem), threads, cuts, survivors, covers) as evaluator:
            return evaluator.sweep(joined(problem, multipliers, survivors)).bound_usd
    with Evaluator(layout_of(problem), threads, cuts) as evaluator:
        return evaluator.sweep(multipliers).bound_usd


@njit(cache=True, nogil=True)
def slot_shares(slot_pair: Int32, answer: Answer) -> Float:
    """The shares that a sweep gave to these pairs (positions in the structure's order, sorted)."""
    share = np.zeros(len(slot_pair))
    for p in range(len(answer.item_count)):
        for at in range(answer.item_first[p], answer.item_first[p] + answer.item_count[p]):
            slot = np.searchsorted(slot_pair, answer.item[at])
            if slot < len(slot_pair) and slot_pair[slot] == answer.item[at]:
                share[slot] += answer.share[at]
    return share


@njit(cache=True, nogil=True)
def cell_loads(cell_first: Int, pair_load: Figures) -> Float:
    """What all pairs of every cell keep busy, C."""
    load = np.zeros(len(cell_first) - 1)
    for c in range(len(load)):
        for j in range(cell_first[c], cell_first[c + 1]):
            load[c] += pair_load[j]
    return load


@njit(cache=True, nogil=True)
def add_served(demand: Int32, item: Int32, share: Float32, first: Int, count: Int, served: Float) -> None:
    """Add up the shares of every demand row, in the order of the sites."""
    for p in range(len(count)):
        for j in range(first[p], first[p] + count[p]):
            served[demand[item[j]]] += share[j]


@njit(cache=True, nogil=True)
def add_traffic(s: Structure, facts: Facts, demand_slice: Int, answer: Answer, up: Float, down: Float) -> float:
    """Add up Mbit/s by site and slice; returns the USD of the pairs."""
    usd = 0.0
    for p in range(len(answer.item_count)):
        for at in range(answer.item_first[p], answer.item_first[p] + answer.item_count[p]):
            j = answer.item[at]
            i = s.pair_demand[j]
            t = demand_slice[i]
            if t < up.shape[1]:
                up[p, t] += answer.share[at] * facts.out_mbps[i]
                down[p, t] += answer.share[at] * facts.in_mbps[i]
            usd += answer.share[at] * s.pair_usd[j]
    return usd


def _facts(problem: Problem) -> Facts:
    return Facts(
        problem.out_mbps.astype(float),
        problem.in_mbps.astype(float),
        problem.open_usd.astype(float),
        problem.uplink_mbps.astype(float),
        problem.downlink_mbps.astype(float),
        np.ascontiguousarray(problem.site_limit, float),
        problem.offer_max.astype(np.int64),
        float(problem.capacity_factor),
        max(problem.slices, 1),
    )


def _room(problem: Problem, s: Structure, paid_for: NDArray[np.bool_]) -> Room:
    """Sizes of the work space: the replicas a block can fill limit the GPUs a unit can use.

    Not so the blocks (B) whose replicas may be `paid_for` by cuts, full or not.
    """
    units = len(s.unit_quantum)
    block, load = cell_block(s), np.zeros(problem.blocks)
    np.maximum.at(load, block, cell_loads(s.cell_first, s.pair_load))
    filled = np.minimum(problem.block_max, np.ceil(load / problem.capacity_factor) + 1)
    filled = np.where(paid_for, problem.block_max, filled)
    group_most = np.maximum.reduceat(filled[s.members], s.member_first[:-1]) if len(s.members) else np.zeros(0)
    group_part = np.repeat(np.arange(int(s.part_first[-1])), np.diff(s.group_first))
    part_need = np.bincount(group_part, group_most * s.group_quarters, minlength=int(s.part_first[-1]))
    need = np.maximum.reduceat(part_need, s.part_first[:-1]) if units else np.zeros(0)
    group_unit = np.repeat(np.arange(units), np.diff(s.part_first))[group_part]
    gpus = np.minimum(s.unit_gpus, np.ceil(need / 4)).astype(np.int64)
    width = 4 * gpus // s.unit_quantum
    kinds = np.diff(s.kind_first)
    member_unit = np.repeat(group_unit, np.diff(s.member_first))
    pairs, cells = np.diff(s.cell_first[s.block_cell]), np.diff(s.block_cell)
    return Room(
        np.concatenate([[0], np.cumsum(gpus + 1)]).astype(np.int64),
        np.concatenate([[0], np.cumsum((gpus + 1) * kinds)]).astype(np.int64),
        int(np.bincount(member_unit, pairs[s.members], minlength=units).max(initial=0)) + 1,
        int(np.bincount(member_unit, cells[s.members], minlength=units).max(initial=0)) + 1,
        int(np.bincount(member_unit, minlength=units).max(initial=0)) + 1,
        int(width.max(initial=0)) + 1,
    )
