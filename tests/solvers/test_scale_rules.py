"""Following slices, jobs, pins, moves and transit at scale: kept, never better than proved, near the optimum."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each, two_blocks
from thorough import seeds

from solvers.check import violations
from solvers.complete.standing import nothing, standing
from solvers.exact import solve_exact
from solvers.instances.tiny_ruled import random_ruled
from solvers.problem import ProblemError
from solvers.relax import base_problem, slice_weights
from solvers.rollout import one_period
from solvers.rules import Jobs, Moves, Pins, Rules, Transit
from solvers.search import refused_at_scale, solve_rollout_scale
from solvers.search.around import around
from solvers.solution import Placement, cost_usd


@pytest.mark.parametrize(
    "names", ["following", "jobs", "moves", "pins", "transit", "following jobs moves", "jobs pins budget"]
)
def test_plans_keep_the_rules_and_stand_between_what_is_proved_and_the_optimum(names: str) -> None:
    near = count = 0
    for seed in seeds(range(25), range(14)):
        problem = random_ruled(seed, names.split())
        rollout = one_period(problem)
        if refused_at_scale(rollout):
            continue
        exact = solve_exact(problem, time_limit_s=20)
        found = solve_rollout_scale(rollout, work=2, sweeps=60)
        if exact.placement is None:
            assert found.placements is None, seed
            continue
        count += 1
        assert found.bound_usd <= exact.bound_usd + 1e-6 * max(1, abs(exact.bound_usd)), seed
        assert found.placements is not None, (seed, found.message)
        assert violations(problem, found.placements[0]) == [], seed
        assert found.objective_usd >= exact.bound_usd - 1e-6 * abs(exact.bound_usd), seed
        near += found.objective_usd <= 1.15 * exact.objective_usd + 1e-6
    assert near >= 0.8 * count


def only(problem_rules: Rules, **changes: object) -> Placement:
    problem = replace(one_of_each(**changes), rules=problem_rules)
    found = solve_rollout_scale(one_period(problem), work=1, sweeps=30)
    assert found.placements is not None, found.message
    return found.placements[0]


def test_a_gang_stands_beside_the_replicas() -> None:
    """One server holds the replica; a gang of one GPU needs a second, and 8 quarters of gang a third."""
    jobs = Jobs(1, np.array([0]), np.array([0]), np.array([0]), np.array([4]), np.array([[True]]), np.array([3.0]))
    assert only(Rules(jobs=jobs)).servers.tolist() == [2]


def test_a_job_that_finds_no_server_takes_the_place_of_replicas() -> None:
    jobs = Jobs(1, np.array([0]), np.array([0]), np.array([0]), np.array([4]), np.array([[True]]), np.array([3.0]))
    plan = only(Rules(jobs=jobs), offer_max=np.array([1]))
    assert plan.servers.tolist() == [1]
    assert plan.unserved.tolist() == [1.0]


def test_pins_add_and_take_away_replicas() -> None:
    pin = (np.array([0]), np.array([0]))
    assert only(Rules(pins=Pins(np.array([2]), np.array([3]), *pin))).replicas.tolist() == [2]
    assert only(Rules(pins=Pins(np.array([0]), np.array([0]), *pin))).replicas.tolist() == [0]


GANG = Jobs(1, np.array([0]), np.array([0]), np.array([0]), np.array([4]), np.array([[True]]), np.array([3.0]))
ONE_PIN = Pins(np.array([1]), np.array([3]), np.array([0]), np.array([0]))


def test_a_pin_and_a_job_that_fit_only_together_share_the_one_server_that_may_be_bought() -> None:
    """Each by itself would take the cheap server of one GPU; one server may be had, so it is the one of two GPUs."""
    limited = {
        "server_gpu": np.array([0, 0]),
        "server_gpus": np.array([1, 2]),
        "server_use": np.array([[1.0], [1.0]]),
        "offer_site": np.array([0, 0]),
        "offer_server": np.array([0, 1]),
        "offer_max": np.array([3, 3]),
        "offer_usd": np.array([5.0, 20.0]),
        "limit_matrix": sp.csr_matrix(np.ones((1, 2))),
        "limit_rhs": np.array([1.0]),
    }
    plan = only(Rules(jobs=GANG, pins=ONE_PIN), **limited)
    assert plan.servers.tolist() == [0, 1]
    assert plan.unserved.tolist() == [0.0]


def test_a_job_does_not_push_a_pinned_replica_out() -> None:
    """One GPU in all, and both ask for it: there is no plan, and none that breaks the pin."""
    problem = replace(one_of_each(offer_max=np.array([1])), rules=Rules(jobs=GANG, pins=ONE_PIN))
    assert solve_rollout_scale(one_period(problem), work=1, sweeps=30).placements is None


def test_demand_is_dropped_where_a_job_leaves_too_little_of_the_budget() -> None:
    """Site, two servers and the job cost 10 + 10 + 3, which leaves 1 of the 2 that serving the whole row costs."""
    plan = only(Rules(jobs=GANG), monthly_budget_usd=24.0)
    assert plan.unserved == pytest.approx([0.5], abs=1e-6)
    assert only(Rules(jobs=GANG), monthly_budget_usd=19.0).unserved.tolist() == [1.0]


def test_the_problem_around_a_pin_and_a_job_is_what_they_leave() -> None:
    """Two pinned replicas and a gang of one GPU on two of three servers of two GPUs: a GPU and a server are left."""
    pins = Pins(np.array([2]), np.array([3]), np.array([0]), np.array([0]))
    base = one_of_each(server_gpus=np.array([2]))
    draft = standing(replace(base, rules=Rules(jobs=GANG, pins=pins)))
    assert draft is not None
    left = around(base, draft)
    assert left.sunk_usd == 10 + 2 * 5 + 3
    assert left.problem.open_usd.tolist() == [0.0]
    gpus = left.problem.server_gpus[left.problem.offer_server]
    of_old_type = left.problem.server_gpu[left.problem.offer_server] == 0
    assert sorted(zip(gpus[of_old_type], left.problem.offer_max[of_old_type], strict=True)) == [(1, 1), (2, 1)]
    assert gpus[~of_old_type].tolist() == [1]
    assert left.block.tolist() == [0, -1]
    assert left.problem.block_max.tolist() == [1, 2]
    nothing_more = left.whole(nothing(left.problem))
    assert nothing_more.replicas.tolist() == [2]
    assert nothing_more.servers.tolist() == [2]
    assert nothing_more.jobs.tolist() == [0]


@pytest.mark.parametrize("names", ["jobs pins", "following jobs pins", "jobs pins moves transit"])
def test_plans_around_what_stands_are_plans_of_the_whole(names: str) -> None:
    """The cheapest plan of the problem that is left costs in the whole what it costs there, and what is sunk."""
    count = 0
    for seed in seeds(range(40), range(24)):
        problem = random_ruled(seed, names.split())
        problem = replace(problem, unserved_usd=np.minimum(problem.unserved_usd, 1000.0))
        draft = None if refused_at_scale(one_period(problem)) else standing(problem)
        if draft is None:
            continue
        base = base_problem(problem)
        left = around(base, draft)
        found = solve_exact(left.problem, time_limit_s=20)
        assert found.placement is not None, seed
        whole = left.whole(found.placement)
        usd = cost_usd(base, replace(whole, jobs=np.empty(0, np.int64)))
        bare = cost_usd(base, replace(draft.placement(), unserved=np.zeros(base.demands)))
        assert usd == pytest.approx(found.objective_usd + bare), seed
        broken = [line for line in violations(problem, whole) if "added" not in line and "most replicas" not in line]
        assert broken == [], seed
        count += 1
    assert count >= 10


def test_replicas_are_added_only_where_they_are_worth_their_move() -> None:
    """Serving saves 100 - 17 = 83 a month."""
    cheap, dear = (Moves(np.array([0]), np.array([usd])) for usd in (80.0, 90.0))
    assert only(Rules(moves=cheap)).replicas.tolist() == [1]
    assert only(Rules(moves=dear)).replicas.tolist() == [0]
    assert only(Rules(moves=Moves(np.array([0]), np.array([0.0]), most=0.0))).replicas.tolist() == [0]


def test_slices_that_can_be_left_out_count_nothing_in_the_relaxed_transit() -> None:
    """Shares 0.04, 0.32, 0.64; 5 % of the day is free at site 1, so its short slice may be left out."""
    transit = Transit(np.array([1.0, 1.0]), np.array([0.0, 0.05]), np.array([0.04, 0.32, 0.64]))
    assert slice_weights(transit) == pytest.approx(np.array([[0.04, 0.32, 0.64], [0.0, 1 / 3, 2 / 3]]))


def test_a_rule_that_pays_is_not_relaxed() -> None:
    problem = replace(one_of_each(), rules=Rules(moves=Moves(np.array([0]), np.array([-1.0]))))
    with pytest.raises(ProblemError, match="moves"):
        base_problem(problem)


def test_a_problem_without_rules_is_its_own_base() -> None:
    problem = one_of_each()
    assert base_problem(problem) is problem


def test_where_few_replicas_may_be_added_one_for_all_rows_is_better_than_one_for_each() -> None:
    """Two rows have a replica each for 2, or share a large one for 9 each; one may be added: 10 + 5 + 9 + 9."""
    problem = one_of_each(
        server_gpus=np.array([4]), shape_gpu=np.zeros(3, int), shape_quarters=np.array([4, 4, 16]),
        shape_model=np.zeros(3, int), block_site=np.zeros(3, int), block_shape=np.arange(3),
        block_max=np.ones(3, int), block_choice=np.full(3, -1), demand_model=np.zeros(2, int),
        demand_slice=np.zeros(2, int), unserved_usd=np.full(2, 100.0), out_mbps=np.zeros(2), in_mbps=np.zeros(2),
        pair_demand=np.array([0, 0, 1, 1]), pair_block=np.array([0, 2, 1, 2]),
        pair_load=np.array([1.0, 0.5, 1.0, 0.5]), pair_usd=np.array([2.0, 9.0, 2.0, 9.0]),
    )  # fmt: skip
    free = solve_rollout_scale(one_period(problem), work=1, sweeps=30)
    assert free.placements is not None
    assert free.placements[0].replicas.tolist() == [1, 1, 0]
    limited = replace(problem, rules=Rules(moves=Moves(np.zeros(3, int), np.zeros(3), most=1.0)))
    found = solve_rollout_scale(one_period(limited), work=1, sweeps=30)
    assert found.placements is not None
    assert found.placements[0].replicas.tolist() == [0, 0, 1]
    assert found.objective_usd == pytest.approx(33.0)


def test_of_replicas_that_may_be_added_those_that_save_most_are() -> None:
    """Two rows, a replica each, one may be added: that of the row whose penalty is ten times the other's."""
    rows = {name: np.array([0.0, 0.0]) for name in ("out_mbps", "in_mbps")}
    problem = two_blocks(
        shape_model=np.array([0, 1]), demand_model=np.array([0, 1]), demand_slice=np.array([0, 0]),
        unserved_usd=np.array([100.0, 1000.0]), pair_demand=np.array([0, 1]), pair_block=np.array([0, 1]),
        pair_load=np.array([1.0, 0.5]), **rows,
    )  # fmt: skip
    limited = replace(problem, rules=Rules(moves=Moves(np.array([0, 0]), np.array([0.0, 0.0]), most=1.0)))
    found = solve_rollout_scale(one_period(limited), work=1, sweeps=30)
    assert found.placements is not None
    assert found.placements[0].unserved.tolist() == [1.0, 0.0]


