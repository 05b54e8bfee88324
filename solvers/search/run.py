"""One search: a first plan, cycles of annealing on two threads, the closing flow, and the clock over all of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from solvers.bound import BoundResult
from solvers.check import violations
from solvers.problem import Problem
from solvers.search.clock import Clock
from solvers.search.flow import reroute
from solvers.search.ground import ground_of
from solvers.search.grow import grow
from solvers.search.halves import sharing_of, split_sites
from solvers.search.moves import COARSE, FINE, assign, construct, run_moves
from solvers.search.reference import refer
from solvers.search.repair import Repaired, repair
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
Bool = NDArray[np.bool_]

MANY_PAIRS = 300_000
MOST_PAIRS = 3_000_000
MOST_SITES = 2_000
"""More than so many take as long to build a plan of as many pairs do."""
MOVES = 256
CALM_MOVES = 64
"""Of such a cycle: few, as routing shows soon whether the plan is good enough."""
FIRST_CYCLE = 16
CALM_CYCLE = 1
"""From a given plan, near what changed in it: the first of cycles that double until they are as long as usual."""
STARTS = (8, 2)
"""Plans built before the search, and of a problem of the most pairs. Where sites are large a round of moves costs as
much as all eight, and does not open and close as they do: atlas-2025 begins 1 % cheaper, and keeps half of that."""
FEW_SITES = 16
"""Up to which a plan may hang on one site: then not all moves and plans rise slowly, or go by the prices of limits."""
LEAPS = 0.1
"""Of the moves then, that begin at the last price: a large site opens before a small one takes what it would live on.
Where sites are many this makes plans dearer by half a per cent at the same number of rounds."""
HEAT = (0.015, 0.01)
"""Temperature at the start of a cycle, as a share of the cost per open site, and what is left of it at the end."""
WARM = 0.5
"""Heat of the cycles near what changed in a given plan, but for the first, which has none; then it doubles."""
STAY = 0.1
"""What a replica that did not stand in the given plan has to save, of what one costs on average; halved every cycle."""
LOST = 1e-6
"""Of a row, by which a repaired plan may leave more of it than the given one and has lost nothing."""
ORDERS = 8
"""Of sites, in which a repaired plan is added to; each takes a tenth of a second at a million pairs."""
SPARE = 1.3
"""How much longer than the last time the closing steps may take."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    seconds: float
    stage: str  # bound, construct, search, flow
    objective_usd: float  # inf before the first plan
    bound_usd: float
    work: int
    gap: float = np.nan  # net


@dataclass(frozen=True)
class Aim:
    """What the gap of a search is measured by, where it is not its own bound.

    `bound_usd` is below every plan of the whole period, and the plan of the search costs `sunk_usd` more in it.
    """

    bound_usd: float
    sunk_usd: float


def net_gap(objective_usd: float, bound_usd: float, constant_usd: float) -> float:
    """(z − L)/(z − C0), 0 where z = L."""
    if objective_usd <= bound_usd:
        return 0.0
    return (objective_usd - bound_usd) / max(objective_usd - constant_usd, 1e-300)


