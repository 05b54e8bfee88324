"""The exact solver on the core of a problem: what Lagrangian probing leaves of it, proven for the whole.

A threshold T says which plans are looked for: those that cost less. `solvers.exact.probing` proves that some sites are
closed in all of them, some open, and some pairs unused; what remains is solved as a mixed-integer program. Every plan
left out costs T or more, so the lesser of the program's bound and T bounds the whole problem. The first thresholds lie
a little above the Lagrangian bound, where the core is small and its plan mostly the optimum already; the last is the
cost of the best plan known.
"""

import time
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.check import violations
from solvers.exact.backends import Answer, End, solve_highs, solve_scip
from solvers.exact.model import Model, build_model
from solvers.exact.probing import COLD_STEP, Core, Probe, first_prices, probe, whole_core, whole_rows
from solvers.exact.reduction import reduced, tightened
from solvers.exact.solve import clean
from solvers.exact.start import quick
from solvers.exact.values import vector
from solvers.problem import Float, Problem
from solvers.solution import Certificate, Multipliers, Placement, Solution, Status, cost_usd

_SPARE = (1.4, 2)
"""The first threshold leaves a·k + b sites, where the relaxation opens k."""
_GROWTH = 4.0
"""Each next threshold lies this many times as far above the bound, until it meets the best plan."""
_TRUST = 1e-6
"""How far, relative, a backend's tolerances may lift its bound above the cost of its plan."""
_BACKENDS = {"highs": solve_highs, "scip": solve_scip}


def solve_core(
    problem: Problem,
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
    start: Placement | None = None,
    sweeps: int = 600,
) -> Solution:
    """Solve `problem` by fixing what no better plan can use, then exactly.

    `gap`, `start` and the statuses mean what they mean in `solve_exact`; `sweeps` is the length of the Lagrangian
    ascent. The certificate proves the Lagrangian bound, which is mostly below `bound_usd`, that of the whole search.
    Costs that are whole numbers are used where every row is served from one block: the next better plan then costs
    a dollar less.

    Raises ValueError for a backend that does not exist, a `start` that breaks a rule, and a problem with rules of
    `solvers.rules` or replicas that follow the slices, whose plans the probing does not bound (`solve_exact` takes it).
    """
    if problem.rules.any or problem.follows_slices:
        raise ValueError("solve_core takes neither rules beyond the daily ones nor replicas that follow the slices")
    if backend not in _BACKENDS:
        raise ValueError(f"backend {backend!r} is none of {', '.join(_BACKENDS)}")
    if start is not None and (broken := violations(problem, start)):
        raise ValueError(f"the start breaks a rule: {broken[0]}")
    run = _Run(problem, backend, time_limit_s, gap)
    if (problem.unservable & np.isinf(problem.unserved_usd)).any():
        return Solution(Status.INFEASIBLE, None, np.nan, np.inf, message="a row that must be served has no pair")
    run.offer(start if start is not None else quick(problem, time_limit_s=run.left(0.1)))
    return run.search(sweeps)


def core_model(core: Core) -> Model:
    """The mixed-integer model of a core: sites fixed, and least ≤ Σ open ≤ most."""
    model = build_model(core.problem)
    sites = core.problem.sites
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[:sites] = core.opened
    upper[:sites] = ~core.closed
    row = sp.csr_matrix((np.ones(sites), (np.zeros(sites, np.int64), np.arange(sites))), shape=(1, len(model.cost)))
    return replace(
        model,
        lower=lower,
        upper=upper,
        matrix=sp.vstack([model.matrix, row], format="csr"),
        row_lower=np.append(model.row_lower, core.least),
        row_upper=np.append(model.row_upper, core.most),
        row_scale=np.append(model.row_scale, 1.0),
    )


