"""Plans of large problems: bound, price-guided construction, large-neighbourhood search in cycles, closing flow."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.bound import BoundResult, lagrangian_bound
from solvers.check import violations
from solvers.problem import Problem
from solvers.search.flow import reroute
from solvers.search.ground import Ground, ground_of
from solvers.search.halves import sharing_of, split_sites
from solvers.search.moves import FINE, assign, construct, run_moves
from solvers.search.refs import refer_ground, refer_state, refer_work
from solvers.search.snapshot import (
    Snapshot,
    from_placement,
    load_state,
    snapshot,
    state_usd,
    to_placement,
    unserved_share,
)
from solvers.search.state import State, Work, empty_state, new_work
from solvers.solution import Multipliers, Placement, Solution, Status, cost_usd

Float = NDArray[np.float64]
Int = NDArray[np.int64]

SWEEPS = (800, 300)
"""Sweeps of the bound for a small problem and for one of many pairs."""
MANY_PAIRS = 300_000
MOVES = 256
FIRST_CYCLE = 16
USUAL_WORK = 3 * FIRST_CYCLE
"""Rounds where neither work nor time nor a gap ends the search."""
STARTS = 8
HEAT = (0.006, 0.01)
"""Temperature at the start of a cycle, as a share of the cost per open site, and what is left of it at the end."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    seconds: float
    stage: str  # bound, construct, search, flow
    objective_usd: float  # inf before the first plan
    bound_usd: float
    work: int


def net_gap(objective_usd: float, bound_usd: float, constant_usd: float) -> float:
    """(z − L)/(z − C0), 0 where z = L."""
    if objective_usd <= bound_usd:
        return 0.0
    return (objective_usd - bound_usd) / max(objective_usd - constant_usd, 1e-300)


def solve_scale(
    problem: Problem,
    *,
    gap: float = 0.0,
    time_limit_s: float | None = None,
    work: int | None = None,
    start: Placement | None = None,
    multipliers: Multipliers | None = None,
    progress: Callable[[Progress], None] | None = None,
    seed: int = 0,
    sweeps: int | None = None,
    stop: int | None = None,
) -> Solution:
    """A plan of `problem` with a bound and its certificate.

    Stops at a net `gap`, after `work` rounds, or at `time_limit_s`, whichever is first (with none of them: 48 rounds).
    A run that stops by gap or work gives the same bytes again; one cut off by time is repeated by the `work` and, as
    `stop`, the `sweeps` of its solution.

    Raises ValueError for a single-source problem, and for one with rules, which are for `solve_rollout_scale`.
    """
    if problem.single_source:
        raise ValueError("the search splits rows; a single-source problem is for solve_exact")
    if problem.rules.any:
        raise ValueError("the search alone keeps no rules; a problem that has some is for solve_rollout_scale")
    began = time.monotonic()
    if sweeps is None:
        sweeps = usual_sweeps(problem)
    bound = lagrangian_bound(
        problem, sweeps=sweeps, start=multipliers, time_limit_s=part_of(time_limit_s, 0.5), stop=stop
    )
    if work is None and time_limit_s is None and gap <= 0:
        work = USUAL_WORK
    return search(problem, bound, began, gap=gap, time_limit_s=time_limit_s, work=work, start=start, progress=progress,
                  seed=seed)  # fmt: skip


def usual_sweeps(problem: Problem) -> int:
    """Sweeps of the bound where the caller does not say."""
    return SWEEPS[problem.pairs > MANY_PAIRS]


def part_of(limit_s: float | None, part: float) -> float | None:
    """A part of a time limit, None without one."""
    return None if limit_s is None else limit_s * part


@dataclass(frozen=True)
class Aim:
    """What the gap of a search is measured by, where it is not its own bound.

    `bound_usd` is below every plan of the whole period, and the plan of the search costs `sunk_usd` more in it.
    """

    bound_usd: float
    sunk_usd: float


