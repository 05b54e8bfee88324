"""Lagrangian probing: what every plan costs at least in which a site is open, or closed, or a pair serves its row.

The demand rows are relaxed as in `solvers.bound`, whose exact integer sites give every site p a reduced cost r_p at the
multipliers π. Two rows stay in the relaxation, because whole numbers make them strong and choosing sites by r_p keeps
them exactly: least ≤ Σ open_p ≤ most, with `least` from the capacity that the rows to be served need and `most` from
the rows of (10-12). So

    L(π) = constant(π) + min { Σ_{p in S} r_p : least ≤ |S| ≤ most, decided sites as decided }

and the same minimum over the sets that hold p, or do not, bounds every plan in which p is open, or closed
(Avella, Boccia, Sforza and Vasil'ev 2009; Görtz and Klose 2012). Any multipliers are sound.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from solvers.bound import lagrangian_bound
from solvers.bound.ascent import cold_start
from solvers.bound.evaluate import Evaluator, Sweep, add_served
from solvers.bound.layout import layout_of
from solvers.exact.bounds import most as most_of
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Multipliers

COLD_STEP, WARM_STEP = 0.12, 0.02
_LAST_STEP = 3e-4
_MEMORY, _SQUARE_MEMORY = 0.85, 0.97
_START = 0.25
"""A row's price begins at this part of its mean cost at least: one served for nothing at home has no other scale."""


@dataclass(frozen=True)
class Core:
    """What is left of a problem below some threshold: fewer pairs, sites that are decided, and how many are open."""

    problem: Problem  # P sites as before
    pairs: Int  # which pairs of the whole problem are left, in the core's order
    opened: Bool  # P: open in every plan below the threshold
    closed: Bool  # P: closed in every such plan
    least: int  # sites open in any such plan
    most: int


def whole_core(problem: Problem) -> Core:
    """All of `problem`: nothing is decided but the number of open sites."""
    nothing = np.zeros(problem.sites, np.bool_)
    least = fewest_sites(problem)
    return Core(problem, np.arange(problem.pairs), nothing, nothing, least, max(most_sites(problem), least))


@dataclass(frozen=True)
class Probe:
    """What one vector of multipliers proves. Costs of plans, USD a month; a plan that cannot be costs inf."""

    bound_usd: float  # L: every plan
    opened_usd: Float  # P: every plan in which p is open
    closed_usd: Float  # P: every plan in which p is closed
    served_usd: Float  # N: every plan with x_n = 1; -inf where that is not known
    count_usd: Float  # P + 1: every plan with that many open sites
    multipliers: Multipliers


def probe(core: Core, start: Multipliers, *, step: float, sweeps: int, until: float = np.inf) -> Probe:
    """The probe at the best multipliers that `sweeps` sweeps from `start` find; the same sweeps give the same bytes.

    The prices move by exp(`step`) at first; `until` (of `time.monotonic`) cuts it off.
    """
    with Evaluator(layout_of(core.problem), 1, exact=True) as evaluator:
        relaxation = Relaxation(evaluator, core)
        return relaxation.probe(relaxation.ascend(start, step=step, sweeps=sweeps, until=until)[0])


