"""The exact solver against the enumeration of every whole-number plan, with the rules beyond the daily ones."""

from dataclasses import replace

import numpy as np
import pytest
from ruled_enumeration import optimum_usd
from thorough import seeds

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny_ruled import RULES, random_ruled
from solvers.problem import Problem
from solvers.rules import NO_RULES
from solvers.solution import Solution, Status

EVERY = tuple(RULES)


def solved_as_enumerated(problem: Problem, seed: int) -> Solution:
    """The exact solver's answer, which has to cost what the enumeration found."""
    least = optimum_usd(problem)
    found = solve_exact(problem, gap=1e-9)
    assert (found.status == Status.INFEASIBLE) == bool(np.isinf(least)), (seed, found.message)
    if found.placement is not None:
        assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed
        assert found.bound_usd <= least + 1e-6, seed
        assert violations(problem, found.placement) == [], seed
    return found


@pytest.mark.parametrize("name", [name for name in EVERY if name != "budget"])
def test_the_optimum_under_one_rule_is_the_least_over_every_plan(name: str) -> None:
    answers = [solved_as_enumerated(random_ruled(seed, [name]), seed) for seed in seeds(range(70), range(45))]
    assert sum(found.placement is not None for found in answers) >= seeds(30, 25)


@pytest.mark.parametrize("single_source", [False, True])
def test_the_optimum_under_a_mix_of_rules_is_the_least_over_every_plan(single_source: bool) -> None:
    answers = []
    for seed in range(80):
        names = [name for k, name in enumerate(EVERY) if (seed * 37 + k * k * 11) % 5 < 3]
        answers.append(solved_as_enumerated(random_ruled(seed, names, single_source=single_source), seed))
    assert sum(found.placement is not None for found in answers) >= 30


def test_the_optimum_under_all_rules_at_once_is_the_least_over_every_plan() -> None:
    answers = [solved_as_enumerated(random_ruled(seed, EVERY), seed) for seed in range(500, 620)]
    assert sum(found.placement is not None for found in answers) >= 20


def test_two_solvers_agree_on_all_rules_at_once() -> None:
    agreed = 0
    for seed in range(200, 340):
        problem = random_ruled(seed, EVERY)
        highs, scip = (solve_exact(problem, backend=name, gap=1e-9) for name in ("highs", "scip"))
        assert highs.status == scip.status, seed
        if highs.placement is not None:
            agreed += 1
            assert highs.objective_usd == pytest.approx(scip.objective_usd, rel=1e-6, abs=1e-6), seed
    assert agreed >= 20


def test_cp_sat_and_highs_agree_on_whole_rows_with_every_rule_it_takes() -> None:
    agreed = 0
    for seed in range(90):
        problem = random_ruled(seed, [name for name in EVERY if name != "transit"], single_source=True)
        cp_sat, highs = (solve_exact(problem, backend=name, gap=1e-9) for name in ("cp-sat", "highs"))
        assert cp_sat.status == highs.status, seed
        if highs.placement is not None:
            agreed += 1
            assert cp_sat.objective_usd == pytest.approx(highs.objective_usd, rel=1e-6, abs=1e-6), seed
    assert agreed >= 10


@pytest.mark.parametrize("name", [name for name in EVERY if name != "following"])
def test_a_rule_of_the_random_problems_changes_the_optimum_now_and_then(name: str) -> None:
    """A rule that never binds would prove nothing."""
    changed = 0
    for seed in range(60):
        problem = random_ruled(seed, [name])
        free = replace(problem, rules=NO_RULES, monthly_budget_usd=np.inf)
        with_rule, without = (solve_exact(p, gap=1e-9) for p in (problem, free))
        if without.placement is not None:
            changed += with_rule.placement is None or with_rule.objective_usd > without.objective_usd + 1e-6
    assert changed >= 5
