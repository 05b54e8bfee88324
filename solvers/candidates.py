"""Of a hundred million pairs the few per row that a plan is searched among; the bound goes over all of them.

A row keeps its cheapest pairs at sites that the relaxation opens, and its cheapest anywhere: what the pair costs itself
and the replicas that it keeps busy, at what the limits are worth. Backups that N-1 asks for do not vanish: a row that
could be backed up outside of a domain still can. So a plan of what is left keeps every rule of the whole problem.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numba import njit

from solvers.problem import Bool, Figures, Float, Index, Int, Problem, firsts
from solvers.rules import Reserve
from solvers.solution import Placement

MANY_PAIRS = 16_000_000
"""Pairs of a problem from which a plan is searched among candidates."""
AT_LIKELY = 40
"""Pairs that a row keeps at sites that are likely to open."""
ANYWHERE = 16
"""And wherever they are."""
LIKELY = 0.01
"""How often the relaxation opens a site that is likely to be open."""
NOT_TO_BE_HAD_USD = 1e30
"""A quarter GPU at a site without servers for it."""


@dataclass(frozen=True)
class Candidates:
    """A problem with some of the pairs of `whole`: pair k is `pair[k]` there, backup pair k is `spare[k]`."""

    whole: Problem
    problem: Problem
    pair: Int
    spare: Int

    def widened(self, plan: Placement) -> Placement:
        """A plan of the candidates as one of the whole problem."""
        share = np.zeros(self.whole.pairs)
        share[self.pair] = plan.share
        return replace(plan, share=share, backup=self._columns(plan.backup, self.spare))

    def narrowed(self, plan: Placement) -> Placement:
        """A plan of the whole problem as one of the candidates: what is on other pairs is left out."""
        reserve, share = self.whole.rules.reserve, plan.share[self.pair]
        served = np.bincount(self.problem.pair_demand, share, minlength=self.problem.demands)
        unserved = np.maximum(plan.unserved, np.where(served > 1 - 1e-9, 0.0, 1.0 - served))
        backup = plan.backup
        if backup is not None and reserve is not None:
            backup = backup.tocsc()[:, self.spare].tocsr()
        return replace(plan, share=share, unserved=unserved, backup=backup)

    def _columns(self, backup: sp.csr_matrix | None, column: Int) -> sp.csr_matrix | None:
        reserve = self.whole.rules.reserve
        if backup is None or reserve is None:
            return backup
        entries = (backup.data, column[backup.indices], backup.indptr)
        return sp.csr_matrix(entries, (reserve.domains, reserve.pairs))


def candidates(
    problem: Problem,
    limit_usd: Float,
    likely: Bool,
    plan: Placement | None = None,
    most: tuple[int, int] = (AT_LIKELY, ANYWHERE),
) -> Candidates:
    """The pairs of `problem` that are worth a look where limits have these prices, and those of a `plan`.

    Of each row the cheapest: so many at `likely` sites (P), and so many anywhere.
    """
    reserve, one = problem.rules.reserve, alike(problem)
    replica_usd = _replica_usd(problem, limit_usd)
    domains = _domains(problem, reserve)
    kept = np.zeros(problem.pairs, np.bool_)
    usd = problem.pair_usd
    _choose(problem.row_first, problem.pair_block, problem.pair_load, usd, problem.block_site, replica_usd, likely,
            *domains, one, *most, kept)  # fmt: skip
    if plan is not None:
        kept |= plan.share > 0
    spare = kept
    if reserve is not None and not one:
        spare = np.zeros(reserve.pairs, np.bool_)
        first = firsts(reserve.pair_demand, problem.demands)
        _choose(first, reserve.pair_block, reserve.pair_load, np.zeros(1), problem.block_site, replica_usd, likely,
                *domains, True, *most, spare)  # fmt: skip
    if plan is not None and plan.backup is not None:
        spare[plan.backup.indices] = True
    return with_pairs(problem, kept, spare)


def alike(problem: Problem) -> bool:
    """Whether backups stand in the arrays of the primaries."""
    reserve = problem.rules.reserve
    return reserve is not None and all(
        getattr(reserve, name) is getattr(problem, name) for name in ("pair_demand", "pair_block", "pair_load")
    )


def with_pairs(problem: Problem, kept: Bool, spare: Bool) -> Candidates:
    """`problem` with the pairs of `kept` (N) and the backups of `spare`; where these are `alike`, both are one."""
    rules, reserve = problem.rules, problem.rules.reserve
    pair, backup = np.flatnonzero(kept), np.flatnonzero(spare if reserve is not None else kept[:0])
    totals = tuple(replace(t, pair=None if t.pair is None else t.pair[pair]) for t in rules.totals)
    row, block, load = (array[pair] for array in (problem.pair_demand, problem.pair_block, problem.pair_load))
    load = load.astype(float)
    if reserve is not None and alike(problem):
        reserve = replace(reserve, pair_demand=row, pair_block=block, pair_load=load)
    elif reserve is not None:
        other, at, its = (array[backup] for array in (reserve.pair_demand, reserve.pair_block, reserve.pair_load))
        reserve = replace(reserve, pair_demand=other, pair_block=at, pair_load=its.astype(float))
    narrow = replace(
        problem, pair_demand=row, pair_block=block, pair_load=load, pair_usd=problem.pair_usd[pair].astype(float),
        rules=replace(rules, reserve=reserve, totals=totals),
    )  # fmt: skip
    return Candidates(problem, narrow, pair, backup)


def _replica_usd(problem: Problem, limit_usd: Float) -> Float:
    """What the GPUs of a replica cost on the cheapest servers of its site, with what limits are worth, B."""
    types = int(max(problem.shape_gpu.max(initial=-1), problem.server_gpu.max(initial=-1))) + 1
    gpu = problem.server_gpu[problem.offer_server]
    there = (gpu >= 0) & (problem.offer_max > 0) & (problem.server_gpus[problem.offer_server] > 0)
    usd = np.asarray(problem.offer_usd + problem.limit_matrix.T @ limit_usd, np.float64)
    quarter = usd[there] / (4 * problem.server_gpus[problem.offer_server])[there]
    least = np.full(problem.sites * max(types, 1), NOT_TO_BE_HAD_USD)
    np.minimum.at(least, (problem.offer_site * types + gpu)[there], quarter)
    each = least[problem.block_site * types + problem.shape_gpu[problem.block_shape]]
    return np.asarray(each * problem.shape_quarters[problem.block_shape] + problem.each_replica_usd, np.float64)


def _domains(problem: Problem, reserve: Reserve | None) -> tuple[Int, Int]:
    """Domains by site."""
    if reserve is None:
        return np.zeros(problem.sites + 1, np.int64), np.empty(0, np.int64)
    site, domain = np.nonzero(reserve.domain_site.T)
    return np.searchsorted(site, np.arange(problem.sites + 1)).astype(np.int64), domain.astype(np.int64)


@njit(cache=True, nogil=True)
def _choose(
    first: Int, block: Index, load: Figures, usd: Figures, block_site: Int, replica_usd: Float, likely: Bool,
    domain_first: Int, domain: Int, guarded: bool, at_likely: int, anywhere: int, kept: Bool,
) -> None:  # fmt: skip
    """Mark the pairs that every row keeps; `usd` may be shorter than the pairs: then they cost nothing themselves."""
    priced = len(usd) == len(block)
    every = np.ones(len(likely), np.bool_)
    best, which = np.empty(max(at_likely, anywhere)), np.empty(max(at_likely, anywhere), np.int64)
    for i in range(len(first) - 1):
        start, number = first[i], first[i + 1] - first[i]
        cost = np.empty(number)
        for k in range(number):
            cost[k] = load[start + k] * replica_usd[block[start + k]] + (usd[start + k] if priced else 0.0)
        _keep(cost, start, block, block_site, every, best[:anywhere], which, kept)
        _keep(cost, start, block, block_site, likely, best[:at_likely], which, kept)
        if guarded:
            _guard(cost, start, block, block_site, domain_first, domain, kept)


@njit(cache=True, nogil=True)
def _keep(
    cost: Float, start: int, block: Index, block_site: Int, among: Bool, best: Float, which: Int, kept: Bool
) -> None:
    """Mark a row's cheapest pairs at sites `among` (P), the first of equal ones; `best` says how many.

    They are held in order, as a row has thousands of pairs and keeps some dozens: few are ever moved.
    """
    held, most = 0, len(best)
    for k in range(len(cost)):
        if most == 0 or (held == most and cost[k] >= best[held - 1]) or not among[block_site[block[start + k]]]:
            continue
        held = min(held + 1, most)
        at = held - 1
        while at > 0 and best[at - 1] > cost[k]:
            best[at], which[at] = best[at - 1], which[at - 1]
            at -= 1
        best[at], which[at] = cost[k], k
    for j in range(held):
        kept[start + which[j]] = True


@njit(cache=True, nogil=True)
def _guard(cost: Float, start: int, block: Index, block_site: Int, domain_first: Int, domain: Int, kept: Bool) -> None:
    """Of a row all of whose kept sites share a domain, keep the cheapest pair outside of it as well."""
    home = -1
    for k in range(len(cost)):
        if kept[start + k] and (home < 0 or cost[k] < cost[home]):
            home = k
    if home < 0:
        return
    site = block_site[block[start + home]]
    for at in range(domain_first[site], domain_first[site + 1]):
        outside = -1
        for k in range(len(cost)):
            if _within(block_site[block[start + k]], domain[at], domain_first, domain):
                continue
            if kept[start + k]:
                outside = -1
                break
            if outside < 0 or cost[k] < cost[outside]:
                outside = k
        if outside >= 0:
            kept[start + outside] = True


@njit(cache=True, nogil=True)
def _within(site: int, wanted: int, domain_first: Int, domain: Int) -> bool:
    """Whether a domain holds a site."""
    found = False
    for k in range(domain_first[site], domain_first[site + 1]):
        found = found or domain[k] == wanted
    return found