def test_a_server_is_bought_where_the_price_of_its_stock_takes_all_that_demand_is_worth() -> None:
    """One server may be had and serves a third of the row: 10 + 5 + 2/3 + 40, against 60 for serving nothing."""
    problem = one_of_each(
        pair_load=np.array([3.0]), unserved_usd=np.array([60.0]),
        limit_matrix=sp.csr_matrix(np.ones((1, 1))), limit_rhs=np.array([1.0]),
    )  # fmt: skip
    found = solve_rollout_scale(one_period(problem), work=2, sweeps=60)
    assert found.objective_usd == pytest.approx(15 + 2 / 3 + 40)


@pytest.mark.parametrize(
    ("penalties", "budget_usd", "best_usd"), [((1000.0, 100.0), 18.0, 117.0), ((100.0, 1000.0), 20.0, 119.0)]
)
def test_a_site_that_there_is_no_money_for_serves_what_pays_best(
    penalties: tuple[float, float], budget_usd: float, best_usd: float
) -> None:
    """Both rows would cost 10 + 5 + 5 + 2 + 4; the one of the larger penalty alone 10 + 5 and 2 or 4."""
    problem = one_of_each(
        demand_model=np.zeros(2, int), demand_slice=np.zeros(2, int), unserved_usd=np.array(penalties),
        out_mbps=np.zeros(2), in_mbps=np.zeros(2), pair_demand=np.array([0, 1]), pair_block=np.array([0, 0]),
        pair_load=np.array([1.0, 1.0]), pair_usd=np.array([2.0, 4.0]), monthly_budget_usd=budget_usd,
    )  # fmt: skip
    found = solve_rollout_scale(one_period(problem), work=2, sweeps=60)
    assert found.objective_usd == pytest.approx(best_usd)
