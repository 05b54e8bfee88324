"""A search ends when it should, and hands over a plan that keeps every rule."""

import time

import numpy as np

from solvers.bound import lagrangian_bound
from solvers.check import violations
from solvers.instances.synthetic import synthetic
from solvers.search import Progress, net_gap, solve_scale
from solvers.search.clock import Clock
from solvers.search.scale import search


def test_a_clock_keeps_time_for_what_comes_after() -> None:
    clock = Clock(time.monotonic() - 10.0, 30.0, None, kept_s=5.0)
    assert 14.0 < clock.left_s <= 15.0
    assert not clock.over
    clock.kept_s = 20.0
    assert clock.over
    assert Clock(0.0, None, None).left_s == np.inf
    assert Clock(0.0, None, lambda: True).over


def test_a_search_whose_time_is_over_still_has_a_plan_that_keeps_every_rule() -> None:
    problem = synthetic(30, 20, 3, seed=6, stock=0.8)
    bound = lagrangian_bound(problem, sweeps=60)
    found = search(
        problem, bound, time.monotonic() - 10.0, gap=0.0, time_limit_s=5.0, work=None, start=None, progress=None, seed=0
    )
    assert found.work == 0
    assert found.placement is not None
    assert violations(problem, found.placement) == []
    assert found.objective_usd >= found.bound_usd


def test_an_interrupted_search_ends_at_once_with_the_best_plan_so_far() -> None:
    problem = synthetic(30, 20, 3, seed=6, stock=0.8)
    told: list[Progress] = []
    found = solve_scale(
        problem, work=100_000, sweeps=60, progress=told.append,
        interrupted=lambda: any(now.work >= 8 for now in told),
    )  # fmt: skip
    assert 8 <= found.work <= 12
    assert found.placement is not None
    assert violations(problem, found.placement) == []
    assert found.objective_usd <= min(now.objective_usd for now in told) * (1 + 1e-9)


def test_progress_never_worsens_and_tells_the_gap() -> None:
    problem = synthetic(30, 20, 3, seed=6)
    told: list[Progress] = []
    found = solve_scale(problem, work=24, sweeps=60, progress=told.append)
    plans = [now.objective_usd for now in told]
    assert plans == sorted(plans, reverse=True)
    assert [now.stage for now in told[:3]] == ["bound", "construct", "flow"]
    assert told[-1].gap == net_gap(told[-1].objective_usd, found.bound_usd, problem.constant_usd)
    assert len(found.trace) == len(told)


def test_the_same_work_is_the_same_plan_again() -> None:
    problem = synthetic(30, 20, 3, seed=6, stock=0.8)
    once, again = (solve_scale(problem, work=20, sweeps=60) for _ in range(2))
    assert once.placement is not None and again.placement is not None
    assert once.placement.share.tobytes() == again.placement.share.tobytes()
    assert once.placement.replicas.tobytes() == again.placement.replicas.tobytes()
