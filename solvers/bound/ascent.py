"""Good multipliers: multiplicative Adam steps on the demand prices, projected Adam steps on the others.

The demand prices live on a logarithmic scale, because a class of a megacity is worth thousands of
times one of a village (Kingma & Ba 2015 for the step; Fisher 1981 and Geoffrion 1974 for the relaxation).
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.evaluate import Evaluator, Sweep
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.solution import Certificate, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

FIRST_STEP = 0.12
LAST_STEP = 0.001
MEMORY = 0.85
SCALE_MEMORY = 0.97


@dataclass(frozen=True)
class BoundResult:
    """A lower bound with its proof, and the averaged choices of the relaxation, which guide the search."""

    bound_usd: float
    certificate: Certificate  # one leaf
    mean_shares: Float  # N: averaged x of every pair
    mean_replicas: Float  # B
    mean_open: Float  # P
    trace: tuple[tuple[float, float], ...]  # (seconds, best bound)
    sweeps: int

    @property
    def multipliers(self) -> Multipliers:
        return self.certificate.multipliers


def lagrangian_bound(
    problem: Problem,
    *,
    sweeps: int = 600,
    start: Multipliers | None = None,
    upper_usd: float | None = None,
    time_limit_s: float | None = None,
    threads: int = 2,
    stop: int | None = None,
) -> BoundResult:
    """A lower bound of `problem`, USD a month, after at most `sweeps` sweeps.

    The same number of sweeps gives the same bytes for any number of threads. `start` warms it up (then the steps begin
    smaller); `upper_usd`, the cost of a known plan, ends it once the bound has met it. `time_limit_s` cuts it off.
    A course laid for `sweeps` that time cut off after k of them is repeated by the same `sweeps` and `stop` = k.
    """
    began = time.monotonic()
    with Evaluator(layout_of(problem), threads) as evaluator:
        upper = np.inf if upper_usd is None else upper_usd
        return _ascend(evaluator, sweeps, stop, start, upper, began, time_limit_s)


def _ascend(
    evaluator: Evaluator,
    sweeps: int,
    stop: int | None,
    start: Multipliers | None,
    upper: float,
    began: float,
    limit_s: float | None,
) -> BoundResult:
    problem = evaluator.layout.problem
    now = _shut(problem, cold_start(problem) if start is None else start)
    steps = _Steps(problem, now, FIRST_STEP if start is None else FIRST_STEP / 4)
    best, best_at = -np.inf, now
    mean = _Means(problem)
    trace: list[tuple[float, float]] = []
    done = 0
    for k in range(max(sweeps if stop is None else min(sweeps, stop), 1)):
        swept = evaluator.sweep(now)
        done = k + 1
        if swept.bound_usd > best:
            best, best_at = swept.bound_usd, now
        if k >= 0.4 * sweeps:
            mean.add(evaluator, swept)
        seconds = time.monotonic() - began
        if k % 10 == 0:
            trace.append((seconds, best))
        if best >= upper - 1e-9 * abs(upper) or (limit_s is not None and seconds > limit_s):
            break
        now = steps.step(evaluator, now, swept, k / max(sweeps, 1))
    if mean.weight == 0:
        mean.add(evaluator, evaluator.sweep(best_at))
    trace.append((time.monotonic() - began, best))
    return BoundResult(
        best, Certificate(best_at), mean.share / mean.weight, mean.replicas / mean.weight,
        mean.open / mean.weight, tuple(trace), done,
    )  # fmt: skip


def cold_start(problem: Problem) -> Multipliers:
    """Demand prices that would just pay for the cheapest pair at average GPU prices; all else free.

    A replica is paid for once and serves every slice, so each slice pays its part of it.
    """
    zeros = np.zeros((problem.sites, max(problem.slices, 1)))
    gpu_usd = _gpu_usd(problem)
    shape = problem.block_shape[problem.pair_block]
    replica_usd = problem.shape_quarters[shape] / 4 * gpu_usd[problem.shape_gpu[shape]]
    replica_usd = (replica_usd + problem.each_replica_usd[problem.pair_block]) / max(problem.slices, 1)
    whole = problem.pair_usd + problem.pair_load * replica_usd
    price = np.full(problem.demands, np.inf)
    np.minimum.at(price, problem.pair_demand, whole)
    price = np.minimum(np.where(np.isfinite(price), price, 0.0) * 1.2, problem.unserved_usd)
    floor = 1e-6 * max(float(price.max(initial=0)), 1e-9)
    price = np.where(problem.unservable & np.isfinite(problem.unserved_usd), problem.unserved_usd, price)
    return Multipliers(
        np.maximum(price, np.minimum(floor, problem.unserved_usd)),
        zeros,
        zeros.copy(),
        np.zeros(len(problem.limit_rhs)),
    )


def _shut(problem: Problem, multipliers: Multipliers) -> Multipliers:
    """Rows of (10–12) that allow nothing get a price beyond all gain at once: their right side of 0 makes it free."""
    if not len(problem.limit_rhs):
        return multipliers
    finite = problem.unserved_usd[np.isfinite(problem.unserved_usd) & ~problem.unservable]
    beyond = 10.0 * (float(finite.sum()) + float(np.abs(multipliers.demand_usd).sum()) + 1.0)
    value = problem.limit_matrix.data[problem.limit_matrix.data > 0]
    beyond /= float(value.min(initial=1.0))
    return replace(multipliers, limit_usd=np.where(problem.limit_rhs == 0, beyond, multipliers.limit_usd))


def _gpu_usd(problem: Problem) -> Float:
    """The mean price of a GPU of every type over the new offers."""
    types = int(max(problem.shape_gpu.max(initial=-1), problem.server_gpu.max(initial=-1))) + 1
    gpu = problem.server_gpu[problem.offer_server]
    used = gpu >= 0  # a server whose GPU no shape runs on
    gpu = gpu[used]
    each = (problem.offer_usd / np.maximum(problem.server_gpus[problem.offer_server], 1))[used]
    total = np.bincount(gpu, each, minlength=types)
    count = np.bincount(gpu, minlength=types)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), 0.0), float)


def _server_worth(problem: Problem) -> Float:
    """What a server may be worth, O: its GPUs at the mean price of new ones, else at what their demand costs unserved.

    Rows over servers that cost nothing (those that stand already) have no price of their own to start from.
    """
    gpu = problem.server_gpu[problem.offer_server]
    each = np.where(gpu >= 0, _gpu_usd(problem)[np.maximum(gpu, 0)], 0.0)
    quarters = problem.shape_quarters[problem.block_shape[problem.pair_block]]
    least = np.full(problem.demands, np.inf)
    np.minimum.at(least, problem.pair_demand, problem.pair_load * quarters / 4)
    busy = float(least[np.isfinite(least)].sum())
    served = np.isfinite(least) & np.isfinite(problem.unserved_usd)
    worth = float(problem.unserved_usd[served].sum())
    each = np.where(each > 0, each, worth / busy if busy > 0 else worth)
    return np.asarray(each * problem.server_gpus[problem.offer_server], float)


class _Adam:
    """Bias-corrected direction of Adam for one vector."""

    def __init__(self, size: int | tuple[int, ...]) -> None:
        self.mean = np.zeros(size)
        self.square = np.zeros(size)
        self.count = 0

    def __call__(self, gradient: Float) -> Float:
        self.count += 1
        self.mean += (1 - MEMORY) * (gradient - self.mean)
        self.square += (1 - SCALE_MEMORY) * (gradient * gradient - self.square)
        mean = self.mean / (1 - MEMORY**self.count)
        square = self.square / (1 - SCALE_MEMORY**self.count)
        return np.asarray(mean / (np.sqrt(square) + 1e-8), float)


class _Steps:
    """The moving parts of the ascent: one Adam a family of rows, and the unit of each price."""

    def __init__(self, problem: Problem, start: Multipliers, first_step: float) -> None:
        self.problem = problem
        self.first_step = first_step
        self.demand = _Adam(problem.demands)
        self.uplink = _Adam(start.uplink_usd.shape)
        self.downlink = _Adam(start.downlink_usd.shape)
        self.limit = _Adam(len(problem.limit_rhs))
        self.budget = _Adam(1)
        self.floor = 1e-9 * max(float(np.abs(start.demand_usd).max(initial=0)), 1e-9)
        self.networked = bool(np.isfinite(problem.uplink_mbps).any() or np.isfinite(problem.downlink_mbps).any())
        worth = float(start.demand_usd[~problem.unservable].sum())
        traffic = float(problem.out_mbps.sum() + problem.in_mbps.sum())
        self.network_unit = worth / traffic if traffic > 0 else 0.0
        per_unit = problem.limit_matrix.multiply(problem.limit_matrix > 0)
        usd = np.asarray(abs(per_unit) @ problem.offer_usd).ravel()
        weight = np.asarray(per_unit.multiply(per_unit).sum(axis=1)).ravel()
        usd = np.where(usd > 0, usd, np.asarray(abs(per_unit) @ _server_worth(problem)).ravel())
        self.limit_unit = np.where(weight > 0, usd / np.maximum(weight, 1e-300), 0.0)

    def step(self, evaluator: Evaluator, now: Multipliers, swept: Sweep, done: float) -> Multipliers:
        """The next multipliers: demand multiplied by exp(step·direction), the others moved by step·unit·direction."""
        problem = self.problem
        step = self.first_step * (LAST_STEP / FIRST_STEP) ** done
        gradient = 1.0 - swept.served
        at_cap = now.demand_usd >= problem.unserved_usd
        gradient[at_cap & (gradient > 0)] = 0.0
        demand = np.maximum(now.demand_usd, self.floor) * np.exp(step * self.demand(gradient))
        moved = replace(now, demand_usd=np.minimum(demand, problem.unserved_usd))
        moved = replace(moved, demand_usd=np.where(problem.unservable, now.demand_usd, moved.demand_usd))
        if self.networked:
            moved = self._network(evaluator, moved, swept, step)
        if len(problem.limit_rhs):
            used = problem.limit_matrix @ (swept.answer.servers * swept.open[problem.offer_site])
            excess = (used - problem.limit_rhs) / np.maximum(
                np.where(np.isfinite(problem.limit_rhs), problem.limit_rhs, 1), 1
            )
            limit = moved.limit_usd + step * self.limit_unit * self.limit(np.where(np.isfinite(excess), excess, -1.0))
            limit = np.where(np.isfinite(problem.limit_rhs), np.maximum(limit, 0.0), 0.0)
            moved = replace(moved, limit_usd=np.where(problem.limit_rhs == 0, now.limit_usd, limit))
        if np.isfinite(problem.monthly_budget_usd):
            servers = swept.answer.servers * swept.open[problem.offer_site]
            paid = float(problem.open_usd @ swept.open + problem.offer_usd @ servers) + evaluator.totals()[2]
            paid += float(problem.each_replica_usd @ (swept.answer.replicas * swept.open[problem.block_site]))
            direction = self.budget(np.array([paid / max(problem.monthly_budget_usd, 1e-9) - 1.0]))
            moved = replace(moved, budget=max(0.0, moved.budget + step * float(direction[0])))
        return moved

    def _network(self, evaluator: Evaluator, now: Multipliers, swept: Sweep, step: float) -> Multipliers:
        problem = self.problem
        up, down, _ = evaluator.totals()
        new = []
        for price, used, room, adam in (
            (now.uplink_usd, up, problem.uplink_mbps, self.uplink),
            (now.downlink_usd, down, problem.downlink_mbps, self.downlink),
        ):
            bound = np.isfinite(room)[:, None] & np.ones_like(price, bool)
            limit = np.where(np.isfinite(room), room, 1.0)[:, None]
            excess = np.where(bound, (used - limit * swept.open[:, None]) / np.maximum(limit, 1e-9), 0.0)
            excess = np.where((price <= 0) & (excess < 0), 0.0, excess)
            new.append(np.where(bound, np.maximum(price + step * self.network_unit * adam(excess), 0.0), 0.0))
        return replace(now, uplink_usd=new[0], downlink_usd=new[1])


class _Means:
    """Averages of what the sites chose."""

    def __init__(self, problem: Problem) -> None:
        self.share = np.zeros(problem.pairs)
        self.replicas = np.zeros(problem.blocks)
        self.open = np.zeros(problem.sites)
        self.weight = 0.0

    def add(self, evaluator: Evaluator, swept: Sweep) -> None:
        answer = swept.answer
        add_shares(
            evaluator.layout.structure.pair, answer.item, answer.share, answer.item_first, answer.item_count, self.share
        )
        self.replicas += answer.replicas * swept.open[evaluator.layout.problem.block_site]
        self.open += swept.open
        self.weight += 1.0


@njit(cache=True, nogil=True)
def add_shares(pair: Int32, item: Int32, share: Float, first: Int, count: Int, total: Float) -> None:
    """Add the sites' shares to the pairs of the problem."""
    for p in range(len(count)):
        for j in range(first[p], first[p] + count[p]):
            total[pair[item[j]]] += share[j]
