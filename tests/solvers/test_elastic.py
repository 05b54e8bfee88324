"""Limits that give way, against a scan: the least amount with which the exact solver serves what is asked.

What is asked is what an exact plan without the limit serves whole, found with penalties so high that it serves
whatever it can; so that nearly every problem needs something.
"""

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
STOCK = Give((Loosened(0, "limits", (("l", 0),)),), whole=True)
POWER = Give((Loosened(0, "site_resources", (("p", 0), ("r", 0))),))


def asked(loose: Problem) -> np.ndarray | None:
    """Rows (I) that are served whole where the limit does not hold; None where other rules leave no plan at all."""
    eager = replace(loose, unserved_usd=np.where(np.isinf(loose.unserved_usd), np.inf, 1e5))
    found = solve_exact(replace(eager, monthly_budget_usd=np.inf), time_limit_s=20).placement
    return None if found is None else np.asarray(found.unserved < 1e-9)


def must(problem: Problem, rows: np.ndarray) -> Problem:
    return replace(problem, unserved_usd=np.where(rows, np.inf, problem.unserved_usd), monthly_budget_usd=np.inf)


def feasible(problem: Problem) -> bool:
    return solve_exact(problem, time_limit_s=20).status != Status.INFEASIBLE


def least_of(problem: Problem, loose: Problem, rows: np.ndarray, give: Give, backend: str = "highs") -> Elastic:
    free = replace(problem, monthly_budget_usd=np.inf)
    most = (np.where(rows, 0.0, 1.0),)
    return solve_elastic(one_period(free), one_period(loose), [give], most, backend=backend)


def with_stock(seed: int, rhs: float) -> Problem:
    """A random problem whose first limit row counts servers and holds few of them."""
    problem = random_tiny(seed, single_source=False)
    matrix = np.zeros((2, problem.offers))
    matrix[0] = 1.0
    return replace(problem, limit_matrix=type(problem.limit_matrix)(matrix), limit_rhs=np.array([rhs, np.inf]))


def with_power(problem: Problem, kw: float) -> Problem:
    limit = problem.site_limit.copy()
    limit[0, 0] = kw
    return replace(problem, site_limit=limit)


@pytest.mark.parametrize("seed", range(30))
def test_the_least_servers_more_are_those_that_a_scan_finds(seed: int) -> None:
    short = float(seed % 2)
    problem, loose = with_stock(seed, short), with_stock(seed, np.inf)
    rows = asked(loose)
    if rows is None:
        assert least_of(problem, loose, np.zeros(problem.demands, np.bool_), STOCK).status == Status.INFEASIBLE
        return
    more = next(count for count in range(MOST) if feasible(must(with_stock(seed, short + count), rows)))
    found = least_of(problem, loose, rows, STOCK)
    assert found.amounts is not None
    assert found.amounts.tolist() == [more]


def test_most_of_these_problems_need_servers() -> None:
    needs = []
    for seed in range(30):
        loose = with_stock(seed, np.inf)
        rows = asked(loose)
        if rows is not None:
            needs.append(least_of(with_stock(seed, 0.0), loose, rows, STOCK).least)
    assert sum(need >= 1 for need in needs) > 12
    assert max(needs) >= 3


@pytest.mark.parametrize("seed", range(12))
def test_the_backends_agree(seed: int) -> None:
    problem, loose = with_stock(seed, 0.0), with_stock(seed, np.inf)
    rows = asked(loose)
    if rows is None:
        rows = np.zeros(problem.demands, np.bool_)
    first, second = (least_of(problem, loose, rows, STOCK, backend) for backend in ("highs", "scip"))
    assert first.status == second.status
    assert np.array_equal(first.amounts, second.amounts) if first.amounts is not None else second.amounts is None


@pytest.mark.parametrize("seed", range(25))
def test_the_least_power_is_enough_and_no_less_is(seed: int) -> None:
    problem = random_tiny(seed, single_source=False)
    loose = with_power(problem, np.inf)
    rows = asked(loose)
    if rows is None:
        return
    found = least_of(with_power(problem, 0.3), loose, rows, POWER)
    assert found.amounts is not None
    kw = float(found.amounts[0])
    assert feasible(must(with_power(problem, (0.3 + kw) * (1 + 1e-9)), rows))
    assert kw == 0 or not feasible(must(with_power(problem, 0.3 + kw - 0.01), rows))


@pytest.mark.parametrize("seed", range(20))
def test_pins_give_as_few_replicas_as_a_scan_says(seed: int) -> None:
    problem = random_ruled(seed, ["pins"])
    pins = problem.rules.pins
    assert pins is not None

    def with_most(count: int) -> Problem:
        own = replace(pins, most=np.full_like(pins.most, count), least=np.zeros_like(pins.least))
        return replace(problem, rules=replace(problem.rules, pins=own))

    rows = asked(with_most(100))
    if rows is None:
        return
    give = Give((Loosened(0, "most_pinned", ()),), whole=True)
    found = least_of(with_most(0), with_most(100), rows, give)
    more = next(count for count in range(MOST) if feasible(must(with_most(count), rows)))
    assert found.amounts is not None
    assert found.amounts.tolist() == [more]


@pytest.mark.parametrize("seed", range(20))
def test_installs_of_every_period_give_as_a_scan_says(seed: int) -> None:
    rollout = random_rollout(seed)
    everything = tuple(problem.unservable.astype(float) for problem in rollout.periods)

    def with_installs(count: float) -> Rollout:
        return replace(rollout, installs=np.full(2, count))

    def possible(count: float) -> bool:
        periods = tuple(must(problem, ~problem.unservable) for problem in rollout.periods)
        ended = solve_rollout_exact(replace(with_installs(count), periods=periods), time_limit_s=20)
        return ended.status != Status.INFEASIBLE

    give = Give(tuple(Loosened(BETWEEN, "installs", (("h", h),)) for h in range(2)), whole=True)
    found = solve_elastic(with_installs(0.0), with_installs(np.inf), [give], everything)
    more = next((count for count in range(8) if possible(count)), None)
    assert (None if found.amounts is None else int(found.amounts[0])) == more


def test_a_limit_that_stands_in_no_row_gives_nothing() -> None:
    loose = with_power(with_stock(1, np.inf), np.inf)
    found = least_of(loose, loose, np.zeros(loose.demands, np.bool_), STOCK)
    assert found.amounts is not None
    assert found.amounts.tolist() == [0.0]


@pytest.mark.parametrize("seed", range(15))
def test_the_least_unserved_is_what_the_exact_solver_leaves_when_only_that_costs(seed: int) -> None:
    problem = replace(with_stock(seed, 1.0), monthly_budget_usd=np.inf)
    requests = np.arange(1.0, problem.demands + 1)
    left = least_unserved(one_period(problem), one_period(problem), [], (requests,))
    only = replace(
        problem,
        open_usd=np.zeros(problem.sites),
        offer_usd=np.zeros(problem.offers),
        pair_usd=np.zeros(problem.pairs),
        unserved_usd=np.where(np.isinf(problem.unserved_usd), np.inf, requests),
    )
    exact = solve_exact(only)
    if left is None:
        assert exact.status == Status.INFEASIBLE
        return
    assert exact.placement is not None
    assert float(requests @ left[0]) == pytest.approx(float(requests @ exact.placement.unserved), abs=1e-5)


def test_a_backend_that_does_not_exist_is_refused() -> None:
    problem = with_stock(1, 0.0)
    with pytest.raises(ValueError, match="backend"):
        least_of(problem, problem, np.zeros(problem.demands, np.bool_), STOCK, "cplex")