def fewest_sites(problem: Problem) -> int:
    """Open sites that any plan needs, since the rows that must be served fill more than fewer could carry.

    Row i weighs its mean load w_i. A block carries at most replicas·capacity_factor·max_i(w_i / pair_load) of that;
    the sites that carry most come first.
    """
    must = np.isinf(problem.unserved_usd)
    pair = np.flatnonzero(must[problem.pair_demand])
    row, block, load = problem.pair_demand[pair], problem.pair_block[pair], problem.pair_load[pair]
    weight = np.bincount(row, load, problem.demands) / np.maximum(np.bincount(row, minlength=problem.demands), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(load > 0, weight[row] / load, np.inf)
    replicas = most_of(problem).replicas
    fewest = int(must.any())
    for t in range(problem.slices):
        here = problem.demand_slice[row] == t
        best = np.zeros(problem.blocks)
        np.maximum.at(best, block[here], rate[here])
        with np.errstate(invalid="ignore"):
            block_most = np.where(replicas > 0, best * problem.capacity_factor * replicas, 0.0)
        carried = np.bincount(problem.block_site, block_most, problem.sites)
        needed = float(weight[must & (problem.demand_slice == t)].sum()) * (1 - 1e-9)
        total = np.cumsum(np.sort(carried)[::-1])
        fewest = max(fewest, int(np.searchsorted(total, needed)) + 1 if needed > 0 else 0)
    return min(fewest, problem.sites)


def most_sites(problem: Problem) -> int:
    """Open sites that the rows of (10-12) allow when each holds one server; an open site without one is no use."""
    if (problem.open_usd < 0).any():
        return problem.sites
    most = problem.sites
    for number, limit in enumerate(problem.limit_rhs.tolist()):
        if np.isfinite(limit):
            per_server = problem.limit_matrix[[number]].toarray().ravel()
            per_site = np.full(problem.sites, np.inf)
            np.minimum.at(per_site, problem.offer_site, per_server)
            total = np.cumsum(np.sort(np.where(np.isinf(per_site), 0.0, per_site)))
            most = min(most, int((total <= limit * (1 + 1e-9) + 1e-9).sum()))
    return most


def whole_rows(problem: Problem) -> bool:
    """Whether some optimum serves every row from one block: it has to, or no row stands in another's way."""
    unlimited = np.isinf(problem.uplink_mbps).all() and np.isinf(problem.downlink_mbps).all()
    free = bool((problem.pair_load == 0).all() and unlimited and np.isinf(problem.monthly_budget_usd))
    return problem.single_source or free


class Relaxation:
    """The relaxation of a core. `opened` and `closed` may be changed between calls."""

    def __init__(self, evaluator: Evaluator, core: Core) -> None:
        self.evaluator, self.problem = evaluator, core.problem
        self.least, self.most = core.least, core.most
        self.opened, self.closed = core.opened.copy(), core.closed.copy()
        # A site that earns a dollar by opening always answers; its true cost is put back in `sweep`.
        evaluator.facts = evaluator.facts._replace(open_usd=np.full(self.problem.sites, -1.0))

    def sweep(self, multipliers: Multipliers) -> tuple[float, Float, Sweep]:
        """The constant of L, the reduced cost of every site, and what they would do if open."""
        swept = self.evaluator.sweep(multipliers)
        profit = swept.answer.profit
        return (
            swept.bound_usd + float(profit.sum()),
            (1.0 + multipliers.budget) * (self.problem.open_usd + 1.0) - profit,
            swept,
        )

    def _free(self, reduced: Float) -> tuple[Int, int, int]:
        """Undecided sites, cheapest first, and the fewest and most of them that may open."""
        free = np.flatnonzero(~self.opened & ~self.closed)
        decided = int(self.opened.sum())
        return free[np.argsort(reduced[free], kind="stable")], max(self.least - decided, 0), self.most - decided

    def chosen(self, reduced: Float) -> Int:
        """The sites of the cheapest set."""
        free, least, most = self._free(reduced)
        count = max(min(max(int((reduced[free] < 0).sum()), least), most), 0)
        return np.concatenate([np.flatnonzero(self.opened), free[:count]]).astype(np.int64)

    def _served(self, swept: Sweep, chosen: Int) -> Float:
        """How often the chosen sites serve every row, I."""
        answer, structure = swept.answer, self.evaluator.layout.structure
        count = np.zeros(self.problem.sites, np.int64)
        count[chosen] = answer.item_count[chosen]
        result = np.zeros(self.problem.demands)
        add_served(structure.pair_demand, answer.item, answer.share, answer.item_first, count, result)
        return result

    def probe(self, multipliers: Multipliers) -> Probe:
        """What `multipliers` prove."""
        constant, reduced, _ = self.sweep(multipliers)
        free, least, most = self._free(reduced)
        decided = int(self.opened.sum())
        constant += float(reduced[self.opened].sum())
        count_usd = np.full(self.problem.sites + 1, np.inf)
        total = _totals(constant, reduced[free])
        count_usd[decided : decided + len(total)] = total
        count_usd[: self.least] = np.inf
        count_usd[self.most + 1 :] = np.inf
        bound = float(count_usd.min())
        opened, closed = np.where(self.closed, np.inf, bound), np.where(self.opened, np.inf, bound)
        for at, site in enumerate(free.tolist()):
            others = _totals(constant, np.delete(reduced[free], at))
            opened[site] = reduced[site] + others[max(least - 1, 0) : max(most, 0)].min(initial=np.inf)
            closed[site] = others[least : max(most + 1, 0)].min(initial=np.inf)
        served = _served_usd(self.problem, multipliers, opened - reduced)
        return Probe(bound, opened, closed, served, count_usd, multipliers)

    def ascend(
        self, start: Multipliers, *, step: float, sweeps: int, until: float = np.inf, enough_usd: float = np.inf
    ) -> tuple[Multipliers, float]:
        """The best of `sweeps` multiplicative Adam steps on the demand prices (Kingma and Ba 2015), and its bound.

        Ends once the bound has passed `enough_usd`.
        """
        problem = self.problem
        lost = problem.unservable & np.isfinite(problem.unserved_usd)  # rows whose last pair is gone cost their penalty
        start = replace(start, demand_usd=np.where(lost, problem.unserved_usd, start.demand_usd))
        now, best, best_usd = start, start, -np.inf
        mean, square = np.zeros(problem.demands), np.zeros(problem.demands)
        floor = 1e-9 * max(float(np.abs(start.demand_usd[~problem.unservable]).max(initial=0)), 1e-9)
        for k in range(sweeps):
            constant, reduced, swept = self.sweep(now)
            chosen = self.chosen(reduced)
            bound = constant + float(reduced[chosen].sum())
            if bound > best_usd:
                best, best_usd = now, bound
            if best_usd > enough_usd or time.monotonic() > until:
                break
            slope = 1.0 - self._served(swept, chosen)
            slope[problem.unservable | ((now.demand_usd >= problem.unserved_usd) & (slope > 0))] = 0.0
            mean += (1 - _MEMORY) * (slope - mean)
            square += (1 - _SQUARE_MEMORY) * (slope * slope - square)
            direction = mean / (1 - _MEMORY ** (k + 1)) / (np.sqrt(square / (1 - _SQUARE_MEMORY ** (k + 1))) + 1e-8)
            moved = step * (_LAST_STEP / step) ** (k / sweeps)
            price = np.minimum(np.maximum(now.demand_usd, floor) * np.exp(moved * direction), problem.unserved_usd)
            now = replace(now, demand_usd=np.where(problem.unservable, now.demand_usd, price))
        return best, best_usd


def _totals(constant: float, reduced: Float) -> Float:
    """constant + the sum of the first 0, 1, 2, … of `reduced`."""
    return np.asarray(constant + np.concatenate([[0.0], np.cumsum(reduced)]), np.float64)


def first_prices(problem: Problem, *, sweeps: int, time_limit_s: float | None = None) -> Multipliers:
    """Prices to begin with: those of links, limits and budget from the general ascent, which keep from here on."""
    limited = len(problem.limit_rhs) > 0 and not _counted(problem)
    linked = np.isfinite(problem.uplink_mbps).any() or np.isfinite(problem.downlink_mbps).any()
    if limited or linked or np.isfinite(problem.monthly_budget_usd):
        start = lagrangian_bound(problem, sweeps=sweeps, threads=1, time_limit_s=time_limit_s, cuts=False).multipliers
    else:
        start = cold_start(problem)
    usd = np.bincount(problem.pair_demand, problem.pair_usd, problem.demands)
    mean = usd / np.maximum(np.bincount(problem.pair_demand, minlength=problem.demands), 1)
    demand = np.minimum(np.maximum(start.demand_usd, _START * mean), problem.unserved_usd)
    return replace(start, demand_usd=np.where(problem.unservable, start.demand_usd, demand))


def _counted(problem: Problem) -> bool:
    """Whether every limit only counts open sites, which the relaxation keeps: one server a site, all alike."""
    finite = problem.limit_matrix[np.isfinite(problem.limit_rhs)].toarray()
    alike = finite.size == 0 or bool((finite == finite[:, :1]).all())
    return alike and bool((np.bincount(problem.offer_site, most_of(problem).servers) <= 1).all())


def _served_usd(problem: Problem, multipliers: Multipliers, others_usd: Float) -> Float:
    """The bound of every plan with x_n = 1, N; `others_usd` is that of the sites beside p, for each p.

    For θ ≥ 0 a site of one replica earns at most θ·capacity + Σ_n (π - usd - θ·load)⁺, and by x_n = 1 it loses
    (usd + θ·load - π)⁺ of that. θ is the worth of the load that just does not fit. Only sites of one block and one
    replica are priced, and only where no price lies on links or budget.
    """
    result = np.full(problem.pairs, -np.inf)
    priced = multipliers.budget > 0 or (multipliers.uplink_usd > 0).any() or (multipliers.downlink_usd > 0).any()
    if priced or problem.slices != 1 or not whole_rows(problem):
        return result
    simple = _simple_sites(problem)
    offer_usd = problem.offer_usd + problem.limit_matrix.T @ multipliers.limit_usd
    cheapest = np.full(problem.sites, np.inf)
    np.minimum.at(cheapest, problem.offer_site, offer_usd)
    margin = multipliers.demand_usd[problem.pair_demand] - problem.pair_usd
    order = np.argsort(problem.pair_site, kind="stable")
    first = np.searchsorted(problem.pair_site[order], np.arange(problem.sites + 1))
    for site in np.flatnonzero(simple & np.isfinite(cheapest)).tolist():
        pair = order[first[site] : first[site + 1]]
        load = problem.pair_load[pair]
        theta = _critical(margin[pair], load, problem.capacity_factor)
        gain = margin[pair] - theta * load
        earned = theta * problem.capacity_factor + float(np.maximum(gain, 0.0).sum())
        reduced = float(problem.open_usd[site] + cheapest[site]) - earned
        result[pair] = others_usd[site] + reduced + np.maximum(-gain, 0.0)
    return result


def _simple_sites(problem: Problem) -> Bool:
    """Sites with one block of one replica, P."""
    blocks = np.bincount(problem.block_site, minlength=problem.sites)
    replicas = np.bincount(problem.block_site, most_of(problem).replicas, problem.sites)
    return np.asarray((blocks == 1) & (replicas <= 1), np.bool_)


def _critical(margin: Float, load: Float, capacity: float) -> float:
    """Worth of a unit of load at the end of the fractional knapsack; 0 when all that pays fits."""
    item = np.flatnonzero((margin > 0) & (load > 0))
    density = margin[item] / load[item]
    order = np.argsort(-density, kind="stable")
    full = int(np.searchsorted(np.cumsum(load[item][order]), capacity, side="right"))
    return float(density[order][full]) if full < len(item) else 0.0
