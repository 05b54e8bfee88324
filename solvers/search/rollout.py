"""Plans of roll-outs too large for one mixed-integer program: period after period, each within what the others leave.

Every period's bound is that of its base problem by itself (`solvers.relax`), so the mean by months is below every plan.
Two ways lead to a plan, and the cheaper one is kept:

    forward   the first period first; servers bought in one period are sunk in the next
    backward  the last period first, for all that will ever be delivered; earlier ones stand on a part of its servers
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from solvers.bound import BoundResult, lagrangian_bound
from solvers.candidates import LIKELY, MANY_PAIRS, Candidates, candidates
from solvers.check import violations
from solvers.complete.anneal.together import InStep, Pace, side_by_side
from solvers.memory import give_back
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.rollout import Rollout, RolloutSolution, rollout_cost_usd, rollout_violations
from solvers.search.bounds import BOUND_PART, period_bounds, reserved
from solvers.search.chain import Stage, stage_of
from solvers.search.limits import Known, Limits
from solvers.search.refused import refused_at_scale
from solvers.search.repair import same_sizes
from solvers.search.run import FIRST_CYCLE
from solvers.search.scale import USUAL_WORK, Aim, Progress, net_gap, part_of, search
from solvers.search.stages import Planned, plan_stage, polished
from solvers.search.ways import Way
from solvers.solution import Backup, Certificate, Placement, Solution, Status, cost_usd

BOTH_WAYS = 8
"""Rounds of each search from which both ways are tried."""
CLOSING = 0.97
"""Of the time, by which the plans are ready to be checked."""
REFINED = 2
"""Times that every period of a roll-out with a reserve is annealed again, within what the others hold."""
ANOTHER_SEED = 1_000_003
"""Added to the seed of a plan that is annealed a second time beside the first."""
STAGE_BOUND_PART = 0.02
"""Of the time, when the prices of one stage are cut off."""
SEARCH_PART = 0.12
"""Of the time left after the bounds, for searches of plans that get a reserve only then."""
SEARCH_ROUNDS = FIRST_CYCLE
"""Rounds of such a search: annealing seldom keeps much of it."""
LATE_SEARCH = 3.0
"""Times its part, when a search that should do as many rounds as the first is cut off."""


def solve_rollout_scale(
    rollout: Rollout,
    *,
    gap: float = 0.0,
    time_limit_s: float | None = None,
    work: int | None = None,
    seed: int = 0,
    sweeps: int | None = None,
    stop: int | None = None,
    polish: int | None = None,
    start: tuple[Placement, ...] | None = None,
    prices: tuple[Certificate | None, ...] | None = None,
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    narrow: bool = False,
) -> RolloutSolution:
    """A plan of every period, with a bound and its certificates.

    `work` is the rounds of each period's search, `sweeps` and `stop` those of each period's bound; a run cut off by
    time is repeated by the `work`, the `polish` (rounds that a plan with a reserve is annealed for; usually as many as
    of the search) and, as `stop`, the `sweeps` of its solution. A `start` that keeps every rule and
    is within `gap` is the answer; otherwise it is one of the plans that the search begins with, made to fit.
    `prices` of every period, of another day perhaps, warm the bounds up. With `narrow` a plan that was searched among
    candidates may stay one of theirs, which the solution then names as `among`. Once `interrupted` says so, what is
    best by then is the answer.

    Raises ValueError where a rule is on that the search cannot keep (`refused_at_scale` names them).
    """
    if refused := refused_at_scale(rollout):
        raise ValueError(f"the search cannot keep these rules: {', '.join(refused)}")
    limits = Limits(gap, time_limit_s, work, seed, sweeps, stop, polish)
    known = Known(_of_this(rollout, start), prices or (None,) * len(rollout.periods))
    stop_now = interrupted or (lambda: False)
    began = time.monotonic()
    if known.plans is None or None in known.prices or gap <= 0:
        return _Run(rollout, limits, known, progress, stop_now).solution(narrow=narrow)
    quick = _Run(rollout, limits.quick(rollout), known, progress, stop_now)
    found = quick.solution()
    if quick.enough():
        return found
    known = Known(found.placements or known.plans, found.certificates)
    run = _Run(rollout, limits.after(found, time.monotonic() - began), known, progress, stop_now)
    rest = run.solution(narrow=narrow)
    return replace(rest, work=found.work + rest.work, sweeps=found.sweeps + rest.sweeps)


class _Run:
    """One run: the bounds, the plans found, and the clock."""

    def __init__(
        self, rollout: Rollout, limits: Limits, known: Known, progress: Callable[[Progress], None] | None,
        interrupted: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.rollout, self.limits, self.known = rollout, limits, known
        self.progress, self.interrupted = progress, interrupted
        self.start = known.plans
        self.began = time.monotonic()
        self.periods = len(rollout.periods)
        self.weight = rollout.months / rollout.months.sum()
        self.constant = float(self.weight @ [problem.constant_usd for problem in rollout.periods])
        self.best: tuple[Placement, ...] | None = None
        self.best_usd = np.inf
        self.message = ""
        self.before_usd: float | None = None
        self.rounds = limits.work
        if limits.work is None and limits.time_limit_s is None and limits.gap <= 0:
            self.rounds = USUAL_WORK
        self.done_rounds = 0
        self.reserved = reserved(rollout)
        self.polish = self.rounds if limits.polish is None else limits.polish
        if self.reserved and limits.time_limit_s is None and self.polish is None:
            self.polish = USUAL_WORK
        self.told: int | None = None  # rounds, but for the first annealings: a clock may end these
        self.drafted_s = 0.0
        self.bounds = period_bounds(rollout, limits, known, interrupted, self.began)
        self.bound_usd = float(self.weight @ [bound.bound_usd for bound in self.bounds])
        self.narrowed: tuple[Candidates, ...] = ()
        if any(problem.pairs > MANY_PAIRS for problem in rollout.periods):
            plans = known.plans or (None,) * self.periods
            self.narrowed = tuple(map(_worth_a_look, rollout.periods, self.bounds, plans))
            self.rollout = replace(rollout, periods=tuple(part.problem for part in self.narrowed))
            if known.plans is not None:
                self.start = tuple(part.narrowed(plan) for part, plan in zip(self.narrowed, known.plans, strict=True))

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.began

    def solution(self, *, narrow: bool = False) -> RolloutSolution:
        """The better of what the ways find; with `narrow` among the candidates, where it was searched there."""
        if self.start is not None:
            self._offer(self.start)
            self.message = ""  # what was wrong with a plan of yesterday is no news
        if not self.enough():
            self._search()
        certificates = tuple(bound.certificate for bound in self.bounds)
        sweeps = max(bound.sweeps for bound in self.bounds)
        if self.best is None:
            return RolloutSolution(
                Status.LIMIT, None, np.nan, self.bound_usd, certificates, self.done_rounds, sweeps,
                self.message or "no plan was found",
            )  # fmt: skip
        proved = self.best_usd <= self.bound_usd + 1e-9 * abs(self.best_usd)
        best = self.best
        narrow = narrow and bool(self.narrowed)
        if self.narrowed and not narrow:
            best = tuple(part.widened(plan) for part, plan in zip(self.narrowed, best, strict=True))
        return RolloutSolution(
            Status.OPTIMAL if proved else Status.FEASIBLE, best, self.best_usd, self.bound_usd, certificates,
            self.done_rounds, sweeps, before_reserve_usd=self.before_usd, polish=self.polish or 0,
            among=self.rollout if narrow else None,
        )  # fmt: skip

    def _search(self) -> None:
        """Plan both ways, one after the other or, where plans have a reserve, side by side."""
        forward, backward = Way(self.rollout, backward=False), Way(self.rollout, backward=True)
        if not self.reserved:
            self._follow([forward])
            if self.periods > 1 and (self.best is None or self.done_rounds >= BOTH_WAYS) and not self.enough():
                self._follow([backward])
            return
        unknown = self.rounds is None or self.polish is None
        both = self.periods > 1 and (unknown or max(self.rounds or 0, self.polish or 0) >= BOTH_WAYS)
        self._follow([forward, backward] if both else [forward])
        if self.best is None and self.periods > 1 and not both and not self.enough():
            self._follow([backward])
        if self.periods > 1:
            self._refine()

    def enough(self) -> bool:
        """Whether the best plan is near enough, or all that there will be."""
        near = net_gap(self.best_usd, self.bound_usd, self.constant) <= max(self.limits.gap, 1e-9)
        return near or (self.best is not None and self.interrupted())

    def _offer(self, plans: tuple[Placement, ...] | None, added: dict[int, float] | None = None) -> None:
        """Keep `plans` if they keep every rule and cost less than the best so far.

        `added` is what the reserve adds to the cost, by period, where it is known.
        """
        if plans is None or len(plans) != self.periods:
            return
        broken = [line for problem, plan in zip(self.rollout.periods, plans, strict=True)
                  for line in violations(problem, plan)]  # fmt: skip
        broken = broken or rollout_violations(self.rollout, plans)
        if broken:
            self.message = self.message or "; ".join(broken)
            return
        usd = rollout_cost_usd(self.rollout, plans)
        if usd < self.best_usd:
            self.best, self.best_usd = plans, usd
            self.before_usd = None
            if added is not None and len(added) == self.periods:
                self.before_usd = usd - sum(float(self.weight[h]) * more for h, more in added.items())

    def _follow(self, ways: list["Way"]) -> None:
        """Take ways period after period, their plans annealed side by side, to the end; offer what they find."""
        for step in range(self.periods):
            drafts: list[tuple[Way, int, Stage, Planned, Placement]] = []
            before_s = self.seconds
            for way in ways:
                h, stage = way.next_stage()
                turn = step + self.periods * way.backward
                found = self._planned(h, stage, turn)
                if found.plan is None:
                    self.message = self.message or found.message
                    continue
                drafts.append((way, h, stage, found, found.plan))
            self.drafted_s = max(self.drafted_s, self.seconds - before_s)
            seeds = [self.limits.seed + step + self.periods * way.backward for way, *_ in drafts]
            tasks = [(stage.problem, plan, seed) for (*_, stage, _, plan), seed in zip(drafts, seeds, strict=True)]
            plans = self._annealed(tasks, self.periods - step, self.periods - step - 1)
            ways = [way for way, *_ in drafts]
            for (way, h, stage, found, _), plan in zip(drafts, plans, strict=True):
                if found.before_reserve_usd is not None:
                    way.added_usd[h] = cost_usd(stage.problem, plan) - found.before_reserve_usd
                way.plans.append(stage.placement(plan))
        for way in ways:
            self._offer(way.whole(), way.added_usd)

    def _planned(self, h: int, stage: Stage, turn: int) -> Planned:
        """Search the stage of period h, and make what is found keep the rules."""
        give_back()
        bound = self._stage_bound(h, stage)
        until = self._until(turn)
        first: list[int] = []  # rounds of the stage's first search; its others do no more

        def run(base: Problem, start: Placement | None, sunk_usd: float = 0.0) -> Solution:
            work = SEARCH_ROUNDS if self.rounds is None and self.reserved else self.rounds
            work = first[0] if first and work is None else work
            found = search(
                base, bound, self.began, gap=self.limits.gap, time_limit_s=self._until(turn), work=work, start=start,
                progress=self._teller(h), seed=self.limits.seed, interrupted=self.interrupted,
                aim=self._aim(h, stage, sunk_usd), calm=self.limits.calm,
            )  # fmt: skip
            first.append(found.work)
            self.done_rounds = max(self.done_rounds, found.work)
            if self.rounds is None and until is not None and (self.reserved or self.seconds >= until):
                self.rounds = found.work  # the other searches do as much, so that the whole can be repeated
            return found

        return plan_stage(stage.problem, run, self._hint(h, stage))

    def _aim(self, h: int, stage: Stage, sunk_usd: float) -> Aim:
        """What the search of a stage is measured by; a plan still without its reserve may cost less than the bound."""
        reserved = stage.problem.rules.reserve is not None
        return Aim(-np.inf if reserved else self.bounds[h].bound_usd, stage.sunk_usd + sunk_usd)

    def _annealed(self, tasks: list[tuple[Problem, Placement, int]], parts: int, drafts: int) -> list[Placement]:
        """Plans of problems with a reserve annealed side by side with their seeds, the cheaper of two where it is one.

        The first that are annealed get one of as many `parts` of the time, and some for refinement, without what
        `drafts` more will take; all others as many rounds.
        """
        if not self.reserved or not tasks:
            return [plan for _, plan, _ in tasks]
        give_back()
        lone = len(tasks) == 1
        if lone:
            problem, plan, seed = tasks[0]
            tasks = [tasks[0], (problem, plan, seed + ANOTHER_SEED)]
        until = np.inf
        if self.limits.time_limit_s is not None and self.limits.polish is None:
            until = self.began + CLOSING * self.limits.time_limit_s
            if self.polish is None:
                left_s = until - time.monotonic() - drafts * self.drafted_s
                refined = REFINED * self.periods if self.periods > 1 else 0
                until = time.monotonic() + max(left_s, 0.0) / (parts + refined)
        plans, rounds = side_by_side(tasks, partial(_anneal, self.told), Pace(self.polish, 0, until, self.interrupted))
        if self.polish is None:
            self.polish = rounds
        self.told = self.polish
        return [min(plans, key=lambda plan: cost_usd(tasks[0][0], plan))] if lone else plans

    def _refine(self) -> None:
        """Anneal one period after another within what the others hold."""
        for turn in range(2 * self.periods, (2 + REFINED) * self.periods):
            limit = self.limits.time_limit_s
            late = limit is not None and self.limits.polish is None and self.seconds > CLOSING * limit
            if self.best is None or late or self.enough():
                return
            h, plans = self.periods - 1 - turn % self.periods, self.best
            before = plans[h - 1].servers if h else np.zeros_like(plans[0].servers)
            ceiling = plans[h + 1].servers if h + 1 < self.periods else None
            stage = stage_of(self.rollout, h, before, ceiling)
            task = (stage.problem, stage.stage_placement(plans[h]), self.limits.seed + turn)
            plan = stage.placement(self._annealed([task], 1, 0)[0])
            without = self.before_usd
            self._offer((*plans[:h], plan, *plans[h + 1 :]))
            self.before_usd = without

    def _stage_bound(self, h: int, stage: Stage) -> BoundResult:
        """Prices to guide the search of a stage: the period's own, moved a little where the stage differs."""
        own = self.bounds[h]
        if stage.problem is self.rollout.periods[h]:
            return own
        more = len(stage.problem.limit_rhs) - len(own.multipliers.limit_usd)
        limit = np.concatenate([own.multipliers.limit_usd, np.zeros(more)])
        row_usd = own.multipliers.row_usd
        warm = replace(own.multipliers, demand_usd=row_usd, limit_usd=limit, cut_usd=np.zeros(0), backup=Backup())
        sweeps = max((self.limits.sweeps or own.sweeps) // (20 if self.reserved else 4), 1)  # annealing needs no prices
        limit_s = part_of(self.limits.time_limit_s, STAGE_BOUND_PART) if self.reserved else None
        return lagrangian_bound(
            base_problem(stage.problem), sweeps=min(sweeps, own.sweeps), start=warm, time_limit_s=limit_s
        )

    def _until(self, turn: int) -> float | None:
        """Seconds from the beginning at which the search of this turn ends; by its rounds once they are known."""
        limit = self.limits.time_limit_s
        if limit is None or self.limits.work is not None:
            return limit
        if self.reserved:
            searches = 2 * self.periods if self.periods > 1 else 1
            part_s = SEARCH_PART * max(limit - self.seconds, 0.0) / searches
            return self.seconds + (part_s if self.rounds is None else LATE_SEARCH * part_s)
        if self.periods == 1 or self.rounds is not None:
            return limit
        spent = BOUND_PART * 0.8 * limit if turn == 0 else self.seconds
        return spent + max(limit - spent, 0.0) * 0.8 / (2 * self.periods - turn)

    def _hint(self, h: int, stage: Stage) -> Placement | None:
        """The given plan of the period; None without one."""
        return None if self.start is None else stage.stage_placement(self.start[h])

    def _teller(self, h: int) -> Callable[[Progress], None] | None:
        """Progress of one period's search as that of the whole run."""
        tell = self.progress
        if tell is None or (self.periods == 1 and self.rollout.periods[0].rules.reserve is None):
            return tell
        whole = tell

        def said(now: Progress) -> None:
            stage = now.stage if self.periods == 1 else f"{now.stage} {h + 1}/{self.periods}"
            whole(Progress(now.seconds, stage, self.best_usd, self.bound_usd, now.work))

        return said


def _worth_a_look(problem: Problem, bound: BoundResult, plan: Placement | None) -> Candidates:
    return candidates(problem, bound.multipliers.limit_usd, np.asarray(bound.mean_open > LIKELY, np.bool_), plan)


def _anneal(
    told: int | None, problem: Problem, plan: Placement, seed: int, over: Callable[[int], bool]
) -> tuple[Placement, int]:
    return polished(problem, plan, InStep(seed=seed, told=told, over=over))


def _of_this(rollout: Rollout, plans: tuple[Placement, ...] | None) -> tuple[Placement, ...] | None:
    """The plans; None where they are of another problem."""
    if plans is None or not all(
        same_sizes(problem, plan) for problem, plan in zip(rollout.periods, plans, strict=True)
    ):
        return None
    return plans