def search(
    problem: Problem,
    bound: BoundResult,
    began: float,
    *,
    gap: float,
    time_limit_s: float | None,
    work: int | None,
    start: Placement | None,
    progress: Callable[[Progress], None] | None,
    seed: int,
    aim: Aim | None = None,
) -> Solution:
    """The search of `solve_scale` once there is a bound; `began` is when its time started, by the monotonic clock."""
    run = _Run(problem, bound, began, time_limit_s, seed, progress, aim or Aim(bound.bound_usd, 0.0))
    run.say("bound")
    run.open_with(start)
    run.search(gap, work)
    return run.solution(gap)


class _Run:
    """One search: the state, the best plan so far, and the accounts."""

    def __init__(
        self, problem: Problem, bound: BoundResult, began: float, limit_s: float | None, seed: int,
        progress: Callable[[Progress], None] | None, aim: Aim,
    ) -> None:  # fmt: skip
        self.problem, self.bound, self.began, self.seed, self.aim = problem, bound, began, seed, aim
        self.constant = problem.constant_usd
        self.until = np.inf if limit_s is None else began + limit_s
        self.progress = progress
        self.ground, self.sizes = ground_of(problem, bound.multipliers)
        self.works = (new_work(self.ground, self.sizes), new_work(self.ground, self.sizes))
        self.sharing = sharing_of(self.ground)
        self.ground_ref = refer_ground(self.ground)
        self.work_refs = tuple(refer_work(work) for work in self.works)
        self.worth = np.minimum(np.maximum(bound.multipliers.demand_usd, 0.0), self.ground.penalty)
        self.appeal = 0.02 + 0.6 * bound.mean_open
        self.state: State = empty_state(self.ground)
        self.best: Snapshot = snapshot(self.ground, self.state)
        self.rounds = 0
        self.trace: list[tuple[float, float, float]] = []

    def say(self, stage: str) -> None:
        """Enter the trace and tell the caller."""
        seconds = time.monotonic() - self.began
        self.trace.append((seconds, self.best.usd, self.bound.bound_usd))
        if self.progress is not None:
            self.progress(Progress(seconds, stage, self.best.usd, self.bound.bound_usd, self.rounds))

    def gap(self) -> float:
        return net_gap(self.best.usd + self.aim.sunk_usd, self.aim.bound_usd, self.constant)

    def open_with(self, start: Placement | None) -> None:
        """A first plan: the given one, or one built by the prices."""
        if start is not None:
            self.state = load_state(self.ground, from_placement(self.problem, start))
        else:
            self._construct()
        self.best = snapshot(self.ground, self.state)
        self.say("construct")

    def _construct(self) -> None:
        """Build several plans from differing orders and price levels, two at a time, and keep the cheapest."""
        problem = self.problem
        rng = np.random.default_rng([self.seed, 1 << 20])
        whole = np.ones(problem.demands)
        plans: list[State] = []

        def build(thread: int, state: State, order: Int, worth: Float, seed: int) -> None:
            construct(self.ground_ref, refer_state(state), self.work_refs[thread], worth, order, FINE, seed)

        with ThreadPoolExecutor(2) as pool:
            for pair in range(STARTS // 2):
                jobs = []
                for thread in range(2):
                    noise = rng.random(problem.sites) * (0.3 if pair or thread else 0.0)
                    order = np.lexsort((np.arange(problem.sites), noise - self.bound.mean_open)).astype(np.int64)
                    worth = self.worth * (1 + 0.04 * float(rng.random() - 0.5) * (1 if pair or thread else 0))
                    self._accounts(self.works[thread], whole, 1.0)
                    plans.append(empty_state(self.ground))
                    jobs.append(pool.submit(build, thread, plans[-1], order, worth, pair))
                for job in jobs:
                    job.result()
                if time.monotonic() >= self.until:
                    break
        costs = [state_usd(self.ground, state) for state in plans]
        self.state = plans[int(np.argmin(costs))]

    def _accounts(self, work: Work, left: Float, part: float, rows: NDArray[np.bool_] | None = None) -> None:
        """Tell a thread which demand is its own and what it may use of the rows that couple the sites."""
        assign(refer_work(work), left, np.ones(len(left), np.bool_) if rows is None else rows)
        used = self.problem.limit_matrix @ self.state.servers
        off = ~np.isfinite(self.problem.limit_rhs)
        slack = np.where(off, 0.0, np.maximum(self.problem.limit_rhs - used, 0.0))
        mine = np.floor(slack * part) if part < 0.5 else slack - np.floor(slack * (1 - part))
        work.used[:] = used
        work.room[:] = np.where(off, np.inf, used + mine)
        paid = float(self.state.usd.sum())
        budget = self.ground.budget_usd
        work.money[0] = paid
        work.money[1] = paid + part * max(budget - paid, 0.0) if np.isfinite(budget) else np.inf

    def search(self, gap: float, work: int | None) -> None:
        """Cycles of annealing, each twice as long as the last and from the best plan, until a limit is met."""
        length = FIRST_CYCLE
        with ThreadPoolExecutor(2) as pool:
            while not self._done(gap, work):
                heat = HEAT[0] * self._usd_per_site()
                for k in range(length):
                    self._round(pool, heat * HEAT[1] ** (k / length))
                    if self.rounds % 4 == 0:
                        self.say("search")
                    if self._done(gap, work):
                        break
                self._close_cycle()
                length *= 2

    def _usd_per_site(self) -> float:
        count = max(int(self.state.open.sum()), 1)
        return (self.best.usd - self.constant) / count

    def _done(self, gap: float, work: int | None) -> bool:
        return (
            (work is not None and self.rounds >= work) or time.monotonic() >= self.until or self.gap() <= max(gap, 1e-9)
        )

    def _round(self, pool: ThreadPoolExecutor, heat: float) -> None:
        rng = np.random.default_rng([self.seed, self.rounds])
        first, rows = split_sites(self.sharing, self.problem.demands, self.state.open, rng)
        left = unserved_share(self.ground, self.state)
        part = float(rng.random())
        seeds = rng.integers(0, 2**31 - 1, 2)
        self._accounts(self.works[0], left, part, rows)
        self._accounts(self.works[1], left, 1 - part, ~rows)
        state = refer_state(self.state)
        jobs = [
            pool.submit(
                run_moves,
                self.ground_ref,
                state,
                self.work_refs[h],
                mine,
                self.appeal,
                self.worth,
                MOVES,
                heat,
                int(seeds[h]),
            )
            for h, mine in enumerate((first, ~first))
        ]
        for job in jobs:
            job.result()
        self.rounds += 1
        if state_usd(self.ground, self.state) < self.best.usd:
            self.best = snapshot(self.ground, self.state)

    def _close_cycle(self) -> None:
        """Route the best plan anew and go on from it."""
        placement = to_placement(self.problem, self.best)
        routed = reroute(self.problem, placement)
        if routed is not None:
            state = load_state(self.ground, from_placement(self.problem, routed))
            shot = snapshot(self.ground, state)
            if shot.usd < self.best.usd:
                self.best = shot
        self.state = load_state(self.ground, self.best)
        self.say("flow")

    def solution(self, gap: float) -> Solution:
        placement = to_placement(self.problem, self.best)
        must = np.isinf(self.problem.unserved_usd)
        if (placement.unserved[must] > 0).any():
            return Solution(
                Status.LIMIT, None, np.nan, self.bound.bound_usd, self.bound.certificate, self.rounds,
                "no plan found that serves every row that must be served", tuple(self.trace),
            )  # fmt: skip
        broken = violations(self.problem, placement)
        if broken:
            return Solution(
                Status.ERROR, None, np.nan, self.bound.bound_usd, self.bound.certificate, self.rounds, "; ".join(broken)
            )
        objective = cost_usd(self.problem, placement)
        proved = objective <= self.bound.bound_usd + 1e-9 * abs(objective)
        return Solution(
            Status.OPTIMAL if proved else Status.FEASIBLE, placement, objective, self.bound.bound_usd,
            self.bound.certificate, self.rounds, "", tuple(self.trace), self.bound.sweeps,
        )  # fmt: skip


__all__ = ["Aim", "Ground", "Progress", "net_gap", "part_of", "search", "solve_scale", "usual_sweeps"]
