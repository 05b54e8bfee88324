"""Limits that give way, against a scan: the least amount with which the exact solver finds everything served."""

from dataclasses import replace

import numpy as np
import pytest

from solvers.exact import solve_exact
from solvers.exact.elastic import BETWEEN, Elastic, Give, Loosened, least_unserved, solve_elastic
from solvers.exact.rollout import solve_rollout_exact
from solvers.instances.tiny import random_tiny
from solvers.instances.tiny_rollout import random_rollout
from solvers.instances.tiny_ruled import random_ruled
from solvers.problem import Problem
from solvers.rollout import Rollout, one_period
from solvers.solution import Status

MOST = 12


def all_served(problem: Problem) -> Problem:
    """The problem in which every row that has a pair must be served."""
    return replace(problem, unserved_usd=np.where(problem.unservable, problem.unserved_usd, np.inf))


def feasible(problem: Problem) -> bool:
    return solve_exact(problem, time_limit_s=20).status != Status.INFEASIBLE


def wanted(rollout: Rollout) -> tuple[np.ndarray, ...]:
    return tuple(problem.unservable.astype(float) for problem in rollout.periods)


def least_of(problem: Problem, loose: Problem, give: Give, backend: str = "highs") -> Elastic:
    rollout = one_period(problem)
    return solve_elastic(rollout, one_period(loose), [give], wanted(rollout), backend=backend)


def limited(seed: int) -> Problem:
    """A random problem whose first limit row counts servers and holds few of them."""
    problem = random_tiny(seed, single_source=False)
    matrix = problem.limit_matrix.toarray()
    matrix[0] = 1.0
    matrix[1] = 0.0
    rhs = np.array([float(seed % 2), np.inf])
    return replace(problem, limit_matrix=type(problem.limit_matrix)(matrix), limit_rhs=rhs)


def scanned(problem: Problem) -> int | None:
    """The least number of servers more with which all is served; None where no number is enough."""
    for more in range(MOST):
        rhs = problem.limit_rhs + np.array([more, 0.0])
        if feasible(all_served(replace(problem, limit_rhs=rhs))):
            return more
    return None


@pytest.mark.parametrize("seed", range(30))
def test_the_least_servers_more_are_those_that_a_scan_finds(seed: int) -> None:
    problem = limited(seed)
    loose = replace(problem, limit_rhs=np.full(2, np.inf))
    found = least_of(problem, loose, Give((Loosened(0, "limits", (("l", 0),)),), whole=True))
    expected = scanned(problem)
    if expected is None:
        assert found.status == Status.INFEASIBLE
    else:
        assert found.amounts is not None
        assert found.amounts.tolist() == [expected]


@pytest.mark.parametrize("seed", range(12))
def test_the_backends_agree(seed: int) -> None:
    problem = limited(seed)
    loose = replace(problem, limit_rhs=np.full(2, np.inf))
    give = Give((Loosened(0, "limits", (("l", 0),)),), whole=True)
    first, second = least_of(problem, loose, give), least_of(problem, loose, give, "scip")
    assert first.status == second.status
    assert np.array_equal(first.amounts, second.amounts) if first.amounts is not None else second.amounts is None


@pytest.mark.parametrize("seed", range(25))
def test_the_least_power_is_enough_and_no_less_is(seed: int) -> None:
    problem = random_tiny(seed, single_source=False)
    site_limit = problem.site_limit.copy()
    site_limit[0, 0] = 0.7
    problem = replace(problem, site_limit=site_limit)
    roomy = site_limit.copy()
    roomy[0, 0] = np.inf
    give = Give((Loosened(0, "site_resources", (("p", 0), ("r", 0))),))
    found = least_of(problem, replace(problem, site_limit=roomy), give)

    def with_power(kw: float) -> Problem:
        more = site_limit.copy()
        more[0, 0] += kw
        return all_served(replace(problem, site_limit=more))

    if found.amounts is None:
        assert not feasible(with_power(1000.0))
        return
    kw = float(found.amounts[0])
    assert feasible(with_power(kw * (1 + 1e-9) + 1e-9))
    assert kw == 0 or not feasible(with_power(kw - 0.01))


