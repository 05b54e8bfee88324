"""The bound under N-1: prices without failures first, then in turns the failures that strain what these choose."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from solvers.bound.ascent import BoundResult, Course, ascend
from solvers.bound.backup import Survivors, joined, parted, secured, with_failures
from solvers.bound.backup_choice import promising
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.solution import Backup, Certificate, Multipliers

TURNS = (120, 100, 100)
"""Sweeps of the turns that choose failures, the first without any; the last turn, with cuts, has the rest."""
WARM_TURN = 100
PART = 0.15
"""Of the sweeps, that such a turn has at most."""
FIRST_STEP = 0.36
"""Of a turn: prices move between failures over orders of magnitude."""
WARM_STEP = 0.24
"""Where the first turn begins with prices of failures."""
CYCLE = 300
ENTRY = 0.5
"""Part of a row's price that its first failures get."""
LATER_ENTRY = 0.05
KEPT = 0.01
"""Of what a row and its failures pay, that a failure must pay to be kept."""
LARGE_PAIRS = 200_000
"""Pairs above which sweeps are few for the time: failures enter gently, so that no sweeps go into getting back."""
LARGE_STEP = 0.25
LARGE_TURNS = (60, 50, 50)
LARGE_CYCLE = 150
"""In place of TURNS and CYCLE: covers pay more than the last of a turn. Rounding cuts are not looked for: that takes as
long as a hundred sweeps, and few of them keep a price."""
WIDE_CYCLE = 75
"""In place of LARGE_CYCLE where pairs are added: what few pairs prove beyond that, the others take off again."""
LARGE_FACTOR = 0.5
"""In place of PAIRS_FACTOR: fewer failures and more sweeps."""
LEAST_PAIRS = 300_000
PAIRS_FACTOR = 1.5
MOST_PAIRS = 20_000_000
"""Failure pairs that a choice may add: so many, or so many times the problem's."""


MorePairs = Callable[[Certificate], Problem]
"""After a cycle of the last turn: shown the best prices so far, the problem to go on with, perhaps with more pairs."""


def bound_with_failures(
    problem: Problem, course: Course, threads: int, start: Certificate | Multipliers | None, *, shares: bool,
    widen: MorePairs | None = None,
) -> BoundResult:  # fmt: skip
    """The bound of a problem with N-1 as planned; `solvers.bound.lagrangian_bound` says how it ends.

    With `widen` it is that of the last turn, on the pairs that this one had in the end.
    """
    return _Turns(problem, course, threads, widen).run(start, shares)


