"""Annealings side by side end after the same number of rounds, and a clock's rounds give the same plans again."""

import time
from collections.abc import Callable
from threading import BrokenBarrierError

import numpy as np
import pytest

from solvers.complete.anneal.together import InStep, Pace, side_by_side
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.rollout import one_period
from solvers.search import solve_rollout_scale
from solvers.search.stages import polished
from solvers.solution import Placement


def anneal(problem: Problem, plan: Placement, seed: int, over: Callable[[int], bool]) -> tuple[Placement, int]:
    return polished(problem, plan, InStep(seed=seed, over=over))


def test_rounds_cut_off_by_a_clock_are_the_same_for_all_and_repeat_the_plans() -> None:
    tasks = []
    for seed in range(8):  # some of these have no plan
        problem = random_reserve(seed)
        found = solve_rollout_scale(one_period(problem), work=1, sweeps=40, polish=0)
        if found.placements is not None:
            tasks.append((problem, found.placements[0], seed))
    assert len(tasks) >= 3
    timed, rounds = side_by_side(tasks, anneal, Pace(None, 1, time.monotonic() + 0.2, lambda: False))
    assert rounds >= 1
    again, more = side_by_side(tasks, anneal, Pace(rounds, 0, np.inf, lambda: False))
    assert more == rounds
    for one, other in zip(timed, again, strict=True):
        assert np.array_equal(one.servers, other.servers)
        assert np.array_equal(one.share, other.share)


def test_an_annealing_that_fails_lets_none_wait() -> None:
    problem = random_reserve(0)
    empty = Placement(*(np.zeros(0) for _ in range(5)))

    def failing(_: Problem, __: Placement, seed: int, over: Callable[[int], bool]) -> tuple[Placement, int]:
        if seed == 1:
            raise RuntimeError("failed")
        rounds = 0
        while not over(rounds):
            rounds += 1
        return empty, rounds

    with pytest.raises((RuntimeError, BrokenBarrierError)):
        side_by_side([(problem, empty, 0), (problem, empty, 1)], failing, Pace(None, 0, np.inf, lambda: False))
