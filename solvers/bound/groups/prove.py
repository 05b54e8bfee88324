"""Better bounds by branching: groups of sites that the certificate prices together instead of one by one."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from solvers.bound.cuts import chosen
from solvers.bound.evaluate import Evaluator
from solvers.bound.groups.grouping import components
from solvers.bound.groups.restrict import cuts_of, part_of, priced
from solvers.bound.groups.search import GroupSearch
from solvers.bound.layout import layout_of
from solvers.bound.stretch import site_pairs
from solvers.problem import Problem
from solvers.solution import Backup, Certificate, Cuts

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

MOST_PAIRS = 4_000
"""Of a component that is branched as a whole."""
BRANCHINGS = 25
"""Of a group in one round."""
MOST_VALUES = 60_000
"""Leaves × sites that a certificate may hold: the auditor values each anew."""


@dataclass(frozen=True)
class GroupBound:
    """What groups prove. `work` repeats the run."""

    certificate: Certificate
    bound_usd: float
    work: int  # rounds


def prove_groups(
    problem: Problem,
    certificate: Certificate,
    *,
    time_limit_s: float | None = None,
    work: int | None = None,
    upper_usd: float = np.inf,
    threads: int = 2,
    interrupted: Callable[[], bool] = lambda: False,
) -> GroupBound:
    """`certificate` with its components of few pairs as groups, and the bound that it proves then, USD a month.

    A component shares no row with the others, so that what the groups gain adds up. A round branches every group that
    still gains; the run ends after `work` rounds, at a time, when the bound meets `upper_usd`, or when nothing gains.
    The same work gives the same bytes for any number of threads. Groups of `certificate` are made anew, and its prices
    of backups and jobs are left out: what groups gain has to be more than those.
    """
    began = time.monotonic()
    root, searches, site_usd = _open(problem, _without_failures(problem, certificate))
    bound = site_usd - sum(search.worth for search in searches)
    rounds, growing = 0, searches
    with ThreadPoolExecutor(threads) as pool:
        while growing and (work is None or rounds < work) and bound < upper_usd - 1e-9 * abs(bound):
            late = time_limit_s is not None and time.monotonic() - began > time_limit_s
            if late or interrupted() or _values(searches) > MOST_VALUES:
                break
            grew = list(pool.map(lambda search: search.grow(BRANCHINGS), growing))
            growing = [search for search, more in zip(growing, grew, strict=True) if more]
            bound = site_usd - sum(search.worth for search in searches)
            rounds += 1
    return GroupBound(replace(root, groups=tuple(search.listed() for search in searches)), bound, rounds)


def _without_failures(problem: Problem, certificate: Certificate) -> Certificate:
    """The certificate without groups, covers, prices of backups, and cuts that take failure rows."""
    prices = replace(certificate.multipliers, backup=Backup(), job_usd=np.zeros(0), cover_usd=np.zeros(0))
    cuts = certificate.cuts
    beyond = np.bincount(
        np.repeat(np.arange(cuts.count), np.diff(cuts.row_first)), cuts.row >= problem.demands, cuts.count
    )
    if not beyond.any():
        return Certificate(prices, cuts)
    kept = beyond == 0
    return Certificate(replace(prices, cut_usd=prices.cut_usd[kept]), chosen(cuts, kept))


def grouped_share(problem: Problem) -> float:
    """The share of the pairs that lie in groups small enough to be branched whole."""
    pairs = site_pairs(problem)
    sizes = [int(pairs[sites].sum()) for sites in components(problem)]
    return sum(size for size in sizes if size <= MOST_PAIRS) / max(problem.pairs, 1)


def _values(searches: list[GroupSearch]) -> int:
    return sum(search.leaves * len(search.part.site) for search in searches)


def _open(problem: Problem, certificate: Certificate) -> tuple[Certificate, list[GroupSearch], float]:
    """The certificate with the groups' rows at their penalty, their searches, and its bound without its groups."""
    pairs = site_pairs(problem)
    groups = [sites for sites in components(problem) if pairs[sites].sum() <= MOST_PAIRS]
    member = np.zeros(problem.sites, np.bool_)
    for sites in groups:
        member[sites] = True
    with Evaluator(layout_of(problem), 1) as evaluator:
        evaluator.use(certificate.cuts)
        evaluator.sweep(certificate.multipliers)
        earned = float(np.maximum(evaluator.answer.profit, 0.0)[~member].sum())
        root, inner = _at_penalties(problem, certificate, member)
        evaluator.use(root.cuts)
        base = evaluator.sweep(root.multipliers)
        whole_usd = base.bound_usd + float(np.maximum(evaluator.answer.profit, 0.0).sum()) - earned
    searches: list[GroupSearch] = []
    whole = priced(problem, root) if groups else problem
    for sites in groups:
        part = part_of(whole, sites)
        cuts, which = cuts_of(inner.cuts, part)
        start = certificate.multipliers.demand_usd[part.row]
        cut_usd = inner.multipliers.cut_usd[which]
        searches.append(GroupSearch(part, np.maximum(start, 0.0), cuts, cut_usd))
    return root, searches, whole_usd


def _at_penalties(problem: Problem, certificate: Certificate, member: Bool) -> tuple[Certificate, Certificate]:
    """Rows of the groups at their penalty and cuts between groups only; and the certificate of the other cuts."""
    prices, cuts = certificate.multipliers, certificate.cuts
    inside = np.zeros(problem.demands, np.bool_)
    inside[problem.pair_demand[member[problem.pair_site]]] = True
    beyond = 10.0 * float(
        np.abs(prices.demand_usd).sum() + problem.unserved_usd[np.isfinite(problem.unserved_usd)].sum()
    )
    penalty = np.where(np.isfinite(problem.unserved_usd), problem.unserved_usd, beyond)
    demand = np.where(inside, penalty, prices.demand_usd)
    which = np.repeat(np.arange(cuts.count), np.diff(cuts.block_first))
    own = np.bincount(which, member[problem.block_site[cuts.block]], minlength=cuts.count) == np.diff(cuts.block_first)
    outer = replace(prices, demand_usd=demand, cut_usd=prices.cut_usd[~own])
    kept = chosen(cuts, ~own) if cuts.count else Cuts()
    given = chosen(cuts, own) if cuts.count else Cuts()
    return replace(certificate, multipliers=outer, cuts=kept), Certificate(
        replace(prices, cut_usd=prices.cut_usd[own]), given
    )
