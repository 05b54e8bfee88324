"""Few pairs of many: plans of them keep every rule of the whole, and bounds made on them hold for the whole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_scale_reserve import replayed

from solvers.bound import lagrangian
from solvers.bound.blocks import sort_falling, sort_first
from solvers.bound.evaluate import evaluate
from solvers.bound.lagrangian import lagrangian_bound
from solvers.candidates import Candidates, candidates
from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.rollout import one_period
from solvers.rules import Rules
from solvers.search import rollout as rollout_search
from solvers.search import scale, solve_rollout_scale


def few_of(problem: Problem, seed: int, most: tuple[int, int] = (1, 1)) -> Problem:
    return picked(problem, seed, most).problem


def picked(problem: Problem, seed: int, most: tuple[int, int] = (1, 1)) -> Candidates:
    likely = np.random.default_rng(seed).random(problem.sites) < 0.5
    return candidates(problem, np.zeros(len(problem.limit_rhs)), likely, most=most)


def one_array(problem: Problem) -> Problem:
    """The problem with its primaries as backups, in the same arrays."""
    reserve = problem.rules.reserve
    assert reserve is not None
    same = replace(reserve, pair_demand=problem.pair_demand, pair_block=problem.pair_block, pair_load=problem.pair_load)
    return replace(problem, rules=Rules(reserve=same))


@pytest.fixture
def everything_is_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lagrangian, rollout_search, scale.candidates):
        monkeypatch.setattr(module, "MANY_PAIRS", 0)
    monkeypatch.setattr("solvers.bound.lagrangian.MANY_PAIRS_FAILING", 0)


def test_what_a_failure_may_lose_and_what_nobody_can_serve_is_the_same_among_candidates() -> None:
    fewer = 0
    for seed in range(200):
        for problem in (random_reserve(seed), one_array(random_reserve(seed))):
            few, reserve = few_of(problem, seed), problem.rules.reserve
            assert reserve is not None and few.rules.reserve is not None
            assert few.unservable.tolist() == problem.unservable.tolist()
            for e, down in enumerate(reserve.domain_site):
                for i in range(problem.demands):
                    saved = [
                        (~down[one.block_site[r.pair_block[r.pair_demand == i]]]).any()
                        for one, r in ((problem, reserve), (few, few.rules.reserve))
                    ]
                    assert saved[0] == saved[1], (seed, e, i)
            fewer += few.pairs < problem.pairs
    assert fewer > 100


def test_a_row_keeps_its_cheapest_pair_anywhere_and_its_cheapest_at_a_likely_site() -> None:
    for seed in range(60):
        problem = replace(random_reserve(seed), rules=Rules())
        likely = np.random.default_rng(seed).random(problem.sites) < 0.5
        few = picked(problem, seed)
        gpu = problem.server_gpu[problem.offer_server]
        for i in range(problem.demands):
            usd = {}
            for n in np.flatnonzero(problem.pair_demand == i):
                b = problem.pair_block[n]
                shape, site = problem.block_shape[b], problem.block_site[b]
                mine = (problem.offer_site == site) & (gpu == problem.shape_gpu[shape]) & (problem.offer_max > 0)
                each = problem.offer_usd[mine] / problem.server_gpus[problem.offer_server[mine]]
                replica = problem.shape_quarters[shape] / 4 * each.min(initial=4e30) + problem.each_replica_usd[b]
                usd[n] = problem.pair_usd[n] + problem.pair_load[n] * replica
            kept = set(few.pair[problem.pair_demand[few.pair] == i].tolist())
            assert len(kept) <= 2
            near = [usd[n] for n in usd if likely[problem.block_site[problem.pair_block[n]]]]
            assert not usd or min(usd[n] for n in kept) == pytest.approx(min(usd.values()))
            if near:
                there = [usd[n] for n in kept if likely[problem.block_site[problem.pair_block[n]]]]
                assert min(there) == pytest.approx(min(near))


def test_plans_of_candidates_keep_every_rule_of_the_whole_and_go_there_and_back() -> None:
    seen = 0
    for seed in range(12):
        problem = random_reserve(seed)
        part = picked(problem, seed, (2, 2))
        found = solve_rollout_scale(one_period(part.problem), work=2, sweeps=30)
        if found.placements is None:
            continue
        seen += 1
        plan = part.widened(found.placements[0])
        assert violations(problem, plan) == [], seed
        assert replayed(problem, plan) == [], seed
        again = part.narrowed(plan)
        assert again.share.tolist() == found.placements[0].share.tolist()
        assert (again.backup != found.placements[0].backup).nnz == 0
    assert seen > 6


def test_what_stands_on_other_pairs_is_unserved_among_candidates() -> None:
    problem = replace(random_reserve(3), rules=Rules())
    part = picked(problem, 3)
    left_out = np.setdiff1d(np.arange(problem.pairs), part.pair)
    found = solve_rollout_scale(one_period(problem), work=1, sweeps=10).placements
    assert found is not None and len(left_out)
    share = np.zeros(problem.pairs)
    share[left_out[0]] = 1.0
    unserved = np.ones(problem.demands)
    unserved[problem.pair_demand[left_out[0]]] = 0.0
    plan = replace(found[0], share=share, unserved=unserved)
    assert part.narrowed(plan).unserved.tolist() == [1.0] * problem.demands
    kept = candidates(problem, np.zeros(len(problem.limit_rhs)), np.zeros(problem.sites, bool), plan, (1, 1))
    assert kept.narrowed(plan).unserved.sum() == problem.demands - 1


@pytest.mark.usefixtures("everything_is_many")
def test_a_bound_made_on_few_pairs_is_below_the_optimum_and_is_what_its_certificate_proves_over_all() -> None:
    for seed in range(16):
        problem = random_reserve(seed)
        if seed % 2:
            problem = replace(problem, rules=Rules())
        exact = solve_exact(problem, time_limit_s=20)
        found = lagrangian_bound(problem, sweeps=40)
        if exact.placement is not None:
            assert found.bound_usd <= exact.objective_usd + 1e-7 * abs(exact.objective_usd), seed
        proof = found.certificate
        proved = evaluate(problem, proof.multipliers, proof.cuts, covers=proof.covers)
        assert found.bound_usd == pytest.approx(proved, rel=1e-9, abs=1e-9), seed
        again = lagrangian_bound(problem, sweeps=40, stop=found.sweeps)
        assert again.bound_usd == found.bound_usd and again.sweeps == found.sweeps
        warm = lagrangian_bound(problem, sweeps=20, start=proof.multipliers)
        if exact.placement is not None:
            assert warm.bound_usd <= exact.objective_usd + 1e-7 * abs(exact.objective_usd), seed
        assert warm.bound_usd >= 0.5 * found.bound_usd, seed


@pytest.mark.usefixtures("everything_is_many")
def test_pairs_that_all_pairs_answer_takes_join_the_few_and_what_is_proved_then_holds_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("solvers.bound.wide.CHEAPEST", 1)
    monkeypatch.setattr("solvers.bound.backup_ascent.WIDE_CYCLE", 10)
    better = 0
    for seed in (seed for seed in range(24) if seed % 3 < 2):
        problem = random_reserve(seed)
        problem = one_array(problem) if seed % 3 else problem
        found = lagrangian_bound(problem, sweeps=60)
        with monkeypatch.context() as patched:
            patched.setattr("solvers.bound.wide._take", lambda *_: None)
            alone = lagrangian_bound(problem, sweeps=60)
        proof = found.certificate
        proved = evaluate(problem, proof.multipliers, proof.cuts, covers=proof.covers)
        assert found.bound_usd == pytest.approx(proved, rel=1e-9, abs=1e-9), seed
        exact = solve_exact(problem, time_limit_s=20)
        if exact.placement is not None:
            assert found.bound_usd <= exact.objective_usd + 1e-7 * abs(exact.objective_usd), seed
        assert found.bound_usd >= alone.bound_usd - 1e-3 * abs(alone.bound_usd), seed
        better += found.bound_usd > alone.bound_usd + 1e-6 * abs(alone.bound_usd)
    assert better > 0


@pytest.mark.usefixtures("everything_is_many")
def test_a_search_among_candidates_ends_with_a_plan_of_the_whole_between_bound_and_optimum() -> None:
    seen = 0
    for seed in range(8):
        problem = random_reserve(seed)
        exact = solve_exact(problem, time_limit_s=20)
        found = solve_rollout_scale(one_period(problem), work=2, sweeps=30)
        if found.placements is None or exact.placement is None:
            continue
        seen += 1
        assert violations(problem, found.placements[0]) == [], seed
        assert found.bound_usd <= exact.objective_usd + 1e-7 * abs(exact.objective_usd)
        assert found.objective_usd >= exact.bound_usd - 1e-7 * abs(exact.bound_usd)
        few = solve_rollout_scale(one_period(problem), work=2, sweeps=30, narrow=True)
        assert found.among is None and few.placements is not None
        assert (few.among is None) == (problem.pairs == 0)
        assert few.among is None or violations(few.among.periods[0], few.placements[0]) == [], seed
        assert few.objective_usd == found.objective_usd
        assert few.placements[0].share.sum() == pytest.approx(found.placements[0].share.sum())
        warm = solve_rollout_scale(
            one_period(problem), work=2, sweeps=30, start=found.placements, prices=found.certificates
        )
        assert warm.placements is not None
        assert warm.objective_usd <= found.objective_usd * (1 + 1e-9)
    assert seen > 4


@given(
    st.lists(st.tuples(st.sampled_from([0.5, 1.0, 2.0, 3.5, 7.25]), st.floats(0, 3)), max_size=120),
    st.floats(0, 80),
    st.integers(0, 5),
)
def test_the_first_that_fill_a_room_are_sorted_as_all_of_them_would_be(
    items: list[tuple[float, float]], room: float, before: int
) -> None:
    key = np.array([9.0] * before + [density for density, _ in items])
    load = np.array([0.0] * before + [replicas for _, replicas in items])
    whole, all_items = key.copy(), np.arange(len(key), dtype=np.int32)
    sort_falling(whole, all_items, before, len(key))
    mine, item = key.copy(), np.arange(len(key), dtype=np.int32)
    end = sort_first(mine, item, load, before, len(key), room)
    assert item[:end].tolist() == all_items[:end].tolist()
    assert mine[:end].tolist() == whole[:end].tolist()
    assert end == len(key) or load[item[before:end]].sum() > room
    assert sorted(item.tolist()) == list(range(len(key)))