class _Run:
    """The best plan and bound as they move."""

    def __init__(self, problem: Problem, backend: str, time_limit_s: float | None, gap: float) -> None:
        self.problem, self.backend, self.gap = problem, backend, gap
        self.began, self.limit_s = time.monotonic(), time_limit_s
        self.plan: Placement | None = None
        self.usd = np.inf
        self.bound = -np.inf
        self.multipliers: Multipliers | None = None
        self.whole_usd = _whole_costs(problem)
        self.trace: list[tuple[float, float, float]] = []
        self.message = ""

    def left(self, part: float = 1.0) -> float | None:
        """Seconds of the time limit that are left, or a part of them."""
        if self.limit_s is None:
            return None
        return max(part * (self.limit_s - (time.monotonic() - self.began)), 0.01)

    def offer(self, plan: Placement | None) -> None:
        """Keep `plan` if it keeps every rule and is the best."""
        if plan is not None and not violations(self.problem, plan) and cost_usd(self.problem, plan) < self.usd:
            self.plan, self.usd = plan, cost_usd(self.problem, plan)

    def raise_bound(self, usd: float) -> None:
        if self.whole_usd and np.isfinite(usd):
            usd = float(np.ceil(usd - 1e-6 * max(1.0, abs(usd) * 1e-3)))
        self.bound = max(self.bound, min(usd, self.usd))
        self.trace.append((time.monotonic() - self.began, self.usd, self.bound))

    def size(self) -> float:
        return max(self.usd - self.problem.constant_usd, 0.0)

    def done(self) -> bool:
        digits = 1e-12 * max(abs(self.usd), 1.0)
        return self.plan is not None and self.usd - self.bound <= self.gap * self.size() + digits

    def enough(self) -> float:
        """The threshold that proves the best plan: plans beyond it are no better, or not by more than the gap."""
        if self.plan is None:
            return np.inf
        return self.usd - (1 - 1e-3 if self.whole_usd else 0.5 * self.gap * self.size())

    def until(self, part: float) -> float:
        """When a part of the seconds left will be over."""
        left = self.left(part)
        return np.inf if left is None else time.monotonic() + left

    def search(self, sweeps: int) -> Solution:
        """A core for a good plan, then the one that proves it, until no better plan is left or time ends."""
        whole, until = whole_core(self.problem), self.until(0.3)
        prices = first_prices(self.problem, sweeps=sweeps, time_limit_s=self.left(0.15))
        probed = probe(whole, prices, step=COLD_STEP, sweeps=sweeps, until=until)
        self.multipliers = probed.multipliers
        self.raise_bound(probed.bound_usd)
        threshold = first = _first_threshold(probed)
        dearest = _dearest_usd(self.problem)
        while not self.done():
            last = self.enough()
            threshold = min(threshold, last)
            left = self._core(whole, probed, threshold, first=threshold == first)
            ended = self.solve(left, threshold, self.left(1.0 if threshold == last else 0.3))
            if ended == End.INFEASIBLE and np.isinf(threshold):
                return Solution(Status.INFEASIBLE, None, np.nan, np.inf, message=self.message)
            if ended == End.FAILED or (threshold == last and (ended == End.STOPPED or last <= self.enough())):
                break
            grown = probed.bound_usd + _GROWTH * (threshold - probed.bound_usd)
            # A plan from a core is good enough to be proven next; so is any, where nothing lies between.
            # Beyond what any plan costs there is nothing to be found between: a problem without one ends there.
            threshold = grown if ended == End.INFEASIBLE and threshold < grown < dearest else np.inf
        return self.solution()

    def _core(self, whole: Core, probed: Probe, threshold: float, *, first: bool) -> Core | None:
        """What is left below `threshold`; the first time only sites are looked at closely, for a plan."""
        if first and threshold < self.enough():
            spread = probed.bound_usd + _GROWTH * (threshold - probed.bound_usd)
            return reduced(whole, probed, threshold, pairs_usd=spread)
        left = reduced(whole, probed, threshold)
        if left is None:
            return None
        return tightened(left, probed.multipliers, threshold, until=self.until(0.3))[0]

    def solve(self, core: Core | None, threshold: float, limit_s: float | None) -> End:
        """Solve the core below `threshold`; it moves the plan and the bound."""
        if core is None:
            self.raise_bound(threshold)
            return End.INFEASIBLE
        model = core_model(core)
        hint = self._hint(core, model)
        answer: Answer = _BACKENDS[self.backend](model, time_limit_s=limit_s, gap=self.gap / 4, start=hint)
        self.message = answer.message
        plan = None
        if answer.values is not None:
            plan = _widened(self.problem, core, clean(core.problem, model, answer.values))
            self.offer(plan)
        if answer.end == End.FAILED:
            return End.FAILED
        bound = np.inf if answer.end == End.INFEASIBLE else answer.bound + model.offset_usd
        if plan is not None and bound > cost_usd(self.problem, plan) + _TRUST * max(self.size(), 1e-6):
            self.message = f"the backend's bound {bound:.12g} lies above its plan"
            return End.FAILED
        self.raise_bound(min(bound, threshold))
        return answer.end

    def _hint(self, core: Core, model: Model) -> Float | None:
        """The best plan, when it lies in the core."""
        if self.plan is None:
            return None
        inside = np.zeros(self.problem.pairs, np.bool_)
        inside[core.pairs] = True
        held = np.bincount(self.problem.offer_site, self.plan.servers, self.problem.sites) > 0
        if (self.plan.share[~inside] > 0).any() or (held & core.closed).any() or (~held & core.opened).any():
            return None
        return vector(model, core.problem, replace(self.plan, share=self.plan.share[core.pairs]))

    def solution(self) -> Solution:
        certificate = None if self.multipliers is None else Certificate(self.multipliers)
        trace = tuple(self.trace)
        if self.plan is None:
            status = Status.LIMIT if self.limit_s is not None else Status.ERROR
            return Solution(status, None, np.nan, self.bound, certificate, message=self.message, trace=trace)
        status = Status.OPTIMAL if self.done() else Status.FEASIBLE
        return Solution(status, self.plan, self.usd, self.bound, certificate, message=self.message, trace=trace)


def _first_threshold(probed: Probe) -> float:
    """Just above what the likeliest sites cost when forced open."""
    k = int(np.argmin(probed.count_usd))
    return float(np.sort(probed.opened_usd)[min(int(_SPARE[0] * k) + _SPARE[1], len(probed.opened_usd) - 1)])


def _dearest_usd(problem: Problem) -> float:
    """A plan that buys all there is, serves each row from every pair and leaves it unserved as well costs no more."""
    bought = np.append(problem.open_usd, problem.offer_usd * problem.offer_max)
    served = np.append(problem.pair_usd, problem.each_replica_usd * problem.block_max)
    unserved = problem.unserved_usd[np.isfinite(problem.unserved_usd)]
    return float(sum(np.maximum(usd, 0.0).sum() for usd in (bought, served, unserved)))


def _whole_costs(problem: Problem) -> bool:
    """Whether some optimum costs a whole number: whole costs, rows served whole, nothing left unserved in part."""
    costs = (problem.open_usd, problem.offer_usd, problem.each_replica_usd, problem.pair_usd, problem.unserved_usd)
    return whole_rows(problem) and all((np.isinf(usd) | (usd == np.rint(usd))).all() for usd in costs)


def _widened(problem: Problem, core: Core, plan: Placement | None) -> Placement | None:
    """A plan of the core as one of the whole problem."""
    if plan is None:
        return None
    share = np.zeros(problem.pairs)
    share[core.pairs] = plan.share
    return replace(plan, share=share)