class Run:
    """The state of a search, the best plan so far, and the accounts."""

    def __init__(
        self, problem: Problem, bound: BoundResult, clock: Clock, seed: int,
        progress: Callable[[Progress], None] | None, aim: Aim | None,
    ) -> None:  # fmt: skip
        self.problem, self.bound, self.clock, self.seed = problem, bound, clock, seed
        self.aim = aim or Aim(bound.bound_usd, 0.0)
        self.progress = progress
        self.constant = problem.constant_usd
        self.ground, sizes = ground_of(problem, bound.multipliers)
        self.sharing = sharing_of(self.ground)
        self.works = (new_work(self.ground, sizes), new_work(self.ground, sizes))
        self.ground_ref = refer(self.ground)
        self.unguided_ref = self.ground_ref
        if problem.sites <= FEW_SITES:
            for work in self.works:
                work.temper[0] = LEAPS
            if _guides(bound.multipliers):
                self.unguided_ref = refer(ground_of(problem, _unguided(bound.multipliers))[0])
        self.work_refs = tuple(refer(work) for work in self.works)
        self.worth = np.minimum(np.maximum(bound.multipliers.row_usd, 0.0), self.ground.penalty)
        self.appeal = 0.02 + 0.6 * bound.mean_open
        self.state: State = empty_state(self.ground)
        self.best: Snapshot = snapshot(self.ground, self.state)
        self.checked = self.found = self.best
        self.heat, self.focus = 1.0, np.zeros(0, np.bool_)
        self.stay: Int | None = None  # pairs of a given plan
        self.rounds = 0
        self.flow_s = self.check_s = 0.0
        self.trace: list[tuple[float, float, float]] = []

    def say(self, stage: str) -> None:
        """Enter the trace and tell the caller."""
        seconds = self.clock.seconds
        self.trace.append((seconds, self.best.usd, self.bound.bound_usd))
        if self.progress is not None:
            self.progress(Progress(seconds, stage, self.best.usd, self.bound.bound_usd, self.rounds, self.gap()))

    def gap(self) -> float:
        return net_gap(self.best.usd + self.aim.sunk_usd, self.aim.bound_usd, self.constant)

    def open_with(self, start: Placement | None, *, calm: bool = True) -> None:
        """A first plan: what can be kept of the given one, or one built by the prices; the cheaper one if not `calm`.

        A plan that calm search left far from its bound may be that of another world.
        """
        if start is not None:
            self.stay = np.flatnonzero(start.share > 0)
            self._take_over(repair(self.problem, start), start.unserved)
        given = self.state
        too_dear = float(given.usd.sum()) > self.ground.budget_usd
        if start is None or not calm or too_dear:
            self._construct()
        if start is not None and not calm:
            if not too_dear and state_usd(self.ground, given) <= state_usd(self.ground, self.state):
                self.state = given
            self.heat, self.focus = 1.0, np.zeros(0, np.bool_)
            for each in self.works:
                each.money[2] = 0.0  # what a replica that is new has to save
        self.best = snapshot(self.ground, self.state)
        self.found = self.best
        self._check()
        self.say("construct")

    def _check(self) -> None:
        began = self.clock.seconds
        if not violations(self.problem, to_placement(self.problem, self.best)):
            self.checked = self.found = self.best
        self.check_s = self.clock.seconds - began

    def _take_over(self, found: Repaired, was_left: Float) -> None:
        """Go on from a repaired plan: first near what changed, and only where that saves something."""
        self.state = load_state(self.ground, found.shot)
        lost = unserved_share(self.ground, self.state) > was_left + LOST
        near = np.bincount(self.sharing.site, lost[self.sharing.row], len(self.state.open)) > 0
        self.heat = 0.0
        placed = float(self.state.usd.sum()) / max(int(found.shot.replicas.sum()), 1)
        for work in self.works:
            work.stood[:] = found.shot.replicas
            work.money[2] = STAY * placed
        if lost.any():
            self._mend()
        grown = np.bincount(self.problem.block_site, self.state.replicas != found.shot.replicas, len(near)) > 0
        self.focus = np.asarray(found.touched | (near & self.state.open) | grown, np.bool_)

    def _mend(self) -> None:
        """Serve what a repaired plan has lost: routed anew, then by replicas added, in the cheapest of some orders."""
        self.best = self.found = snapshot(self.ground, self.state)
        self._route()
        left, rng = unserved_share(self.ground, self.state), np.random.default_rng([self.seed, 1 << 21])
        levels, routed = COARSE if _large(self.problem) else FINE, self.best
        for turn in range(ORDERS):
            state = load_state(self.ground, routed)
            self._accounts(self.works[0], left, 1.0)
            rank = rng.random(len(state.open)) if turn else -self.bound.mean_open
            order = np.lexsort((rank, ~state.open)).astype(np.int64)
            grow(self.ground_ref, refer(state), self.work_refs[0], self.worth, order, levels, turn)
            self.best = min(self.best, snapshot(self.ground, state), key=lambda shot: shot.usd)
            if self.clock.over:
                break
        self.state = load_state(self.ground, self.best)

    def _construct(self) -> None:
        """Build several plans from differing orders and price levels, two at a time, and keep the cheapest."""
        problem = self.problem
        rng = np.random.default_rng([self.seed, 1 << 20])
        whole = np.ones(problem.demands)
        best: Snapshot | None = None
        self.state = empty_state(self.ground)
        with ThreadPoolExecutor(2) as pool:
            for pair in range(STARTS[_large(problem)] // 2):
                jobs = []
                for thread in range(2):
                    noise = rng.random(problem.sites) * (0.3 if pair or thread else 0.0)
                    order = np.lexsort((np.arange(problem.sites), noise - self.bound.mean_open)).astype(np.int64)
                    worth = self.worth * (1 + 0.04 * float(rng.random() - 0.5) * (1 if pair or thread else 0))
                    self._accounts(self.works[thread], whole, 1.0)
                    jobs.append(pool.submit(self._build, thread, order, worth, pair))
                for job in jobs:
                    shot = job.result()
                    best = shot if best is None or shot.usd < best.usd else best
                if self.clock.over:
                    break
        assert best is not None
        self.state = load_state(self.ground, best)

    def _build(self, thread: int, order: Int, worth: Float, seed: int) -> Snapshot:
        """One plan, level after level of prices; where time is up, the last level comes next.

        Every other pair of plans of a few sites is built without the prices of limits and links: where demand is worth
        no more than they are, nothing pays by them.
        """
        state = empty_state(self.ground)
        ground = self.unguided_ref if seed % 2 else self.ground_ref
        levels = COARSE if _large(self.problem) else FINE
        for at, level in enumerate(levels.tolist()):
            last = at == len(levels) - 1
            if last or not self.clock.over:
                rise = np.array([level])
                construct(ground, refer(state), self.work_refs[thread], worth, order, rise, seed + at)
            if self.works[thread].number[0] == 0:
                break
        return snapshot(self.ground, state)

    def _accounts(self, work: Work, left: Float, part: float, rows: Bool | None = None) -> None:
        """Tell a thread which demand is its own and what it may use of the rows that couple the sites."""
        assign(refer(work), left, np.ones(len(left), np.bool_) if rows is None else rows)
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
        """Cycles of annealing, each twice as long as the last and from the best plan, until a limit is met.

        The time for the closing flow and for the last check is kept free, by what they took before.
        """
        length = CALM_CYCLE if len(self.focus) else FIRST_CYCLE
        if (work is None or work > 0) and not self.clock.over and self.gap() > max(gap, 1e-9):
            self._route()
        with ThreadPoolExecutor(2) as pool:
            while not self._done(gap, work):
                heat = HEAT[0] * self.heat * self._usd_per_site()
                for k in range(length):
                    self._round(pool, heat * HEAT[1] ** (k / length))
                    if self.rounds % 4 == 0:
                        self.say("search")
                    if self._done(gap, work):
                        break
                if self.clock.stopped:
                    break
                self._route()
                for each in self.works:
                    each.money[2] *= 0.5
                length *= 2
                near = len(self.focus) > 0 and length < FIRST_CYCLE
                self.heat = WARM if near else min(max(2 * self.heat, WARM), 1.0)
                self.focus = self.focus if near else np.zeros(0, np.bool_)

    def _usd_per_site(self) -> float:
        count = max(int(self.state.open.sum()), 1)
        return (self.best.usd - self.constant) / count

    def _done(self, gap: float, work: int | None) -> bool:
        self.clock.kept_s = SPARE * (self.flow_s + self.check_s)
        return (work is not None and self.rounds >= work) or self.clock.over or self.gap() <= max(gap, 1e-9)

    def _round(self, pool: ThreadPoolExecutor, heat: float) -> None:
        rng = np.random.default_rng([self.seed, self.rounds])
        first, rows = split_sites(self.sharing, self.problem.demands, self.state.open, rng)
        left = unserved_share(self.ground, self.state)
        part = float(rng.random())
        seeds = rng.integers(0, 2**31 - 1, 2)
        self._accounts(self.works[0], left, part, rows)
        self._accounts(self.works[1], left, 1 - part, ~rows)
        state = refer(self.state)
        ground = self.unguided_ref if self.rounds % 4 == 3 else self.ground_ref
        jobs = [
            pool.submit(
                run_moves, ground, state, self.work_refs[half], mine, self._seeds(mine), self.appeal,
                self.worth, CALM_MOVES if len(self.focus) else MOVES, heat, int(seeds[half]),
            )
            for half, mine in enumerate((first, ~first))
        ]  # fmt: skip
        for job in jobs:
            job.result()
        self.rounds += 1
        if state_usd(self.ground, self.state) < self.found.usd:
            self.found = snapshot(self.ground, self.state)
            self.best = min(self.best, self.found, key=lambda shot: shot.usd)

    def _seeds(self, mine: Bool) -> Bool:
        """Sites from which the moves of a half start: all of its own, or those in focus."""
        near = mine & self.focus if len(self.focus) else mine
        return near if (near & self.state.open).any() else mine

    def _route(self) -> None:
        """Route the best plan of the cycle anew, and go on from the best of all.

        A plan that the moves made is worth a good deal less than it is once routed, so the two are never compared.
        """
        began = self.clock.seconds
        routed = reroute(self.problem, to_placement(self.problem, self.found), self.stay)
        if routed is not None:
            shot = snapshot(self.ground, load_state(self.ground, from_placement(self.problem, routed)))
            self.best = min(self.best, shot, key=lambda shot: shot.usd)
        self.state = load_state(self.ground, self.best)
        self.found = replace(self.best, usd=np.inf)
        self.flow_s = self.clock.seconds - began
        self.say("flow")

    def solution(self) -> Solution:
        """The best plan; the last one that was checked where the best one breaks a rule."""
        bound, trace = self.bound, tuple(self.trace)
        placement = to_placement(self.problem, self.best)
        broken = violations(self.problem, placement) if self._serves(placement) else []
        if broken and self.checked is not self.best:
            placement = to_placement(self.problem, self.checked)
            broken = violations(self.problem, placement) if self._serves(placement) else broken
        if not self._serves(placement):
            return Solution(
                Status.LIMIT, None, np.nan, bound.bound_usd, bound.certificate, self.rounds,
                "no plan found that serves every row that must be served", trace,
            )  # fmt: skip
        if broken:
            return Solution(
                Status.ERROR, None, np.nan, bound.bound_usd, bound.certificate, self.rounds, "; ".join(broken)
            )
        objective = cost_usd(self.problem, placement)
        proved = objective <= bound.bound_usd + 1e-9 * abs(objective)
        return Solution(
            Status.OPTIMAL if proved else Status.FEASIBLE, placement, objective, bound.bound_usd, bound.certificate,
            self.rounds, "", trace, bound.sweeps,
        )  # fmt: skip

    def _serves(self, placement: Placement) -> bool:
        """Whether every row that must be served is."""
        return not (placement.unserved[np.isinf(self.problem.unserved_usd)] > 0).any()


def _large(problem: Problem) -> bool:
    """Whether building several plans would take most of the time."""
    return problem.pairs > MOST_PAIRS or problem.sites > MOST_SITES


def _guides(prices: Multipliers) -> bool:
    """Whether limits or links have a price."""
    return bool(prices.limit_usd.any() or prices.uplink_usd.any() or prices.downlink_usd.any())


def _unguided(prices: Multipliers) -> Multipliers:
    """The prices of rows alone."""
    limit, up, down = (np.zeros_like(usd) for usd in (prices.limit_usd, prices.uplink_usd, prices.downlink_usd))
    return replace(prices, limit_usd=limit, uplink_usd=up, downlink_usd=down)
