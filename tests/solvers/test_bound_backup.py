"""N-1 in the bound: failure rows against loops, prices by hand, and against the optimum of every whole-number plan."""

from dataclasses import replace

import numpy as np
import pytest
from small_reserve import guarded, sites

from solvers.bound.backup import has_failures, joined, parted, per_row, secured, with_failures
from solvers.bound.backup_choice import promising
from solvers.bound.evaluate import evaluate
from solvers.bound.reference import reference_bound
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.rules import NO_RULES, Reserve
from solvers.solution import Backup, Cuts, Multipliers


def _reserve(problem: Problem) -> Reserve:
    assert problem.rules.reserve is not None
    return problem.rules.reserve


def _prices(problem: Problem, demand_usd: np.ndarray, backup: Backup, cut_usd: np.ndarray | None = None) -> Multipliers:
    wires = np.zeros((problem.sites, max(problem.slices, 1)))
    limits = np.zeros(len(problem.limit_rhs))
    return Multipliers(demand_usd, wires, wires, limits, 0.0, np.zeros(0) if cut_usd is None else cut_usd, backup)


def _all_failures(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero(secured(problem))


def _random_prices(problem: Problem, draw: np.random.Generator) -> Multipliers:
    domain, row = _all_failures(problem)
    usd = np.where(np.isfinite(problem.unserved_usd), problem.unserved_usd, 40.0)
    whole = usd * draw.uniform(0, 0.7, problem.demands)
    failing = usd[row] * draw.exponential(0.3, len(row)) - 5 * (draw.random(len(row)) < 0.1)
    return _prices(problem, whole, Backup(domain, row, failing))


def test_two_sites_that_stand_in_for_each_other_are_both_paid_for() -> None:
    # Each site costs 10 and a server 5, the row 2 at site 0. Each failure pays for the site that is left.
    problem = sites(2, domains=[[0], [1]])
    backup = Backup(np.array([0, 1]), np.array([0, 0]), np.array([15.0, 15.0]))
    assert evaluate(problem, _prices(problem, np.array([2.0]), backup)) == pytest.approx(32)
    assert solve_exact(problem).objective_usd == pytest.approx(32)
    # What the row pays in all its slices and failures counts up to 100, what it costs unserved.
    dear = replace(backup, usd=np.array([15.0, 500.0]))
    paid = evaluate(problem, _prices(problem, np.array([2.0]), dear))
    assert paid == pytest.approx(100 - (500 - 15) - 0)


def test_a_domain_of_two_homes_needs_two_spare_replicas() -> None:
    # 10 and 5 a server at every site, 2 for a row at home; the homes' rows both go to site 2 when both fail.
    together = guarded(together=True)
    backup = Backup(np.array([0, 0]), np.array([0, 1]), np.array([10.0, 10.0]))
    assert evaluate(together, _prices(together, np.array([17.0, 17.0]), backup)) == pytest.approx(34 + 20)
    apart = guarded()
    one_each = Backup(np.array([0, 1]), np.array([0, 1]), np.array([7.5, 7.5]))
    assert evaluate(apart, _prices(apart, np.array([17.0, 17.0]), one_each)) == pytest.approx(34 + 15)


def test_failure_rows_have_all_pairs_outside_of_the_domain_each_with_the_smaller_load() -> None:
    for seed in range(40):
        problem = random_reserve(seed)
        reserve = _reserve(problem)
        light = replace(
            reserve, pair_load=reserve.pair_load * np.random.default_rng(seed).choice([0.5, 2], reserve.pairs)
        )
        problem = replace(problem, rules=replace(problem.rules, reserve=light))
        domain, row = _all_failures(problem)
        survivors = with_failures(problem, domain, row)
        long = survivors.problem
        for j, (e, i) in enumerate(zip(domain, row, strict=True)):
            own = {
                b: a
                for k, b, a in zip(problem.pair_demand, problem.pair_block, problem.pair_load, strict=True)
                if k == i
            }
            spare = {
                b: a for k, b, a in zip(light.pair_demand, light.pair_block, light.pair_load, strict=True) if k == i
            }
            expected = {
                int(b): min(own.get(b, np.inf), spare.get(b, np.inf))
                for b in own.keys() | spare.keys()
                if not light.domain_site[e, problem.block_site[b]]
            }
            here = long.pair_demand == problem.demands + j
            assert dict(zip(long.pair_block[here].tolist(), long.pair_load[here].tolist(), strict=True)) == expected, (
                seed
            )
            assert not long.pair_usd[here].any()
            assert survivors.whose[problem.demands + j] == i
        slices = long.demand_slice[problem.demands :]
        places = {(int(e), int(problem.demand_slice[i])): t for e, i, t in zip(domain, row, slices, strict=True)}
        assert len(set(places.values())) == len(places)
        assert min(places.values(), default=problem.slices) >= problem.slices


def test_what_a_failure_may_lose_has_no_failure_row() -> None:
    nobody = {"pair_demand": np.array([0]), "pair_block": np.array([0]), "pair_load": np.array([0.5])}
    problem = sites(2, domains=[[0], [1]], reserve=nobody)
    # Row 0 may stand in at site 0 alone: when that fails, what it served there is lost, and site 1 need not exist.
    assert secured(problem).tolist() == [[False], [True]]
    with pytest.raises(ValueError, match="may lose"):
        with_failures(problem, np.array([0]), np.array([0]))
    # A row with no pair inside of the domain loses nothing, whoever backs it up.
    away = sites(2, domains=[[0]], reserve=nobody, pair_demand=np.array([0]), pair_block=np.array([1]),
                 pair_load=np.array([0.5]), pair_usd=np.array([3.0]))  # fmt: skip
    assert secured(away).tolist() == [[True]]
    assert with_failures(away, np.array([0]), np.array([0])).problem.pair_block.tolist() == [1, 1]


def test_only_failover_as_planned_is_counted() -> None:
    assert has_failures(sites(2, domains=[[0]]))
    assert not has_failures(sites(2, domains=[[0]], policy="priority"))
    assert not has_failures(replace(sites(2, domains=[[0]]), rules=NO_RULES))
    with pytest.raises(ValueError, match="may lose"):
        with_failures(sites(2, domains=[[0]], policy="proportional"), np.array([0]), np.array([0]))


def test_the_sweep_is_the_numpy_reference_of_the_problem_with_failure_rows() -> None:
    for seed in range(40):
        problem, draw = random_reserve(seed), np.random.default_rng(seed)
        prices = _random_prices(problem, draw)
        survivors = with_failures(problem, prices.backup.domain, prices.backup.row)
        # The reference leaves rows unserved one by one; here a row and its failures are left together.
        apart = reference_bound(replace(survivors.problem, unserved_usd=np.full(survivors.problem.demands, np.inf)),
                                joined(problem, prices, survivors))  # fmt: skip
        together = per_row(np.concatenate([prices.demand_usd, prices.backup.usd]), survivors.whose, problem.demands)
        too_much = np.maximum(together - problem.unserved_usd, 0.0).sum()
        assert evaluate(problem, prices) == pytest.approx(apart - too_much, rel=1e-9, abs=1e-6), seed


def test_no_prices_prove_more_than_the_best_plan_costs() -> None:
    for seed in range(60):
        problem, draw = random_reserve(seed), np.random.default_rng(seed)
        found = solve_exact(problem, gap=1e-9)
        least = np.inf if found.placement is None else found.objective_usd
        for _ in range(8):
            assert evaluate(problem, _random_prices(problem, draw)) <= least + 1e-6, seed


def test_cuts_of_failure_rows_prove_no_more_than_the_best_plan_costs() -> None:
    cuts_tried = 0
    for seed in range(60):
        problem, draw = random_reserve(seed), np.random.default_rng([seed, 1])
        prices = _random_prices(problem, draw)
        long = with_failures(problem, prices.backup.domain, prices.backup.row).problem
        rows = np.flatnonzero(draw.random(long.demands) < 0.5)
        weight = draw.uniform(0.1, 1.0, len(rows))
        blocks = np.flatnonzero(draw.random(long.blocks) < 0.7)
        free = np.unique(long.pair_block[(long.pair_load <= 0) & np.isin(long.pair_demand, rows)])
        blocks = np.setdiff1d(blocks, free)
        if not len(rows) or not len(blocks) or not (rows >= problem.demands).any():
            continue
        cuts = Cuts(np.array([weight.sum() / draw.uniform(0.3, 3.7)]), np.array([0, len(rows)]), rows, weight,
                    np.array([0, len(blocks)]), blocks)  # fmt: skip
        least = solve_exact(problem, gap=1e-9)
        usd = np.inf if least.placement is None else least.objective_usd
        for price in (0.5, 5.0, 20.0):
            assert evaluate(problem, replace(prices, cut_usd=np.array([price])), cuts) <= usd + 1e-6, seed
        cuts_tried += 1
    assert cuts_tried >= 20


def test_prices_come_back_from_the_problem_with_failure_rows_as_they_went() -> None:
    problem = random_reserve(3)
    prices = _random_prices(problem, np.random.default_rng(0))
    survivors = with_failures(problem, prices.backup.domain, prices.backup.row)
    again = parted(problem, joined(problem, prices, survivors), survivors)
    assert again.demand_usd.tolist() == prices.demand_usd.tolist()
    assert again.backup.usd.tolist() == prices.backup.usd.tolist()
    assert again.uplink_usd.shape == prices.uplink_usd.shape


def test_failures_are_chosen_where_rows_are_served_and_where_their_loss_would_go() -> None:
    # Rows 0 and 1 at home at sites 0 and 1, and site 2 could take over either: each fails with its home alone.
    problem = guarded()
    domain, row = promising(problem, np.array([9.0, 1.0]), np.ones(2), np.ones(3), most_pairs=10)
    assert list(zip(domain.tolist(), row.tolist(), strict=True)) == [(0, 0), (1, 1)]
    # With room for one pair, the row that is worth more.
    domain, row = promising(problem, np.array([9.0, 1.0]), np.ones(2), np.ones(3), most_pairs=1)
    assert list(zip(domain.tolist(), row.tolist(), strict=True)) == [(0, 0)]
    # Three sites alike, the only row half at 0 and half at 1: it is lost in part with either, never with site 2.
    alike = sites(3, domains=[[0], [1], [2]])
    domain, row = promising(alike, np.ones(1), np.array([0.5, 0.5, 0.0]), np.ones(3), most_pairs=10)
    assert domain.tolist() == [0, 1]


def test_a_row_that_stands_where_a_loss_would_go_is_priced_with_it() -> None:
    # Row 0 at home at site 0, row 1 at site 1, where row 0 would go; nobody is crowded when site 1 itself fails.
    problem = sites(
        2, domains=[[0], [1]], demand_model=np.zeros(2, np.int64), demand_slice=np.zeros(2, np.int64),
        unserved_usd=np.full(2, 100.0), out_mbps=np.zeros(2), in_mbps=np.zeros(2), pair_demand=np.array([0, 1]),
        pair_block=np.array([0, 1]), pair_load=np.full(2, 0.5), pair_usd=np.full(2, 2.0),
        reserve={"pair_demand": np.array([0, 0, 1]), "pair_block": np.array([0, 1, 1]), "pair_load": np.full(3, 0.5)},
    )  # fmt: skip
    domain, row = promising(problem, np.ones(2), np.ones(2), np.ones(2), most_pairs=10)
    assert list(zip(domain.tolist(), row.tolist(), strict=True)) == [(0, 0), (0, 1)]
