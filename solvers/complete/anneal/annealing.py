"""The annealing of one problem with a reserve: a first plan, then cycles of moves from the best plan so far."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil

import numpy as np
import scipy.sparse as sp

from solvers.complete.anneal.desk import new_desk
from solvers.complete.anneal.land import land_of
from solvers.complete.anneal.moves import cost, run_moves
from solvers.complete.anneal.plan import empty_plan
from solvers.complete.anneal.store import (
    back_all_up,
    count_records,
    insert_all,
    load_records,
    open_units,
    write_records,
)
from solvers.complete.draft import Draft
from solvers.problem import Float, Int
from solvers.rules import Reserve
from solvers.search.reference import refer
from solvers.solution import Placement

MOVES = 64
"""Moves of a round."""
FIRST_CYCLE = 32
HEATS = ((0.03, 0.02), (0.3, 0.003))
"""Temperature at the start of a cycle, as a part of the cost per open site, and what is left of it at the end.

Cycles take turns: where stock is short only the hot ones move servers from one end of the world to the other. The cool
one comes first, as it is worth more where there is time for few rounds.
"""


def cycles(rounds: int | None) -> Iterator[int]:
    """Lengths of cycles, in pairs, each twice as long as the last; one ends with `rounds` where these are known."""
    unit = float(FIRST_CYCLE)
    if rounds is not None:
        pairs = max(round(np.log2(rounds / (len(HEATS) * FIRST_CYCLE) + 1)), 1)
        unit = rounds / (len(HEATS) * (2**pairs - 1)) if rounds >= len(HEATS) * FIRST_CYCLE else rounds
    for pair in count():
        yield from (max(ceil(unit * 2**pair), 1),) * len(HEATS)


@dataclass(frozen=True)
class Records:
    """A plan as records: as long as the plan and not as the problem."""

    row: Int
    domain: Int
    pair: Int
    share: Float
    replicas: Int
    servers: Int
    option: Int
    usd: float


class Annealing:
    """Primaries, backups and jobs move together; the draft is where `begin` begins."""

    def __init__(self, draft: Draft, reserve: Reserve, seed: int) -> None:
        self.draft, self.reserve = draft, reserve
        self.land = land_of(draft, reserve)
        self.desk = new_desk(self.land, seed)
        self.land_ref, self.desk_ref = refer(self.land), refer(self.desk)
        usable = self.land.offer[self.land.offer_usd[self.land.offer] > 0]
        rate = self.land.offer_usd[usable] / self.land.offer_quarters[usable]
        self.usd_per_quarter = float(np.median(rate)) if len(rate) else 0.0
        self.best: Records | None = None
        self.rounds = 0

    def begin(self) -> None:
        """Two first plans: the draft's primaries with backups found for them, and one from nothing."""
        draft = self.draft
        pair = np.flatnonzero(draft.share > 0)
        row = draft.problem.pair_demand[pair].astype(np.int64)
        primary = np.full(len(pair), -1, np.int64)
        self._load(Records(row, primary, pair, draft.share[pair], draft.replicas, draft.servers, draft.jobs,
                           np.inf))  # fmt: skip
        rows = np.lexsort((np.arange(len(self.land.size)), -self.land.size))
        self._run(back_all_up, rows)
        self._renew()
        if open_units(self.land_ref, self.plan_ref, draft.jobs):
            self._run(insert_all, rows)

    def go_on_from(self, plan: Placement) -> None:
        """Begin with a plan that has its reserve."""
        assert plan.backup is not None
        reserve, rows, pair = self.reserve, self.draft.problem.pair_demand, np.flatnonzero(plan.share > 0)
        backup = plan.backup.tocoo()
        self._load(
            Records(
                np.concatenate([rows[pair], reserve.pair_demand[backup.col]]).astype(np.int64),
                np.concatenate([np.full(len(pair), -1), backup.row]).astype(np.int64),
                np.concatenate([pair, backup.col]).astype(np.int64),
                np.concatenate([plan.share[pair], backup.data]),
                plan.replicas, plan.servers, plan.jobs, np.inf,
            )
        )  # fmt: skip
        self._keep()

    def _run(self, first_plan: Callable[..., None], rows: Int) -> None:
        first_plan(self.land_ref, self.plan_ref, self.desk_ref, rows, self.usd_per_quarter)
        self._keep()

    def anneal(self, done: Callable[[int], bool], rounds: int | None = None) -> None:
        """Pairs of cycles, each twice as long as the last and from the best plan, until `done` by the rounds so far.

        Where it is known that `rounds` will be done, the last cycle ends with them.
        """
        for cycle, length in enumerate(cycles(rounds)):
            if done(self.rounds):
                return
            self._cycle(length, *HEATS[cycle % len(HEATS)], done)

    def _cycle(self, length: int, top: float, left: float, done: Callable[[int], bool]) -> None:
        """Rounds from the best plan, at a temperature that falls."""
        assert self.best is not None
        self._load(self.best)
        heat = top * self.best.usd / max(int((self.plan.site_count > 0).sum()), 1)
        for k in range(length):
            now = heat * left ** (k / length)
            run_moves(self.land_ref, self.plan_ref, self.desk_ref, MOVES, self.usd_per_quarter, now)
            self.rounds += 1
            self._keep()
            if done(self.rounds):
                return

    def _renew(self) -> None:
        choices = int(self.land.block_choice.max(initial=-1)) + 1
        self.plan = empty_plan(self.land, choices)
        self.plan_ref = refer(self.plan)

    def _load(self, records: Records) -> None:
        self._renew()
        load_records(
            self.land_ref, self.plan_ref, records.row, records.domain, records.pair, records.share, records.replicas,
            records.servers, records.option,
        )  # fmt: skip

    def _keep(self) -> None:
        """Keep the plan at hand if it is the best and within the budget and the moves."""
        usd = cost(self.plan_ref)
        money, land = self.plan.money, self.land
        kept = money[0] + money[1] <= land.budget_usd and self.plan.added.max() <= land.moves_most
        if (kept or self.best is None) and (self.best is None or usd < self.best.usd):
            self.best = self._records(float(usd) if kept else np.inf)

    def _records(self, usd: float) -> Records:
        number = count_records(self.plan_ref)
        row, domain, pair, share = *(np.empty(number, np.int64) for _ in range(3)), np.empty(number)
        write_records(self.plan_ref, row, domain, pair, share)
        return Records(row, domain, pair, share, self.plan.replicas.copy(), self.plan.servers.copy(),
                       self.plan.option.copy(), usd)  # fmt: skip

    def placement(self) -> Placement:
        """The best plan."""
        best, problem, draft = self.best, self.draft.problem, self.draft
        assert best is not None
        primary = best.domain < 0
        share = np.bincount(best.pair[primary], best.share[primary], minlength=problem.pairs).astype(float)
        served = np.bincount(problem.pair_demand, share, minlength=problem.demands)
        entries = (best.share[~primary], (best.domain[~primary], best.pair[~primary]))
        backup = sp.coo_matrix(entries, shape=(self.reserve.domains, self.reserve.pairs)).tocsr()
        servers = draft.servers.copy()  # those without GPUs stay
        servers[self.land.offer] = best.servers[self.land.offer]
        return Placement(
            np.bincount(problem.offer_site, servers, minlength=problem.sites) > 0, servers, best.replicas.copy(), share,
            np.where(served > 1 - 1e-9, 0.0, 1 - served), best.option.copy(), backup,
        )  # fmt: skip
