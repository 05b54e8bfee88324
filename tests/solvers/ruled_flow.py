"""The best shares where all counts are given: a linear program for every pattern of sites and of slices left out."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, milp

from solvers.problem import Problem

SLACK = 1e-9


@dataclass(frozen=True)
class Given:
    """Counts that are decided, and what they leave of the budget and of every total."""

    replicas: tuple[int, ...]
    opened: tuple[bool, ...]
    budget: float
    rooms: tuple[float, ...]


def flow_usd(problem: Problem, given: Given, floor_usd: float) -> float:
    """Cost of the best shares, unserved and peaks included; inf when there are none.

    `floor_usd` is what `free_usd` says: no pattern is better, so the first that is as good ends the search.
    """
    if problem.single_source:
        return _single_source(problem, given)
    best = np.inf
    for used, left_out in itertools.product(_site_patterns(problem), _slice_patterns(problem)):
        best = min(best, _program(problem, given, used, left_out))
        if best <= floor_usd + SLACK:
            break
    return best


def free_usd(problem: Problem, given: Given) -> float:
    """What the shares cost at least: as if they might be spread anyhow, and peaks were free."""
    return _program(problem, given, None, None)


def _site_patterns(problem: Problem) -> list[dict[int, frozenset[int]] | None]:
    """Every way to say which sites the rows with a rule of spread use."""
    spread = problem.rules.spread
    if spread is None:
        return [None]
    patterns: list[list[tuple[int, frozenset[int]]]] = []
    for row in range(problem.demands):
        if spread.least_share[row] <= 0 and spread.most_sites[row] <= 0:
            continue
        sites = sorted(set(problem.pair_site[problem.pair_demand == row].tolist()))
        most = int(spread.most_sites[row]) or len(sites)
        # With a least share l, more than 1/l sites are never used.
        if spread.least_share[row] > 0:
            most = min(most, int(1 / spread.least_share[row] + SLACK))
        sets = [frozenset(s) for n in range(min(most, len(sites)) + 1) for s in itertools.combinations(sites, n)]
        if spread.least_share[row] <= 0:  # then more sites only help
            sets = [s for s in sets if len(s) == min(most, len(sites))]
        patterns.append([(row, s) for s in sets])
    return [dict(pattern) for pattern in itertools.product(*patterns)]


def _slice_patterns(problem: Problem) -> list[dict[int, frozenset[int]] | None]:
    """Every way to leave slices out of the peak of every site whose peak counts."""
    transit = problem.rules.transit
    if transit is None:
        return [None]
    patterns = []
    for site in range(problem.sites):
        every = (
            frozenset(o) for n in range(problem.slices + 1) for o in itertools.combinations(range(problem.slices), n)
        )
        sets = [out for out in every if sum(transit.slice_share[t] for t in out) <= transit.free[site] + SLACK]
        patterns.append([(site, s) for s in sets if not any(s < other for other in sets)])
    return [dict(pattern) for pattern in itertools.product(*patterns)]


def _program(
    problem: Problem,
    given: Given,
    used: dict[int, frozenset[int]] | None,
    left_out: dict[int, frozenset[int]] | None,
) -> float:
    """The linear program over shares, unserved shares and peaks; None leaves spread or peaks out."""
    pairs, demands, sites = problem.pairs, problem.demands, problem.sites
    rules = problem.rules
    when = problem.demand_slice[problem.pair_demand]
    standing = np.array(given.replicas, int)[problem.pair_block] > 0
    left: list[np.ndarray] = []
    right: list[float] = []

    def at_most(limit: float, share: Any = 0.0, unserved: Any = 0.0, peak: Any = 0.0) -> None:
        row = np.empty(pairs + demands + sites)
        row[:pairs], row[pairs : pairs + demands], row[pairs + demands :] = share, unserved, peak
        left.append(row)
        right.append(limit)

    for t in range(problem.slices):
        for block in range(problem.blocks):
            here = (problem.pair_block == block) & (when == t)
            at_most(problem.capacity_factor * given.replicas[block], problem.pair_load * here)
        for site in range(sites):
            here = (problem.pair_site == site) & (when == t)
            out, into = (mbps[problem.pair_demand] * here for mbps in (problem.out_mbps, problem.in_mbps))
            if np.isfinite(problem.uplink_mbps[site]):
                at_most(problem.uplink_mbps[site] * given.opened[site], out)
            if np.isfinite(problem.downlink_mbps[site]):
                at_most(problem.downlink_mbps[site] * given.opened[site], into)
            if left_out is not None and t not in left_out[site]:
                at_most(0.0, out, peak=-1.0 * (np.arange(sites) == site))
    upper = np.concatenate([standing * 1.0, np.isfinite(problem.unserved_usd) * 1.0, np.full(sites, np.inf)])
    for row, chosen in (used or {}).items():
        for site in sorted(set(problem.pair_site.tolist())):
            here = (problem.pair_demand == row) & (problem.pair_site == site)
            if site not in chosen:
                upper[np.flatnonzero(here)] = 0.0
            elif rules.spread is not None and rules.spread.least_share[row] > 0:
                at_most(-float(rules.spread.least_share[row]), -1.0 * here)
    peak_usd = np.zeros(sites) if rules.transit is None else rules.transit.usd_per_mbps
    if np.isfinite(given.budget):
        at_most(given.budget, problem.pair_usd, peak=peak_usd)
    for total, room in zip(rules.totals, given.rooms, strict=True):
        peak = 0.0 if total.peak is None or left_out is None else total.peak
        at_most(room, _or_zero(total.pair), _or_zero(total.unserved), peak)
    unserved = np.where(np.isinf(problem.unserved_usd), 0.0, problem.unserved_usd)
    cost = np.concatenate([problem.pair_usd, unserved, peak_usd])
    equal = np.zeros((demands, len(cost)))
    equal[problem.pair_demand, np.arange(pairs)] = 1
    equal[np.arange(demands), pairs + np.arange(demands)] = 1
    rows, least = np.vstack([*left, equal]), np.append(np.full(len(left), -np.inf), np.ones(demands))
    found = milp(cost, constraints=(rows, least, np.append(right, np.ones(demands))), bounds=Bounds(0.0, upper))
    return float(found.fun) if found.status == 0 else np.inf


def _or_zero(values: np.ndarray | None) -> Any:
    return 0.0 if values is None else values


def _single_source(problem: Problem, given: Given) -> float:
    """The best assignment of every whole row to one standing pair or to none."""
    standing = np.array(given.replicas, int)[problem.pair_block] > 0
    options = [
        [-1, *np.flatnonzero((problem.pair_demand == row) & standing).tolist()] for row in range(problem.demands)
    ]
    best = np.inf
    for chosen in itertools.product(*options):
        share = np.zeros(problem.pairs)
        share[[pair for pair in chosen if pair >= 0]] = 1
        unserved = np.array([pair < 0 for pair in chosen], float)
        missed = sum(problem.unserved_usd[row] for row, pair in enumerate(chosen) if pair < 0)
        peaks = _peaks(problem, share)
        peak_usd = 0.0 if problem.rules.transit is None else float(problem.rules.transit.usd_per_mbps @ peaks)
        usd = float(problem.pair_usd @ share) + peak_usd
        if usd + missed < best and usd <= given.budget + SLACK and _keeps(problem, given, share, unserved, peaks):
            best = usd + float(missed)
    return best


def _keeps(problem: Problem, given: Given, share: np.ndarray, unserved: np.ndarray, peaks: np.ndarray) -> bool:
    """Rules 4, 9 and the totals on whole shares; a row on one site breaks no rule of spread."""
    when = problem.demand_slice[problem.pair_demand]
    for t in range(problem.slices):
        for block in range(problem.blocks):
            here = (problem.pair_block == block) & (when == t)
            if problem.pair_load[here] @ share[here] > problem.capacity_factor * given.replicas[block] + SLACK:
                return False
        for site in range(problem.sites):
            here = (problem.pair_site == site) & (when == t)
            row = problem.pair_demand[here]
            if problem.out_mbps[row] @ share[here] > problem.uplink_mbps[site] + SLACK:
                return False
            if problem.in_mbps[row] @ share[here] > problem.downlink_mbps[site] + SLACK:
                return False
    for total, room in zip(problem.rules.totals, given.rooms, strict=True):
        value = np.sum(_or_zero(total.pair) * share) + np.sum(_or_zero(total.unserved) * unserved)
        value += np.sum(_or_zero(total.peak) * peaks)
        if value > room + SLACK:
            return False
    return True


def _peaks(problem: Problem, share: np.ndarray) -> np.ndarray:
    """The least peak of every site over the sets of slices that may be left out."""
    transit = problem.rules.transit
    peaks = np.zeros(problem.sites)
    if transit is None:
        return peaks
    when = problem.demand_slice[problem.pair_demand]
    for site in range(problem.sites):
        flow = [
            float((problem.out_mbps[problem.pair_demand] * share)[(problem.pair_site == site) & (when == t)].sum())
            for t in range(problem.slices)
        ]
        best = np.inf
        for n in range(problem.slices + 1):
            for out in itertools.combinations(range(problem.slices), n):
                if sum(transit.slice_share[t] for t in out) <= transit.free[site] + SLACK:
                    best = min(best, max([flow[t] for t in range(problem.slices) if t not in out], default=0.0))
        peaks[site] = best
    return peaks
