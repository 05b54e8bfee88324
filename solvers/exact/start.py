"""Two quick plans to start the exact solver from: sites by cost per served value, and the relaxation rounded.

Both fill one site after the other with what is still unserved: replicas for the block that saves most per GPU, the
cheapest servers that hold them, then shares by saving per replica. Pins, jobs and reserve are then added by
`solvers.complete`. The last word has the flow program.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from solvers.check import violations
from solvers.complete import complete
from solvers.exact.backends import solve_highs
from solvers.exact.bounds import slices_of
from solvers.exact.flow import route
from solvers.exact.model import Model, build_model
from solvers.exact.values import decided, vector
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement, cost_usd

_SIZES = (1, 8, 16, 32)
_RELAXED_PAIRS = 30_000
"""Above this `quick` leaves the relaxation out: it takes longer than its plan is worth."""
_SUPPORT = 0.01
"""Least share of the relaxation that counts as "serves from here"."""


def quick(problem: Problem, *, model: Model | None = None, time_limit_s: float | None = None) -> Placement | None:
    """The cheaper of the two plans; the relaxation is left out where it would take long.

    `model` is that of `problem`, where it has been built already.
    """
    model = build_model(problem) if model is None else model
    plans = [greedy(problem, model)]
    if problem.pairs <= _RELAXED_PAIRS:
        plans.append(rounded(problem, model, time_limit_s=time_limit_s))
    found = [plan for plan in plans if plan is not None]
    return min(found, key=lambda plan: cost_usd(problem, plan), default=None)


def greedy(problem: Problem, model: Model) -> Placement | None:
    """Fill the sites in the order of their cost per served value; None when rows that must be served are left."""
    work = _Work(problem)
    work.fill(_by_value(problem, work.value_usd), np.ones(problem.pairs, np.bool_))
    return _routed(problem, model, work)


def rounded(problem: Problem, model: Model, *, time_limit_s: float | None = None) -> Placement | None:
    """Fill the sites in the order of the linear relaxation's flow, with the rows it serves there; then greedily."""
    answer = solve_highs(model, time_limit_s=time_limit_s, gap=0.0, relaxed=True)
    if answer.values is None:
        return None
    share = answer.values[model.columns.of("share")]
    work = _Work(problem)
    flow = np.bincount(problem.pair_site, share * work.value_usd[problem.pair_demand], minlength=problem.sites)
    work.fill(np.argsort(-flow, kind="stable"), share > _SUPPORT)
    work.fill(_by_value(problem, work.value_usd), np.ones(problem.pairs, np.bool_))
    return _routed(problem, model, work)


def _routed(problem: Problem, model: Model, work: "_Work") -> Placement | None:
    """The plan of `work` made to keep the rules that it knows nothing of, with the best shares; None if it does not."""
    unserved = np.asarray(1.0 - np.bincount(problem.pair_demand, work.share, problem.demands), np.float64)
    plan = Placement(work.opened, work.servers, work.replicas, work.share, np.maximum(unserved, 0.0))
    found: list[Placement | None] = [plan]
    if problem.rules.any:
        reserve = problem.rules.reserve
        nothing_fails = reserve is not None and not reserve.domains
        ruled = replace(problem, rules=replace(problem.rules, reserve=None)) if nothing_fails else problem
        completed = complete(ruled, plan).plan
        found = [completed]
        if completed is not None and not problem.single_source:
            values = vector(model, problem, completed)
            values[model.columns.of("uses")] = _spread(problem, model, completed.share)
            found.append(route(problem, model, values))
    elif not problem.single_source:
        found = [route(problem, model, decided(model, work.opened, work.servers, work.replicas))]
    kept = [plan for plan in found if plan is not None and not violations(problem, plan)]
    return min(kept, key=lambda plan: cost_usd(problem, plan), default=None)


def _spread(problem: Problem, model: Model, share: Float) -> Bool:
    """The sites that a row may use, so that these shares without those elsewhere keep its rule of spread (1)."""
    demand, site = model.columns.kind("uses").index
    rule = problem.rules.spread
    if rule is None:
        return np.zeros(0, np.bool_)
    served = np.zeros(problem.demands * problem.sites)
    np.add.at(served, problem.pair_demand * problem.sites + problem.pair_site, share)
    here = served[demand * problem.sites + site]
    kept = (here > 0) & (here >= rule.least_share[demand])
    order = np.lexsort((-here, ~kept, demand))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(demand[order], demand[order])
    most = np.where(rule.most_sites > 0, rule.most_sites, problem.sites)
    return np.asarray(kept & (rank < most[demand]), np.bool_)


