"""What `solve_exact` says about how it ended, and that it is true."""

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each

from solvers.check import violations
from solvers.exact import BACKENDS, best_flow, build_model, solve, solve_exact
from solvers.exact.backends import End, solve_highs
from solvers.exact.quiet import solver_chatter_to_stderr
from solvers.exact.start import greedy, rounded
from solvers.instances.facility import _problem
from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.solution import Placement, Status, cost_usd


def hard(sites: int = 60, rows: int = 120, seed: int = 3) -> Problem:
    """A capacitated facility problem that no backend proves within a second; every row may stay unserved."""
    draw = np.random.default_rng(seed)
    load = np.repeat(draw.uniform(0.05, 0.35, (rows, 1)), sites, axis=1)
    place, where = draw.random((rows, 2)), draw.random((sites, 2))
    usd = 30 * np.linalg.norm(place[:, None] - where[None], axis=2) * load
    problem = _problem(draw.uniform(3, 9, sites), load, usd, sp.csr_matrix((0, sites)), np.empty(0), False)
    return replace(problem, unserved_usd=np.full(rows, 50.0), block_max=np.full(sites, 3), offer_max=np.full(sites, 3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_smallest_problem_costs_what_a_hand_adds_up(backend: str) -> None:
    found = solve_exact(one_of_each(single_source=True), backend=backend)
    assert found.status == Status.OPTIMAL
    assert found.objective_usd == pytest.approx(10 + 5 + 2)
    assert found.bound_usd == pytest.approx(17)
    assert found.placement is not None
    assert found.placement.servers.tolist() == [1]
    assert found.placement.replicas.tolist() == [1]


def test_leaving_a_row_unserved_is_chosen_where_it_is_cheaper() -> None:
    found = solve_exact(one_of_each(unserved_usd=np.array([16.5])))
    assert found.objective_usd == pytest.approx(16.5)
    assert found.placement is not None
    assert not found.placement.open.any()


@pytest.mark.parametrize("backend", ["highs", "scip"])
def test_a_run_cut_off_by_time_keeps_its_plan_and_a_bound_below_the_optimum(backend: str) -> None:
    problem = hard(100, 250)
    short = solve_exact(problem, backend=backend, time_limit_s=0.5, gap=1e-9)
    longer = solve_exact(problem, backend=backend, time_limit_s=4, gap=1e-9, start=short.placement)
    assert short.status == Status.FEASIBLE, "make the problem harder"
    assert short.placement is not None
    assert violations(problem, short.placement) == []
    assert short.objective_usd == pytest.approx(cost_usd(problem, short.placement))
    assert -np.inf < short.bound_usd <= longer.objective_usd
    assert longer.bound_usd <= short.objective_usd


def test_highs_keeps_its_own_incumbent_at_a_time_limit() -> None:
    model = build_model(hard(100, 250))
    found = solve_highs(model, time_limit_s=3, gap=1e-9)
    assert found.end == End.STOPPED, "make the problem harder"
    assert found.values is not None
    assert found.bound < model.cost @ found.values


@pytest.mark.parametrize("backend", BACKENDS)
def test_hard_rows_that_contradict_each_other_are_infeasible(backend: str) -> None:
    must = one_of_each(unserved_usd=np.array([np.inf]), single_source=True)
    contradictions = {
        "nobody can serve it": replace(
            must, pair_demand=must.pair_demand[:0], pair_block=must.pair_block[:0],
            pair_load=must.pair_load[:0], pair_usd=must.pair_usd[:0],
        ),
        "no stock": replace(must, limit_matrix=sp.csr_matrix(np.ones((1, 1))), limit_rhs=np.array([0.0])),
        "no power": replace(must, site_limit=np.array([[0.5]])),
        "no money": replace(must, monthly_budget_usd=16.0),
        "no bandwidth": replace(must, out_mbps=np.array([2.0]), uplink_mbps=np.array([1.0])),
        "servers too small": replace(must, shape_quarters=np.array([8])),
    }  # fmt: skip
    for what, problem in contradictions.items():
        found = solve_exact(problem, backend=backend)
        assert found.status == Status.INFEASIBLE, what
        assert found.placement is None
        soft = solve_exact(replace(problem, unserved_usd=np.array([100.0])), backend=backend)
        assert soft.objective_usd == pytest.approx(100), what


def test_no_time_for_any_plan_is_a_limit_and_not_infeasible() -> None:
    problem = hard(40, 200)
    tight = problem.pair_load.reshape(200, 40)[:, 0].sum() / 40 * 1.02
    # Every row has to be served, whole, with 2 % to spare: no quick plan manages.
    packing = replace(
        problem,
        unserved_usd=np.full(200, np.inf),
        pair_load=problem.pair_load / tight,
        single_source=True,
        block_max=np.ones(40, np.int64),
    )
    found = solve_exact(packing, time_limit_s=0.01)
    assert found.status == Status.LIMIT
    assert found.placement is None
    assert np.isnan(found.objective_usd)
    assert found.bound_usd >= 0


@pytest.mark.parametrize("backend", ["highs", "scip"])
def test_the_answer_is_never_worse_than_the_start(backend: str) -> None:
    problem = hard(60, 120)
    start = rounded(problem, build_model(problem))
    assert start is not None
    found = solve_exact(problem, backend=backend, time_limit_s=0.01, start=start)
    assert found.placement is not None
    assert found.objective_usd <= cost_usd(problem, start) + 1e-9


def test_a_start_that_breaks_a_rule_is_refused_by_name() -> None:
    start = Placement(np.array([True]), np.array([0]), np.array([1]), np.array([1.0]), np.array([0.0]))
    with pytest.raises(ValueError, match=r"\(6\) GPUs"):
        solve_exact(one_of_each(), start=start)


def test_a_backend_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="highs, scip, cp-sat"):
        solve_exact(one_of_each(), backend="abacus")


def test_cp_sat_refuses_split_shares() -> None:
    with pytest.raises(ValueError, match="single-source"):
        solve_exact(one_of_each(), backend="cp-sat")


def test_cp_sat_and_highs_agree_on_whole_rows() -> None:
    for seed in range(3000, 3060):
        problem = random_tiny(seed, single_source=True)
        cp_sat, highs = (solve_exact(problem, backend=name, gap=1e-9) for name in ("cp-sat", "highs"))
        assert cp_sat.status == highs.status, seed
        if highs.placement is not None:
            assert cp_sat.objective_usd == pytest.approx(highs.objective_usd, rel=1e-6, abs=1e-6), seed


def test_cp_sat_rounds_thirds_to_the_safe_side() -> None:
    """Three rows of a third of a replica each fill it exactly; thirds have no whole multiple of ten."""
    problem = one_of_each(
        demand_model=np.zeros(4, np.int64),
        demand_slice=np.zeros(4, np.int64),
        unserved_usd=np.full(4, 100.0),
        out_mbps=np.zeros(4),
        in_mbps=np.zeros(4),
        pair_demand=np.arange(4),
        pair_block=np.zeros(4, np.int64),
        pair_load=np.full(4, 1 / 3),
        pair_usd=np.full(4, 1 / 3),
        block_max=np.array([1]),
        single_source=True,
    )
    found = solve_exact(problem, backend="cp-sat")
    optimum = 10 + 5 + 3 / 3 + 100
    assert found.placement is not None
    assert violations(problem, found.placement) == []
    assert found.bound_usd <= optimum + 1e-9
    assert found.objective_usd >= optimum - 1e-9
    assert found.status == (Status.OPTIMAL if found.objective_usd < optimum + 1e-4 else Status.FEASIBLE)


def test_the_same_problem_gives_the_same_plan_twice() -> None:
    for seed in (5, 17, 29):
        first, second = (solve_exact(random_tiny(seed)) for _ in range(2))
        assert first.objective_usd == second.objective_usd or (first.placement is None and second.placement is None)
        if first.placement is not None and second.placement is not None:
            assert first.placement.share.tobytes() == second.placement.share.tobytes()


def test_both_quick_starts_keep_every_rule() -> None:
    found = 0
    for seed in range(120):
        problem = random_tiny(seed)
        exact, model = solve_exact(problem), build_model(problem)
        for start in (greedy(problem, model), rounded(problem, model)):
            if start is not None:
                found += 1
                assert violations(problem, start) == [], seed
                assert cost_usd(replace(problem, unserved_usd=np.minimum(problem.unserved_usd, 1e9)), start) >= (
                    exact.bound_usd - 1e-6
                ), seed
    assert found > 150


def test_the_best_flow_for_given_replicas_uses_the_cheaper_block_first() -> None:
    """Two sites of one replica, one row of load 1.5: the cheap site takes two thirds, the dear one the rest."""
    problem = one_of_each(
        open_usd=np.array([1.0, 1.0]),
        uplink_mbps=np.array([np.inf, np.inf]),
        downlink_mbps=np.array([np.inf, np.inf]),
        site_limit=np.array([[np.inf], [np.inf]]),
        offer_site=np.array([0, 1]),
        offer_server=np.array([0, 0]),
        offer_max=np.array([1, 1]),
        offer_usd=np.array([5.0, 5.0]),
        block_site=np.array([0, 1]),
        block_shape=np.array([0, 0]),
        block_max=np.array([1, 1]),
        block_choice=np.array([-1, -1]),
        pair_demand=np.array([0, 0]),
        pair_block=np.array([0, 1]),
        pair_load=np.array([1.5, 1.5]),
        pair_usd=np.array([9.0, 3.0]),
        limit_matrix=sp.csr_matrix((0, 2)),
    )
    flow = best_flow(problem, np.array([True, True]), np.array([1, 1]), np.array([1, 1]))
    assert flow is not None
    assert flow.share == pytest.approx([1 / 3, 2 / 3])
    assert flow.unserved == pytest.approx([0.0])


def test_what_a_solver_prints_does_not_reach_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with solver_chatter_to_stderr():
        ctypes.CDLL(None).printf(b"chatter\n")
    print("data")
    captured = capfd.readouterr()
    assert captured.out == "data\n"
    assert "chatter" in captured.err


def test_the_gap_is_that_of_what_can_be_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that nobody can serve costs a million; a bound 1 % below the other 17 is no proof within 0.1 %."""
    problem = one_of_each(
        demand_model=np.array([0, 0]),
        demand_slice=np.array([0, 0]),
        unserved_usd=np.array([100.0, 1e6]),
        out_mbps=np.zeros(2),
        in_mbps=np.zeros(2),
    )
    assert solve_exact(problem).bound_usd == pytest.approx(1e6 + 17)
    assert solve_exact(problem).status == Status.OPTIMAL
    model = build_model(problem)
    plan = solve_highs(model, time_limit_s=None, gap=0.0)
    monkeypatch.setitem(solve._BACKENDS, "highs", lambda *_, **__: replace(plan, bound=17 * 0.99))
    found = solve_exact(problem, gap=1e-3)
    assert found.status == Status.FEASIBLE
    assert found.bound_usd == pytest.approx(1e6 + 17 * 0.99)


def test_a_bound_above_a_checked_plan_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = one_of_each()
    plan = solve_highs(build_model(problem), time_limit_s=None, gap=0.0)
    monkeypatch.setitem(solve._BACKENDS, "highs", lambda *_, **__: replace(plan, bound=18.0))
    found = solve_exact(problem)
    assert found.status == Status.FEASIBLE
    assert found.bound_usd == 0.0
    assert "lies above a plan" in found.message


def test_a_plan_of_the_backend_that_breaks_a_rule_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that holds two replicas on one GPU loses to the quick plan, and says why."""
    problem = one_of_each(pair_load=np.array([1.5]))
    plan = solve_highs(build_model(problem), time_limit_s=None, gap=0.0)
    assert plan.values is not None
    values = plan.values.copy()
    values[1] = 1.0  # one server for two replicas
    monkeypatch.setitem(solve._BACKENDS, "highs", lambda *_, **__: replace(plan, values=values))
    found = solve_exact(problem)
    assert found.placement is not None
    assert violations(problem, found.placement) == []
    assert "(6) GPUs" in found.message


def _emptied() -> dict[str, tuple[Problem, float]]:
    """Problems with nothing of one kind, and what they cost."""
    none, no_usd = np.empty(0, np.int64), np.empty(0)
    no_pairs = replace(one_of_each(), pair_demand=none, pair_block=none, pair_load=no_usd, pair_usd=no_usd)
    no_blocks = replace(no_pairs, block_site=none, block_shape=none, block_max=none, block_choice=none)
    no_offers: dict[str, Any] = {
        "offer_site": none,
        "offer_server": none,
        "offer_max": none,
        "offer_usd": no_usd,
        "limit_matrix": sp.csr_matrix((0, 0)),
    }
    no_sites: dict[str, Any] = {
        "open_usd": no_usd,
        "uplink_mbps": no_usd,
        "downlink_mbps": no_usd,
        "site_limit": np.empty((0, 1)),
    }
    no_rows: dict[str, Any] = {
        "demand_model": none,
        "demand_slice": none,
        "unserved_usd": no_usd,
        "out_mbps": no_usd,
        "in_mbps": no_usd,
    }
    return {
        "pairs": (no_pairs, 100.0),
        "blocks": (no_blocks, 100.0),
        "offers": (replace(one_of_each(), **no_offers), 100.0),
        "sites": (replace(no_blocks, **no_offers, **no_sites), 100.0),
        "demand": (replace(no_pairs, **no_rows), 0.0),
        "anything": (replace(no_blocks, **no_offers, **no_sites, **no_rows), 0.0),
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("what", _emptied())
def test_a_problem_without_something_costs_its_unserved_rows(what: str, backend: str) -> None:
    problem, usd = _emptied()[what]
    found = solve_exact(replace(problem, single_source=True), backend=backend)
    assert found.status == Status.OPTIMAL
    assert found.objective_usd == pytest.approx(usd)
    assert found.bound_usd == pytest.approx(usd)


def test_serving_nobody_is_proved_best_where_all_are_beyond_reach_or_too_dear() -> None:
    """A row that nobody can serve, at an odd price, and one that is cheaper left alone."""
    problem = one_of_each(
        demand_model=np.array([0, 0]),
        demand_slice=np.array([0, 0]),
        unserved_usd=np.array([0.1, 812364.0103512001]),
        out_mbps=np.zeros(2),
        in_mbps=np.zeros(2),
    )
    found = solve_exact(problem)
    assert found.status == Status.OPTIMAL
    assert found.objective_usd == pytest.approx(812364.1103512001, abs=1e-6)
    free = replace(problem, unserved_usd=np.array([0.0, 812364.0103512001]))
    assert solve_exact(free).status == Status.OPTIMAL