@dataclass
class _Turns:
    """Where the turns stand: sweeps done, the best bound so far with its proof, and how it moved."""

    problem: Problem
    course: Course
    threads: int
    widen: MorePairs | None = None
    done: int = 0
    best_usd: float = -np.inf
    proof: Certificate | None = None
    trace: tuple[tuple[float, float], ...] = ()

    def run(self, start: Certificate | Multipliers | None, shares: bool) -> BoundResult:
        sweeps = max(self.course.sweeps, 1)
        now = start.multipliers if isinstance(start, Certificate) else start
        warm = now is not None and len(now.backup.row) > 0
        if isinstance(start, Certificate):
            found = self._given(start)
            if self._ended():
                return self._best(found, shares)
        step = WARM_STEP if warm else LARGE_STEP if self._large else FIRST_STEP
        for most in (WARM_TURN,) if warm else LARGE_TURNS if self._large else TURNS:
            course = replace(self.course, sweeps=max(min(most, int(PART * sweeps)), 1), cuts=False)
            priced = now is not None and len(now.backup.row) > 0
            found = self._turn(now, replace(course, first_step=step if priced else None), shares=True)
            if self._ended():
                return self._best(found, shares)
            now = self._renewed(found)
        last = replace(self.course, sweeps=max(sweeps - self.done, 1), first_step=step)
        cycle = WIDE_CYCLE if self.widen is not None else LARGE_CYCLE if self._large else CYCLE
        last = replace(last, cycle=cycle, rounding=not self._large)
        return self._best(self._turn(now, last, shares=shares, widens=True), shares)

    @property
    def _large(self) -> bool:
        return self.problem.pairs > LARGE_PAIRS

    def _ended(self) -> bool:
        stopped = self.course.stop is not None and self.done >= self.course.stop
        return stopped or self.course.ends(self.done, self.best_usd)

    def _best(self, last: BoundResult, shares: bool) -> BoundResult:
        """The best bound, with the averages of the last turn."""
        assert self.proof is not None
        means = last.mean_shares if shares else np.zeros(0, np.float32)
        return replace(
            last, bound_usd=self.best_usd, certificate=self.proof, mean_shares=means, trace=self.trace, sweeps=self.done
        )

    def _given(self, start: Certificate) -> BoundResult:
        """What given prices prove as they are; with their cuts and covers, which the turns begin without."""
        prices, backup = start.multipliers, allowed(self.problem, start.multipliers.backup)
        survivors = with_failures(self.problem, backup.domain, backup.row)
        bare = Certificate(replace(prices, backup=backup, cut_usd=np.zeros(0), cover_usd=np.zeros(0)))
        known = start if len(backup.row) == len(prices.backup.row) else bare  # cuts may speak of what is gone
        course = replace(self.course, sweeps=1, cuts=False)
        try:
            return self._noted(self._ascended(survivors, known, course, shares=True), survivors)
        except ValueError:  # a cut or cover of another day's problem that proves nothing of this one
            return self._noted(self._ascended(survivors, bare, course, shares=True), survivors)

    def _ascended(self, survivors: Survivors, start: Certificate, course: Course, *, shares: bool) -> BoundResult:
        """An ascent with failures from prices of the problem; in the numbering of the survivors."""
        known = replace(start, multipliers=joined(self.problem, start.multipliers, survivors))
        with Evaluator(layout_of(survivors.problem), self.threads, survivors=survivors) as evaluator:
            return ascend(evaluator, course, known, shares=shares)

    def _turn(self, now: Multipliers | None, course: Course, *, shares: bool, widens: bool = False) -> BoundResult:
        """A course with the failures that `now` prices; the result in the numbering of the problem."""
        backup = Backup() if now is None else allowed(self.problem, now.backup)
        survivors = with_failures(self.problem, backup.domain, backup.row)
        start = None
        if now is not None:
            alone = replace(now, backup=backup, cut_usd=np.zeros(0), cover_usd=np.zeros(0))
            start = joined(self.problem, alone, survivors)
        stop = None if self.course.stop is None else self.course.stop - self.done
        with Evaluator(layout_of(survivors.problem), self.threads, survivors=survivors) as evaluator:
            wider = partial(self._wider, survivors) if widens and self.widen is not None else None
            found = ascend(evaluator, replace(course, stop=stop), start, shares=shares, widen=wider)
        return self._noted(found, survivors)

    def _wider(self, survivors: Survivors, known: Certificate) -> Evaluator:
        """With the same failures and the pairs that `widen` tells."""
        assert self.widen is not None
        prices = parted(self.problem, known.multipliers, survivors)
        wider = with_failures(self.widen(replace(known, multipliers=prices)), survivors.domain, survivors.row)
        return Evaluator(layout_of(wider.problem), self.threads, survivors=wider)

    def _noted(self, found: BoundResult, survivors: Survivors) -> BoundResult:
        """A result in the numbering of the problem, kept if it is the best."""
        proof = replace(found.certificate, multipliers=parted(self.problem, found.multipliers, survivors))
        self.done += found.sweeps
        self.trace += tuple((seconds, max(usd, self.best_usd)) for seconds, usd in found.trace)
        if self.widen is not None or found.bound_usd > self.best_usd:
            self.best_usd, self.proof = found.bound_usd, proof
        return replace(found, certificate=proof, mean_shares=found.mean_shares[: self.problem.pairs])

    def _renewed(self, found: BoundResult) -> Multipliers:
        """The prices of a turn with the failures of the next: those that paid, and those that its choices suggest."""
        problem, prices = self.problem, found.multipliers
        old = prices.backup
        total = prices.row_usd
        kept = old.usd > KEPT * total[old.row]
        room = max(LEAST_PAIRS, int((LARGE_FACTOR if self._large else PAIRS_FACTOR) * problem.pairs))
        room = min(room, MOST_PAIRS)
        domain, row = promising(problem, total, found.mean_shares, found.mean_replicas, room)
        key, known = domain * problem.demands + row, old.domain * problem.demands + old.row
        new = ~np.isin(key, known)  # one that was tried and did not pay is not tried again at once
        domain, row = domain[new], row[new]
        entry = LATER_ENTRY if len(old.row) or self._large else ENTRY
        number = np.bincount(row, minlength=problem.demands)
        usd = (entry * prices.demand_usd / np.maximum(number, 1))[row]
        demand_usd = np.where(number > 0, 1 - entry, 1.0) * prices.demand_usd
        order = np.argsort(np.append(known[kept], key[new]), kind="stable")
        backup = Backup(
            np.append(old.domain[kept], domain)[order],
            np.append(old.row[kept], row)[order],
            np.append(old.usd[kept], usd)[order],
        )
        return replace(prices, demand_usd=demand_usd, backup=backup)


def allowed(problem: Problem, backup: Backup) -> Backup:
    """Without what a failure may lose: prices may be those of another period."""
    kept = secured(problem)[backup.domain, backup.row]
    return Backup(backup.domain[kept], backup.row[kept], backup.usd[kept])
