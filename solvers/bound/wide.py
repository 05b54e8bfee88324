"""The bound of millions of pairs under N-1: prices are made on few of them, and all are asked at times.

A sweep over all pairs takes as long as eight to thirty over the cheapest of every row. Prices of those few are soon
good and prove nothing, since the other pairs earn something at them, too. So after every cycle one sweep goes over all
pairs: what it says is proved, and the pairs that it takes are among the few from then on. After two or three times
hardly any are new, and the prices hold for all (column generation, whose pricing is that sweep).
"""

from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.ascent import BoundResult, Course, cold_start, paid
from solvers.bound.backup import Survivors, has_failures, joined, secured, with_failures
from solvers.bound.backup_ascent import allowed, bound_with_failures
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.bound.settle import settled
from solvers.bound.sweep import Answer
from solvers.candidates import Candidates, alike, candidates, with_pairs
from solvers.problem import Index, Problem, firsts
from solvers.rules import Reserve
from solvers.solution import Backup, Certificate, Multipliers

Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]

MANY_PAIRS_FAILING = 4_000_000
"""Pairs from which a bound with failures is made this way; without failures see `solvers.candidates.MANY_PAIRS`."""
CHEAPEST = 64
"""Pairs that a row keeps at first."""


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
        reserve = problem.rules.reserve
        if reserve is not None and not self.alike:
            self.spare = np.zeros(reserve.pairs, np.bool_)
            self.spare[few.spare] = True
            self._keep_what_may_be_lost(reserve)
        self.whole: Evaluator | None = None
        self.survivors: Survivors | None = None
        self.best_usd, self.proof = -np.inf, Certificate(cold_start(problem))

    def _keep_what_may_be_lost(self, reserve: Reserve) -> None:
        """Of a row that some failure may lose all pairs: without those inside it would seem secure."""
        lost = np.asarray(~secured(self.problem).all(axis=0), np.bool_)
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
        self._ask(found.certificate)
        if self.whole is not None:
            self.whole.close()
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
        evaluator = self._ask(known)
        s, answer, problem = evaluator.layout.structure, evaluator.answer, self.problem
        reserve = problem.rules.reserve
        spare_first, spare_block = problem.row_first, problem.pair_block
        if reserve is not None and not self.alike:
            spare_first, spare_block = firsts(reserve.pair_demand, problem.demands), reserve.pair_block
        rows = evaluator.layout.problem
        whose = np.arange(problem.demands) if evaluator.whose is None else evaluator.whose
        _take(answer, s.pair, rows.pair_demand, rows.pair_block, whose, spare_first, spare_block, self.kept, self.spare)
        self.few = with_pairs(problem, self.kept, self.spare).problem
        return self.few

    def _ask(self, known: Certificate) -> Evaluator:
        """What all pairs prove at `known` prices, noted; with their answer."""
        evaluator, prices = self._of_all(known.multipliers.backup), known.multipliers
        evaluator.use(known.cuts, known.covers)
        if self.survivors is not None:
            prices = joined(self.problem, prices, self.survivors)
        bound_usd = evaluator.sweep(prices).bound_usd
        if bound_usd > self.best_usd:
            self.best_usd, self.proof = bound_usd, paid(known)
        return evaluator

    def _of_all(self, backup: Backup) -> Evaluator:
        """Over all pairs, with these failures."""
        known = self.survivors
        if self.whole is not None and known is not None:
            if np.array_equal(known.domain, backup.domain) and np.array_equal(known.row, backup.row):
                return self.whole
            self.whole.close()
            self.whole = self.survivors = None  # before the next, as both are large
        self.survivors = with_failures(self.problem, backup.domain, backup.row)
        self.whole = Evaluator(layout_of(self.survivors.problem), self.threads, survivors=self.survivors)
        return self.whole


@njit(cache=True, nogil=True)
def _take(
    answer: Answer, order: Int32, pair_row: Index, pair_block: Index, whose: Int, spare_first: Int, spare_block: Index,
    kept: Bool, spare: Bool,
) -> None:  # fmt: skip
    """Mark the pairs that `answer` takes: those of rows in `kept`, those of failures in `spare`.

    `order` names the pairs of the answer; those of the problem come first.
    """
    for p in range(len(answer.item_count)):
        first = answer.item_first[p]
        for at in range(first, first + answer.item_count[p]):
            n = order[answer.item[at]]
            if n < len(kept):
                kept[n] = True
                continue
            i = whose[pair_row[n]]
            for k in range(spare_first[i], spare_first[i + 1]):
                if spare_block[k] == pair_block[n]:
                    spare[k] = True
                    break