def _by_value(problem: Problem, value_usd: Float) -> Int:
    """Sites, cheapest first by (opening + GPUs at the cheapest offer) per USD that serving from there would save."""
    saving = np.maximum(value_usd[problem.pair_demand] - problem.pair_usd, 0.0)
    saved = np.bincount(problem.pair_site, saving, minlength=problem.sites)
    gpus = np.maximum(problem.server_gpus[problem.offer_server], 1)
    per_gpu = np.full(problem.sites, np.inf)
    np.minimum.at(per_gpu, problem.offer_site, problem.offer_usd / gpus)
    quarters = problem.shape_quarters[problem.block_shape][problem.pair_block]
    load = np.bincount(problem.pair_site, problem.pair_load * quarters / 4, minlength=problem.sites)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (problem.open_usd + np.where(load > 0, per_gpu * load, 0.0)) / saved
    return np.argsort(np.where(np.isnan(ratio), np.inf, ratio), kind="stable")


@dataclass(frozen=True)
class _Filled:
    """What a site would hold: replicas and servers in all, shares added, and what that saves and costs."""

    servers: Int
    replicas: Int
    share: Float
    saving_usd: float


class _Work:
    """The plan as it grows."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.servers = np.zeros(problem.offers, np.int64)
        self.replicas = np.zeros(problem.blocks, np.int64)
        self.share = np.zeros(problem.pairs)
        self.opened = np.zeros(problem.sites, np.bool_)
        self.residual = np.ones(problem.demands)
        self.budget_usd = problem.monthly_budget_usd
        finite = problem.unserved_usd[np.isfinite(problem.unserved_usd)]
        everything = problem.open_usd.sum() + problem.offer_usd @ problem.offer_max + problem.pair_usd.sum()
        must = 10 * (finite.sum() + everything) + 1  # dearer than any plan
        self.value_usd = np.where(np.isinf(problem.unserved_usd), must, problem.unserved_usd)
        self.pairs_of_site = _groups(problem.pair_site, problem.sites)
        self.pairs_of_block = _groups(problem.pair_block, problem.blocks)
        self.blocks_of_site = _groups(problem.block_site, problem.sites)
        self.offers_of_site = _groups(problem.offer_site, problem.sites)
        follows = problem.block_slice if problem.follows_slices else None
        stands = np.full(problem.blocks, -1) if follows is None else follows
        slices = 1 if follows is None else slices_of(problem)
        self.stands = (stands[:, None] < 0) | (stands[:, None] == np.arange(slices))  # B × T, one T if all the same

    def fill(self, order: Int, allowed: Bool) -> None:
        """Try the sites of `order`, using the pairs that are `allowed`, and keep each one that pays."""
        for site in order.tolist():
            self._commit(site, self._filled(site, allowed))

    def _commit(self, site: int, filled: _Filled) -> None:
        problem = self.problem
        added = filled.share - self.share
        opening = 0.0 if self.opened[site] else float(problem.open_usd[site])
        paid = opening + float(problem.offer_usd @ (filled.servers - self.servers))
        spent = paid + float(problem.pair_usd @ added)
        if not added.any() or filled.saving_usd <= paid or spent > self.budget_usd:
            return
        self.servers, self.replicas, self.share = filled.servers, filled.replicas, filled.share
        self.opened[site] = True
        self.budget_usd -= spent
        self.residual -= np.bincount(problem.pair_demand, added, problem.demands)
        self.residual[self.residual < 1e-12] = 0.0

    def _filled(self, site: int, allowed: Bool) -> _Filled:
        problem = self.problem
        servers, replicas, share = self.servers.copy(), self.replicas.copy(), self.share.copy()
        residual, saving = self.residual.copy(), 0.0
        for block in self._blocks(site, allowed):
            beside = self.blocks_of_site[site]
            rival = beside[problem.block_choice[beside] == problem.block_choice[block]]
            if replicas[block] or (problem.block_choice[block] >= 0 and replicas[rival].any()):
                continue
            pairs = self.pairs_of_block[block]
            pairs = pairs[allowed[pairs] & (residual[problem.pair_demand[pairs]] > 0) & (self._gain(pairs) > 0)]
            count = min(int(problem.block_max[block]), self._wanted(pairs, residual)) if len(pairs) else 0
            while count > 0:
                replicas[block] = count
                bought = self._bought(site, servers, replicas)
                if bought is not None:
                    added = self._shares(site, pairs, count, residual, share)
                    gained = float(self._gain(pairs) @ added)
                    if gained > problem.offer_usd @ (bought - servers):
                        servers = bought
                        share[pairs] += added
                        residual[problem.pair_demand[pairs]] -= added
                        saving += gained
                        break
                count //= 2
            replicas[block] = count
        return _Filled(servers, replicas, share, saving)

    def _gain(self, pairs: Int) -> Float:
        return self.value_usd[self.problem.pair_demand[pairs]] - self.problem.pair_usd[pairs]

    def _blocks(self, site: int, allowed: Bool) -> list[int]:
        """Blocks of the site by what they could save per quarter GPU."""
        problem = self.problem

        def rate(block: int) -> float:
            pairs = self.pairs_of_block[block]
            pairs = pairs[allowed[pairs]]
            part = self.residual[problem.pair_demand[pairs]]
            saving = np.maximum(self._gain(pairs), 0.0) @ part
            load = max(float(problem.pair_load[pairs] @ part), 1e-3)
            return -float(saving) / (load * float(problem.shape_quarters[problem.block_shape[block]]))

        return sorted(self.blocks_of_site[site].tolist(), key=rate)

    def _wanted(self, pairs: Int, residual: Float) -> int:
        """Replicas that would serve all that is left of these pairs."""
        problem = self.problem
        row = problem.pair_demand[pairs]
        load = np.bincount(problem.demand_slice[row], problem.pair_load[pairs] * residual[row])
        return max(1, int(np.ceil(load.max() / problem.capacity_factor)))

    def _shares(self, site: int, pairs: Int, count: int, residual: Float, share: Float) -> Float:
        """Shares for `pairs` on `count` replicas, best saving per load first, within capacity and both links."""
        problem = self.problem
        here = self.pairs_of_site[site]
        row_here = problem.pair_demand[here]
        room = np.full((problem.slices, 3), problem.capacity_factor * count)
        for column, (mbps, limit) in enumerate(
            ((problem.out_mbps, problem.uplink_mbps), (problem.in_mbps, problem.downlink_mbps)), 1
        ):
            sent = mbps[row_here] * share[here]
            flow = np.bincount(problem.demand_slice[row_here], sent, minlength=problem.slices)
            room[:, column] = limit[site] - flow
        added = np.zeros(len(pairs))
        order = np.argsort(-self._gain(pairs) / (problem.pair_load[pairs] + 1e-9), kind="stable")
        for at in order.tolist():
            row = int(problem.pair_demand[pairs[at]])
            need = np.array([problem.pair_load[pairs[at]], problem.out_mbps[row], problem.in_mbps[row]])
            left = room[problem.demand_slice[row]]
            most = min([residual[row], *(left[need > 0] / need[need > 0])])
            if problem.single_source:
                most = 1.0 if most >= 1.0 else 0.0
            added[at] = max(most, 0.0)
            left -= need * added[at]
        return added

    def _bought(self, site: int, servers: Int, replicas: Int) -> Int | None:
        """`servers` and the cheapest further ones of the site that make room for `replicas`; None if none do."""
        problem = self.problem
        result = servers.copy()
        offers = self.offers_of_site[site]
        kind = problem.offer_server[offers]
        gpus = np.maximum(problem.server_gpus[kind], 1)
        order = offers[np.argsort(problem.offer_usd[offers] / gpus, kind="stable")]
        while (missing := self._missing(site, result, replicas)) is not None:
            gpu, size = missing
            fitting = (o for o in order.tolist() if self._fits(site, int(o), gpu, size, result))
            offer = next(fitting, None)
            if offer is None:
                return None
            result[offer] += 1
        return result

    def _missing(self, site: int, servers: Int, replicas: Int) -> tuple[int, int] | None:
        """The first (GPU type, size) of equation 6 that does not hold at the site, largest size first."""
        problem = self.problem
        blocks, offers = self.blocks_of_site[site], self.offers_of_site[site]
        shape, server = problem.block_shape[blocks], problem.offer_server[offers]
        quarters, held = problem.shape_quarters[shape], 4 * problem.server_gpus[server]
        for gpu in np.unique(problem.shape_gpu[shape][replicas[blocks] > 0]).tolist():
            for size in reversed(_SIZES):
                entering = (problem.shape_gpu[shape] == gpu) & (quarters >= size)
                taken = ((quarters * replicas[blocks])[entering] @ self.stands[blocks[entering]]).max()
                there = (held * servers[offers])[(problem.server_gpu[server] == gpu) & (held >= size)].sum()
                if taken > there:
                    return int(gpu), size
        return None

    def _fits(self, site: int, offer: int, gpu: int, size: int, servers: Int) -> bool:
        problem = self.problem
        server = problem.offer_server[offer]
        if problem.server_gpu[server] != gpu or 4 * problem.server_gpus[server] < size:
            return False
        more = servers.copy()
        more[offer] += 1
        offers = self.offers_of_site[site]
        use = more[offers] @ problem.server_use[problem.offer_server[offers]]
        stock = np.asarray(problem.limit_matrix @ more).reshape(-1)
        return bool(
            more[offer] <= problem.offer_max[offer]
            and (use <= problem.site_limit[site]).all()
            and (stock <= problem.limit_rhs).all()
        )


def _groups(index: Int, count: int) -> Sequence[Int]:
    """Positions of each value 0..count-1 in `index`."""
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(np.bincount(index, minlength=count))[:-1]) if count else []
