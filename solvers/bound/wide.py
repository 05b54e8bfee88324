"""The bound of millions of pairs under N-1: prices are made on few of them, and all are asked at times.

A sweep over all pairs takes as long as eight to thirty over the cheapest of every row. Prices of those few are soon
good and prove nothing, since the other pairs earn something at them, too. So after every cycle one sweep goes over all
pairs: what it says is proved, and the pairs that it takes are among the few from then on. After two or three times
hardly any are new, and the prices hold for all (column generation, whose pricing is that sweep). It goes over some
sites at a time, since sorting the pairs of all of them takes more memory than the problem.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.ascent import BoundResult, Course, cold_start, paid
from solvers.bound.backup import has_failures, joined, secured, with_failures
from solvers.bound.backup_ascent import allowed, bound_with_failures
from solvers.bound.cuts import find_pair
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.bound.settle import settled
from solvers.bound.stretch import Stretches
from solvers.bound.sweep import Answer
from solvers.candidates import Candidates, alike, candidates, with_pairs
from solvers.memory import give_back
from solvers.problem import Index, Problem, firsts
from solvers.rules import Reserve
from solvers.solution import Certificate, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

MANY_PAIRS_FAILING = 4_000_000
"""Pairs from which a bound with failures is made this way; without failures see `solvers.candidates.MANY_PAIRS`."""
CHEAPEST = 64
"""Pairs that a row keeps at first."""
STRETCH_PAIRS = 2_000_000
"""That are asked at a time, by every thread, and what failures add to them."""


def bound_of_many(
    problem: Problem, course: Course, threads: int, start: Certificate | Multipliers | None
) -> BoundResult:
    """The bound of a problem of very many pairs; `solvers.bound.lagrangian_bound` says how it ends.

    With failures, sweeps over all pairs are not counted: how many there are is laid down by the others.
    """
    nowhere, free = np.zeros(problem.sites, np.bool_), np.zeros(len(problem.limit_rhs))
    few = candidates(problem, free, nowhere, most=(0, CHEAPEST))
    if not has_failures(problem):  # too few cycles to ask all pairs often
        return settled(problem, few.problem, course, threads, start)
    return _Widening(problem, few, course, threads).run(start)


class _Widening:
    """The pairs that prices are made on, and the best that all pairs prove."""

    def __init__(self, problem: Problem, few: Candidates, course: Course, threads: int) -> None:
        self.problem, self.course, self.threads = problem, course, threads
        self.few, self.alike = few.problem, alike(problem)
        self.kept = np.zeros(problem.pairs, np.bool_)
        self.kept[few.pair] = True
        self.spare = self.kept
        self.spare_first, self.spare_block = problem.row_first, problem.pair_block
        domain, row = np.nonzero(~secured(problem))
        self.lost, self.losing = domain * problem.demands + row, np.unique(row)  # what failures may lose
        reserve = problem.rules.reserve
        if reserve is not None and not self.alike:
            self.spare = np.zeros(reserve.pairs, np.bool_)
            self.spare[few.spare] = True
            self.spare_first, self.spare_block = firsts(reserve.pair_demand, problem.demands), reserve.pair_block
            self._keep_what_may_be_lost(reserve)
        self.stretches = Stretches(problem, STRETCH_PAIRS)
        self.best_usd, self.proof = -np.inf, Certificate(cold_start(problem))

    def _keep_what_may_be_lost(self, reserve: Reserve) -> None:
        """Of a row that some failure may lose all pairs: without those inside it would seem secure."""
        lost = np.zeros(self.problem.demands, np.bool_)
        lost[self.losing] = True
        self.kept |= lost[self.problem.pair_demand]
        self.spare |= lost[reserve.pair_demand]
        self.few = with_pairs(self.problem, self.kept, self.spare).problem

    def run(self, start: Certificate | Multipliers | None) -> BoundResult:
        """Prices made on few pairs from `start`, and what all pairs say to them."""
        if isinstance(start, Certificate):
            start = self._without_what_is_gone(start)
            self._widened(start)
        course = replace(self.course, upper_usd=np.inf, interrupted=self._ends)
        found = bound_with_failures(self.few, course, self.threads, start, shares=False, widen=self._widened)
        self._ask(found.certificate, take=False)
        return replace(found, bound_usd=self.best_usd, certificate=self.proof)

    def _ends(self) -> bool:
        """Whether all pairs prove what is asked."""
        upper_usd, interrupted = self.course.upper_usd, self.course.interrupted
        return self.best_usd >= upper_usd - 1e-9 * abs(upper_usd) or (interrupted is not None and interrupted())

    def _without_what_is_gone(self, known: Certificate) -> Certificate:
        """Prices of another day, perhaps: cuts and covers may speak of failures that may lose their rows now."""
        backup = known.multipliers.backup
        kept = allowed(self.problem, backup)
        if len(kept.row) == len(backup.row):
            return known
        return Certificate(replace(known.multipliers, backup=kept, cut_usd=np.zeros(0), cover_usd=np.zeros(0)))

    def _widened(self, known: Certificate) -> Problem:
        """The few pairs, with those that all pairs' best answer to `known` prices takes."""
        self._ask(known, take=True)
        self.few = with_pairs(self.problem, self.kept, self.spare).problem
        return self.few

    def _ask(self, known: Certificate, *, take: bool) -> None:
        """What all pairs prove at `known` prices, noted; with `take` those of their answer join the few."""
        backup = known.multipliers.backup
        named = backup.domain * self.problem.demands + backup.row
        if np.isin(named, self.lost).any() or np.isin(known.covers.row, self.losing).any():
            raise ValueError("a failure may lose a row that is priced")
        give_back()
        asked = partial(self._asked, known, take=take)
        if self.threads > 1:
            with ThreadPoolExecutor(self.threads) as pool:
                told = list(pool.map(asked, self.stretches))
        else:
            told = list(map(asked, self.stretches))
        bound_usd = told[0][0] - float(np.maximum(np.concatenate([profit for _, profit in told]), 0.0).sum())
        if bound_usd > self.best_usd:
            self.best_usd, self.proof = bound_usd, paid(known)

    def _asked(self, known: Certificate, span: tuple[int, int], *, take: bool) -> tuple[float, Float]:
        """L if no site earned anything, and what those of a stretch earn."""
        stretch, backup = self.stretches.stretch(*span), known.multipliers.backup
        survivors = with_failures(stretch.problem, backup.domain, backup.row, secure=True)
        layout, cuts = layout_of(survivors.problem), stretch.cuts(known.cuts)
        with Evaluator(layout, 1, cuts, survivors, known.covers, secure=True) as evaluator:
            prices = joined(stretch.problem, stretch.prices(known.multipliers), survivors)
            answer = evaluator.sweep(prices).answer
            free_usd = evaluator.bound_usd(prices, 0.0)
        if take:
            rows = layout.problem
            _take(answer, layout.structure.pair, rows.pair_demand, rows.pair_block, survivors.whose, stretch.pair_back,
                  stretch.block_back, self.spare_first, self.spare_block, self.kept, self.spare)  # fmt: skip
        return free_usd, answer.profit


@njit(cache=True, nogil=True)
def _take(
    answer: Answer, order: Int32, pair_row: Index, pair_block: Index, whose: Int, pair_back: Int, block_back: int,
    spare_first: Int, spare_block: Index, kept: Bool, spare: Bool,
) -> None:  # fmt: skip
    """Mark the pairs that the `answer` of a stretch takes: those of rows in `kept`, those of failures in `spare`.

    `order` names the pairs of the answer; `pair_back` and `block_back` are as in `Stretch`.
    """
    rows = len(pair_back)
    for p in range(len(answer.item_count)):
        first = answer.item_first[p]
        for at in range(first, first + answer.item_count[p]):
            n = order[answer.item[at]]
            row = pair_row[n]
            if row < rows:
                kept[n + pair_back[row]] = True
                continue
            i = whose[row]
            k = find_pair(spare_block, spare_first[i], spare_first[i + 1], pair_block[n] + block_back)
            if k >= 0:
                spare[k] = True
