"""Covers under N-1: coefficients against loops, prices by hand, and against the optimum of every whole-number plan."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_reserve import sites

from solvers.bound import lagrangian_bound
from solvers.bound.backup import secured
from solvers.bound.cover_search import find_covers
from solvers.bound.covers import chosen_covers, cover_table, joined_covers
from solvers.bound.evaluate import evaluate
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.solution import Backup, Covers, Multipliers

ONE = Covers(np.array([1.0]), np.array([0, 1]), np.array([0]), np.array([0.5]))


def _prices(problem: Problem, demand_usd: np.ndarray, cover_usd: np.ndarray) -> Multipliers:
    wires = np.zeros((problem.sites, max(problem.slices, 1)))
    return Multipliers(demand_usd, wires, wires, np.zeros(len(problem.limit_rhs)), cover_usd=cover_usd)


def _random_covers(problem: Problem, draw: np.random.Generator, number: int = 2) -> Covers | None:
    """Covers of rows that no failure loses, or None where there are none."""
    reserve = problem.rules.reserve
    assert reserve is not None
    free = np.union1d(problem.pair_demand[problem.pair_load <= 0], reserve.pair_demand[reserve.pair_load <= 0])
    may = np.setdiff1d(np.flatnonzero(secured(problem).all(axis=0) & ~problem.unservable), free)
    if not len(may):
        return None
    sets = [np.sort(draw.permutation(may)[: draw.integers(1, len(may) + 1)]) for _ in range(number)]
    weight = [draw.uniform(0.1, 1.0, len(rows)) for rows in sets]
    return Covers(
        np.array([w.sum() / (draw.integers(0, 4) + draw.uniform(0.05, 0.95)) for w in weight]),
        np.cumsum([0, *map(len, sets)]),
        np.concatenate(sets),
        np.concatenate(weight),
    )


def test_four_sites_that_may_each_fail_need_two_whatever_the_prices_of_failures_say() -> None:
    # A site costs 10 and a server 5, the row 2 at site 0.
    problem = sites(4, domains=[[0], [1], [2], [3]])
    assert evaluate(problem, _prices(problem, np.array([2.0]), np.array([15.0])), covers=ONE) == pytest.approx(32)
    assert solve_exact(problem).objective_usd == pytest.approx(32)
    alone = Backup(np.arange(4), np.zeros(4, np.int64), np.full(4, 5.0))
    priced = replace(_prices(problem, np.array([2.0]), np.zeros(0)), backup=alone)
    assert evaluate(problem, priced) == pytest.approx(22)
    # Leaving the row costs 100, of which the cover gives back 2·15; a dearer row is left.
    dear = _prices(problem, np.array([80.0]), np.array([15.0]))
    assert evaluate(problem, dear, covers=ONE) == pytest.approx(70 + 30 - (78 + 77 + 76 + 75))


def test_a_site_that_cannot_fail_counts_for_both() -> None:
    problem = sites(3, domains=[[0], [1]])
    table = cover_table(problem, ONE)
    assert table.counted(np.arange(3), np.ones(3)).tolist() == [1, 1, 2]
    assert table.counted(np.arange(3), np.full(3, 7.0)).tolist() == [1, 1, 2]
    assert table.ceiling.tolist() == [2]
    assert table.row_weight.tolist() == [2]
    assert solve_exact(problem).objective_usd == pytest.approx(15 + 4)  # site 2 alone


def test_coefficients_are_those_of_loops() -> None:
    tried = 0
    for seed in range(60):
        problem, draw = random_reserve(seed), np.random.default_rng([seed, 2])
        covers = _random_covers(problem, draw)
        if covers is None:
            continue
        tried += 1
        table = cover_table(problem, covers)
        for c in range(covers.count):
            at = slice(int(covers.row_first[c]), int(covers.row_first[c + 1]))
            counted, weights, ceiling = _by_loops(problem, covers.row[at], covers.weight[at], float(covers.unit[c]))
            mine = np.flatnonzero(table.reach_cover == c)
            for y in (1, 2, 5):
                told = table.counted(mine, np.full(len(mine), float(y)))
                found = dict(zip(table.reach_block[mine].tolist(), told.tolist(), strict=True))
                assert found == pytest.approx(
                    {b: _count(ceiling - 1, f, each * y, fails) for b, (each, f, fails) in counted.items()}
                )
            assert table.row_weight[table.row_cover == c] == pytest.approx(weights)
            assert table.ceiling[c] == ceiling
    assert tried >= 30


def _count(k: int, f: float, units: float, fails: bool) -> float:
    held = min(k, math.floor(units) + min(1.0, (units - math.floor(units)) / f))
    return (k + 1) * held / ((k + held) if fails else k)


def _by_loops(problem: Problem, rows: np.ndarray, weight: np.ndarray, unit: float):
    reserve = problem.rules.reserve
    assert reserve is not None
    units = weight.sum() / unit
    k, f = math.ceil(units), units - math.floor(units)
    carried: dict[int, dict[int, float]] = {}
    for i, w in zip(rows.tolist(), weight.tolist(), strict=True):
        for pairs in (problem, reserve):
            for n in np.flatnonzero(pairs.pair_demand == i).tolist():
                slices = carried.setdefault(int(pairs.pair_block[n]), {})
                t = int(problem.demand_slice[i])
                slices[t] = max(slices.get(t, 0.0), w / unit / float(pairs.pair_load[n]))
    counted = {}
    for b, slices in carried.items():
        fails = any(reserve.domain_site[e, problem.block_site[b]] for e in range(reserve.domains))
        counted[b] = problem.capacity_factor * sum(slices.values()), f, fails
    return counted, [(1 + 1 / k) * w / (unit * f) for w in weight.tolist()], k + 1


def test_no_cover_proves_more_than_the_best_plan_costs() -> None:
    tried = 0
    for seed in range(80):
        problem, draw = random_reserve(seed), np.random.default_rng([seed, 3])
        covers = _random_covers(problem, draw)
        if covers is None:
            continue
        tried += 1
        best = solve_exact(problem, gap=1e-9)
        least = np.inf if best.placement is None else best.objective_usd
        usd = np.where(np.isfinite(problem.unserved_usd), problem.unserved_usd, 40.0)
        for _ in range(6):
            prices = _prices(problem, usd * draw.uniform(0, 0.9, problem.demands), draw.exponential(8.0, covers.count))
            assert evaluate(problem, prices, covers=covers) <= least + 1e-6, seed
    assert tried >= 40


def test_every_plan_keeps_every_cover() -> None:
    """The inequality itself, for the best plan: it has to hold for any."""
    tried = 0
    for seed in range(80):
        problem, draw = random_reserve(seed), np.random.default_rng([seed, 4])
        covers = _random_covers(problem, draw, 12)
        best = solve_exact(problem, gap=1e-9).placement
        if covers is None or best is None:
            continue
        tried += 1
        table = cover_table(problem, covers)
        for c in range(covers.count):
            reach, rows = np.flatnonzero(table.reach_cover == c), table.row_cover == c
            held = table.counted(reach, best.replicas[table.reach_block[reach]].astype(float)).sum()
            left = table.row_weight[rows] @ best.unserved[table.row[rows]]
            assert held + left >= table.ceiling[c] - 1e-6, (seed, c)
    assert tried >= 40


def test_what_a_failure_may_lose_is_in_no_cover() -> None:
    problem = sites(1, domains=[[0]])
    with pytest.raises(ValueError, match="may lose"):
        cover_table(problem, ONE)
    whole = Covers(np.array([0.5]), ONE.row_first, ONE.row, ONE.weight)
    with pytest.raises(ValueError, match="whole number of units"):
        cover_table(sites(2, domains=[[0], [1]]), whole)


def test_covers_that_the_averages_break_are_found_and_raise_the_bound() -> None:
    problem = sites(5, domains=[[0], [1], [2], [3], [4]])
    found = find_covers(problem, np.full(5, 0.2), np.full(5, 2.0), np.full(5, 0.25), 10)
    assert found.row.tolist() == [0]
    two_stand = find_covers(problem, np.full(5, 0.2), np.full(5, 0.4), np.full(5, 0.4), 10)
    assert two_stand.count == 0
    bound = lagrangian_bound(problem, sweeps=3000)
    assert bound.certificate.covers.count == 1
    assert bound.bound_usd > 31.9
    again = evaluate(problem, bound.multipliers, bound.certificate.cuts, covers=bound.certificate.covers)
    assert again == pytest.approx(bound.bound_usd)


def test_one_thread_finds_the_bytes_of_two() -> None:
    problem = sites(5, domains=[[0], [1], [2], [3], [4]])
    one, two = (lagrangian_bound(problem, sweeps=900, threads=threads) for threads in (1, 2))
    assert one.certificate.covers.count
    assert one.bound_usd == two.bound_usd
    assert one.certificate.covers.row.tolist() == two.certificate.covers.row.tolist()
    assert one.multipliers.cover_usd.tolist() == two.multipliers.cover_usd.tolist()


def test_covers_are_joined_and_chosen() -> None:
    both = joined_covers(ONE, Covers(np.array([2.0]), np.array([0, 2]), np.array([1, 2]), np.array([0.1, 0.2])))
    assert both.row.tolist() == [0, 1, 2]
    assert chosen_covers(both, np.array([False, True])).row.tolist() == [1, 2]
    assert chosen_covers(both, np.array([True, False])).weight.tolist() == [0.5]