@pytest.mark.parametrize("seed", range(20))
def test_pins_give_as_few_replicas_as_a_scan_says(seed: int) -> None:
    problem = random_ruled(seed, ["pins"])
    pins = problem.rules.pins
    assert pins is not None
    pins = replace(pins, most=np.zeros_like(pins.most), least=np.zeros_like(pins.least))
    problem = replace(problem, rules=replace(problem.rules, pins=pins))
    give = Give((Loosened(0, "most_pinned", (("q", 0),)),), whole=True)
    found = least_of(problem, problem, give)

    def with_most(count: int) -> Problem:
        most = pins.most.copy()
        most[0] = count
        return all_served(replace(problem, rules=replace(problem.rules, pins=replace(pins, most=most))))

    expected = next((count for count in range(8) if feasible(with_most(count))), None)
    assert (None if found.amounts is None else int(found.amounts[0])) == expected


@pytest.mark.parametrize("seed", range(20))
def test_installs_of_every_period_give_as_a_scan_says(seed: int) -> None:
    rollout = random_rollout(seed)
    rollout = replace(rollout, installs=np.zeros(len(rollout.periods)))
    give = Give(tuple(Loosened(BETWEEN, "installs", (("h", h),)) for h in range(2)), whole=True)
    loose = replace(rollout, installs=np.full(2, np.inf))
    found = solve_elastic(rollout, loose, [give], wanted(rollout))
    must = replace(rollout, periods=tuple(all_served(problem) for problem in rollout.periods))

    def possible(installs: int) -> bool:
        ended = solve_rollout_exact(replace(must, installs=np.full(2, float(installs))), time_limit_s=20)
        return ended.status != Status.INFEASIBLE

    expected = next((count for count in range(8) if possible(count)), None)
    assert (None if found.amounts is None else int(found.amounts[0])) == expected


def test_a_limit_that_stands_in_no_row_gives_nothing() -> None:
    problem = random_tiny(1, single_source=False)
    free = replace(
        problem,
        limit_rhs=np.full(len(problem.limit_rhs), np.inf),
        site_limit=np.full_like(problem.site_limit, np.inf),
        monthly_budget_usd=np.inf,
    )
    give = Give((Loosened(0, "limits", (("l", 0),)),), whole=True)
    found = solve_elastic(one_period(free), one_period(free), [give], (np.ones(free.demands),))
    assert found.amounts is not None
    assert found.amounts.tolist() == [0.0]


@pytest.mark.parametrize("seed", range(15))
def test_the_least_unserved_is_what_the_exact_solver_leaves_when_only_that_costs(seed: int) -> None:
    problem = limited(seed)
    requests = np.arange(1.0, problem.demands + 1)
    only = replace(
        problem,
        open_usd=np.zeros(problem.sites),
        offer_usd=np.zeros(problem.offers),
        pair_usd=np.zeros(problem.pairs),
        unserved_usd=np.where(np.isinf(problem.unserved_usd), np.inf, requests),
        monthly_budget_usd=np.inf,
    )
    free = replace(problem, monthly_budget_usd=np.inf)
    left = least_unserved(one_period(free), one_period(free), [], (requests,))
    exact = solve_exact(only)
    if left is None:
        assert exact.status == Status.INFEASIBLE
        return
    assert exact.placement is not None
    assert float(requests @ left[0]) == pytest.approx(float(requests @ exact.placement.unserved), abs=1e-5)


def test_a_backend_that_does_not_exist_is_refused() -> None:
    problem = random_tiny(1, single_source=False)
    with pytest.raises(ValueError, match="backend"):
        least_of(problem, problem, Give(()), "cplex")
