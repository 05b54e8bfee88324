"""Plans annealed with their reserve: accounts that add up, moves that can be undone, servers that cost least."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, islice, product

import numpy as np
import pytest
import scipy.sparse as sp
from small_reserve import sites

from solvers.check import violations
from solvers.complete import Effort, annealed, complete
from solvers.complete.anneal.annealing import FIRST_CYCLE, Annealing, cycles
from solvers.complete.anneal.insert import best_backup, least_backup, look_around, weigh
from solvers.complete.anneal.moves import one_move
from solvers.complete.anneal.stand import fit_servers, look_at_unit, price_one_more
from solvers.complete.draft import Draft
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.instances.tiny_ruled import RULES, with_rule
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.rollout import one_period
from solvers.rules import Jobs
from solvers.search import solve_rollout_scale
from solvers.solution import Placement, cost_usd


def nothing(problem: Problem) -> Placement:
    """The plan that serves nobody."""
    return Placement(
        np.zeros(problem.sites, np.bool_),
        np.zeros(problem.offers, np.int64),
        np.zeros(problem.blocks, np.int64),
        np.zeros(problem.pairs),
        np.ones(problem.demands),
    )


def started(problem: Problem, seed: int = 0) -> Annealing:
    assert problem.rules.reserve is not None
    annealing = Annealing(Draft(problem, nothing(problem)), problem.rules.reserve, seed)
    annealing.begin()
    return annealing


def finite(first: int, last: int) -> list[Problem]:
    """Random problems with a reserve in which nothing must be served."""
    problems = (random_reserve(seed) for seed in range(first, last))
    return [problem for problem in problems if np.isfinite(problem.unserved_usd).all()]


def with_jobs(first: int, last: int) -> list[tuple[Problem, Placement]]:
    """The same with jobs, and a completed plan of each that has one which keeps every rule."""
    found = []
    for seed, problem in enumerate(finite(first, last)):
        both = RULES["jobs"](problem, np.random.default_rng(seed))
        plan = complete(both, nothing(base_problem(both))).plan
        if plan is not None and violations(both, plan) == []:
            found.append((both, plan))
    return found


def begun(problem: Problem, plan: Placement, seed: int = 0) -> Annealing:
    assert problem.rules.reserve is not None
    annealing = Annealing(Draft.of(problem, plan), problem.rules.reserve, seed)
    annealing.go_on_from(plan)
    return annealing


def test_jobs_move_with_the_rest_and_the_accounts_hold() -> None:
    moved, problems = 0, with_jobs(0, 60)
    assert len(problems) > 15
    for problem, first in problems:
        annealing = begun(problem, first)
        annealing.anneal(lambda rounds: rounds >= 2)
        plan = annealing.placement()
        assert violations(problem, plan) == []
        assert annealing.best is not None
        assert annealing.best.usd == pytest.approx(cost_usd(problem, plan), rel=1e-9, abs=1e-6)
        assert cost_usd(problem, plan) <= cost_usd(problem, first) + 1e-6
        moved += plan.jobs.tolist() != first.jobs.tolist()
    assert moved > 0


def test_a_job_leaves_the_only_server_that_demand_needs() -> None:
    """Three GPUs are all there is. Site 0 alone serves the row and site 1 alone backs it up; the job runs anywhere.

    It stands at site 0, where it costs 1, and the row is lost for 100; at site 2 it costs 3 and all of it
    3·(10 + 5) + 2 + 3.
    """
    three = sites(3, domains=[[0], [1]], offer_max=np.full(3, 1), pair_demand=np.zeros(1, np.int64),
                  pair_block=np.zeros(1, np.int64), pair_load=np.full(1, 0.5), pair_usd=np.full(1, 2.0),
                  reserve={"pair_demand": np.zeros(1, np.int64), "pair_block": np.ones(1, np.int64),
                           "pair_load": np.full(1, 0.5)})  # fmt: skip
    jobs = Jobs(1, np.zeros(3, np.int64), np.arange(3), np.zeros(3, np.int64), np.full(3, 4), np.ones((3, 1), np.bool_),
                np.array([1.0, 2.0, 3.0]))  # fmt: skip
    problem = with_rule(three, jobs=jobs)
    base = nothing(base_problem(problem))
    plan = complete(problem, base).plan
    assert plan is not None
    draft = Draft(problem, base)
    draft.buy(0, 1)
    draft.gang(0, 1)
    draft.jobs[0] = 0
    badly = replace(draft.placement(), backup=sp.csr_matrix((2, 1)))
    assert violations(problem, badly) == []
    assert cost_usd(problem, badly) == pytest.approx(116.0)
    annealing = begun(problem, badly)
    annealing.anneal(lambda rounds: rounds >= FIRST_CYCLE + 8)
    assert annealing.placement().jobs.tolist() == [2]
    assert cost_usd(problem, annealing.placement()) == pytest.approx(50.0)


def test_the_accounts_are_those_of_the_plan_that_comes_out() -> None:
    problems = finite(0, 60)
    assert len(problems) > 20
    for problem in problems:
        annealing = started(problem)
        annealing.anneal(lambda rounds: rounds >= 2)
        plan = annealing.placement()
        assert violations(problem, plan) == []
        assert annealing.best is not None
        assert annealing.best.usd == pytest.approx(cost_usd(problem, plan), rel=1e-9, abs=1e-6)


def test_a_move_that_is_not_kept_leaves_everything_as_it_was() -> None:
    """At a temperature below nothing only a much better plan is kept, and after annealing there is none."""
    watched = ("load", "peak", "sent", "received", "unserved", "replicas", "servers", "taken", "used", "site_count",
               "site_use", "site_usd", "added", "money", "option")  # fmt: skip
    tried = 0
    for annealing in [*map(started, finite(100, 140)), *(begun(*each) for each in with_jobs(100, 130))]:
        annealing.anneal(lambda rounds: rounds >= 1)
        plan = annealing.plan
        seeds = np.flatnonzero(plan.site_count > 0)
        if not len(seeds):
            continue
        before = {name: getattr(plan, name).copy() for name in watched}
        for _ in range(50):
            one_move(annealing.land_ref, annealing.plan_ref, annealing.desk_ref, seeds, 1.0, -1e12)
            tried += 1
        assert annealing.desk.number[:4].tolist() == [0, 0, 0, 0]
        for name, value in before.items():
            assert getattr(plan, name) == pytest.approx(value, rel=1e-9, abs=1e-7), name
    assert tried > 500


def test_the_cheapest_servers_are_those_of_an_enumeration() -> None:
    compared = 0
    for problem in finite(0, 80):
        annealing = started(problem)
        land, plan = annealing.land, annealing.plan
        draw = np.random.default_rng(len(land.offer))
        for u in range(land.units):
            offers = land.offer[land.offer_first[u] : land.offer_first[u + 1]]
            if not 0 < len(offers) <= 3:
                continue
            need = np.sort(draw.integers(0, 24, 4))[::-1]
            plan.need[:] = need
            look_at_unit(annealing.land_ref, annealing.plan_ref, u, -1)
            free, used = plan.left.copy(), plan.used.copy()
            usd = fit_servers(annealing.land_ref, annealing.plan_ref, u)
            look_at_unit(annealing.land_ref, annealing.plan_ref, u, 1)
            assert usd == pytest.approx(cheapest(problem, annealing, offers, need, free, used))
            compared += 1
    assert compared > 60


def cheapest(
    problem: Problem, annealing: Annealing, offers: np.ndarray, need: np.ndarray, free: np.ndarray, used: np.ndarray
) -> float:
    """The least cost over all counts of the offers that hold `need` within what is free."""
    best = np.inf
    most = [min(int(problem.offer_max[o]), 24) for o in offers]
    for counts in product(*(range(m + 1) for m in most)):
        held = [
            sum(c * annealing.land.offer_quarters[o] for c, o in zip(counts, offers, strict=True)
                if annealing.land.offer_quarters[o] >= size)
            for size in (1, 8, 16, 32)
        ]  # fmt: skip
        servers = np.zeros(problem.offers)
        servers[offers] = counts
        use = np.asarray(counts) @ annealing.land.offer_use[offers]
        if (np.asarray(held) >= need).all() and (use <= free + 1e-9).all():
            drawn = used + problem.limit_matrix @ servers
            if (drawn <= annealing.land.limit_most + 1e-9).all():
                best = min(best, float(problem.offer_usd @ servers))
    return best


def test_one_more_replica_is_priced_as_it_then_costs() -> None:
    """Site 0 fails and site 1 does not, which serves the row with its one replica; another there needs another server.

    A replica at site 0 needs the site, too.
    """
    problem = sites(2, domains=[[0]], pair_load=np.full(2, 1.0), reserve={"pair_load": np.full(2, 1.0)})
    annealing = started(problem)
    assert annealing.plan.replicas.tolist() == [0, 1]
    assert price_one_more(annealing.land_ref, annealing.plan_ref, 1) == pytest.approx(5.0)
    assert price_one_more(annealing.land_ref, annealing.plan_ref, 0) == pytest.approx(15.0)


def test_a_large_row_is_spread_so_that_one_small_reserve_is_enough() -> None:
    """2.4 replicas' worth must survive any site: one replica at each of four sites, 4·2 + 4·5 + 2.

    Two sites with three each would be 4 + 30 + 2, three sites with five replicas 6 + 25 + 2.
    """
    problem = sites(
        4,
        domains=[[0], [1], [2], [3]],
        open_usd=np.full(4, 2.0),
        pair_load=np.full(4, 2.4),
        pair_usd=np.full(4, 2.0),
        unserved_usd=np.array([1000.0]),
        reserve={"pair_load": np.full(4, 2.4)},
    )
    found = solve_rollout_scale(one_period(problem), work=4, sweeps=60)
    assert found.objective_usd == pytest.approx(30.0)


def test_most_annealed_plans_of_tiny_problems_are_optimal_and_all_are_near() -> None:
    ratios = []
    for problem in finite(300, 370):
        exact = solve_exact(problem, time_limit_s=20)
        plan, _ = annealed(problem, started(problem).placement(), Effort(rounds=8))
        assert violations(problem, plan) == []
        assert cost_usd(problem, plan) >= exact.bound_usd - 1e-6
        ratios.append(cost_usd(problem, plan) / max(exact.objective_usd, 1e-9))
    assert len(ratios) > 30
    assert np.mean(np.asarray(ratios) < 1 + 1e-6) > 0.9
    assert max(ratios) < 1.01


def test_the_same_seed_and_rounds_give_the_same_plan() -> None:
    problem = finite(0, 20)[0]
    base = complete(problem, nothing(base_problem(problem)))
    assert base.plan is not None
    first, again = (annealed(problem, base.plan, Effort(rounds=3, seed=7))[0] for _ in range(2))
    assert first.share.tobytes() == again.share.tobytes()
    assert first.servers.tobytes() == again.servers.tobytes()


def test_a_run_that_is_interrupted_ends_with_the_plan_it_began_with() -> None:
    problem = finite(0, 20)[0]
    base = complete(problem, nothing(base_problem(problem)))
    assert base.plan is not None
    plan, rounds = annealed(problem, base.plan, Effort(rounds=None, interrupted=lambda: True))
    assert rounds == 0
    assert violations(problem, plan) == []
    assert cost_usd(problem, plan) == pytest.approx(cost_usd(problem, base.plan))


def test_time_that_is_over_leaves_the_least_rounds() -> None:
    effort = Effort(rounds=None, least=3, until=0.0)
    assert [effort.spent(rounds) for rounds in (2, 3)] == [False, True]
    assert not Effort(rounds=5, until=np.inf).spent(4)
    assert Effort(rounds=5, until=np.inf).spent(5)


def test_a_cycle_ends_with_the_rounds_that_are_known() -> None:
    assert list(islice(cycles(None), 4)) == [FIRST_CYCLE, FIRST_CYCLE, 2 * FIRST_CYCLE, 2 * FIRST_CYCLE]
    assert [next(cycles(rounds)) for rounds in (7, 63, 64)] == [7, 63, 32]
    for rounds in (64, 100, 191, 192, 1000, 5000):
        ends = list(islice(accumulate(cycles(rounds)), 30))[1::2]  # where a pair is over
        past = min(end for end in ends if end >= rounds)
        assert past - rounds <= 2 * (1 + ends.index(past)), rounds


def test_no_backup_costs_less_than_its_least() -> None:
    looked_at = 0
    for seed, problem in enumerate(finite(0, 30)):
        annealing = started(problem, seed)
        annealing.anneal(lambda rounds: rounds >= 1)
        land, plan, desk = annealing.land, annealing.plan_ref, annealing.desk_ref
        annealing.desk.mood[:] = 1.1
        annealing.desk.dial[:2] = 0.3, 2.0
        for row, rest in product(range(problem.demands), (1.0, 0.4)):
            look_around(annealing.land_ref, plan, desk, row)
            first = least_backup(annealing.land_ref, plan, desk, row, rest)
            least = annealing.desk.backup_usd[: annealing.desk.number[7]]
            assert first == -1 if np.isinf(least).all() else least[first] == least.min()
            for at, domain in product(range(len(least)), range(len(land.inside))):
                pair = annealing.desk.live_backup[at]
                block, load = land.backup_block[pair], land.backup_load[pair]
                share, usd = weigh(annealing.land_ref, plan, desk, row, block, load, domain, rest)
                assert share == 0.0 or usd >= least[at] - 1e-9
                looked_at += share > 0.0
    assert looked_at > 100


def test_what_a_row_does_not_look_at_is_no_cheaper() -> None:
    """Against all pairs of the row: neither the cheapest primary nor the cheapest backup of any domain is missed."""
    spared = 0
    for seed, problem in enumerate(finite(0, 60)):
        annealing = started(problem, seed)
        annealing.anneal(lambda rounds: rounds >= 1)
        land, desk = annealing.land, annealing.desk
        refs = annealing.land_ref, annealing.plan_ref, annealing.desk_ref
        desk.mood[:] = np.where(np.arange(len(desk.mood)) % 3 == 2, np.inf, 1.2)
        desk.dial[:2] = 0.4, 1.5
        domains = range(len(land.inside))
        for row, rest in product(range(len(land.penalty)), (1.0, 0.3)):
            look_around(*refs, row)
            live = desk.live[: desk.number[6]].tolist()
            pairs = range(land.pair_first[row], land.pair_first[row + 1])
            assert cheapest_primary(annealing, row, rest, live) == cheapest_primary(annealing, row, rest, pairs)
            found = [best_backup(*refs, row, e, rest)[2:] for e in domains]
            spared += len(pairs) - len(live)
            backups = np.arange(land.backup_first[row], land.backup_first[row + 1])
            spared += len(backups) - int(desk.number[7])
            desk.live_backup[: len(backups)] = backups
            desk.number[7], desk.backup_share[0] = len(backups), -1.0
            assert found == [best_backup(*refs, row, e, rest)[2:] for e in domains]
    assert spared > 100


def cheapest_primary(annealing: Annealing, row: int, rest: float, pairs: Iterable[int]) -> float:
    """USD by share of the cheapest of some pairs of a row, without its backup."""
    land, least = annealing.land, np.inf
    refs = annealing.land_ref, annealing.plan_ref, annealing.desk_ref
    for n in pairs:
        share, usd = weigh(*refs, row, land.pair_block[n], land.pair_load[n], -1, rest)
        if share > 0:
            least = min(least, usd + float(land.pair_usd[n]))
    return least


def test_a_move_ends_when_it_costs_too_much_already() -> None:
    """What nobody can serve costs the same before and after, and is no room for the rows that are out."""
    problem = sites(
        3,
        domains=[[0], [1], [2]],
        demand_model=np.zeros(2, np.int64),
        demand_slice=np.zeros(2, np.int64),
        unserved_usd=np.array([100.0, 1e7]),
        out_mbps=np.zeros(2),
        in_mbps=np.zeros(2),
    )
    annealing = started(problem)
    plan = annealing.plan
    seeds = np.flatnonzero(plan.site_count > 0)
    plan.cache_site[:] = -1
    for _ in range(20):  # what is asked is cheaper by more than there is to be saved
        one_move(annealing.land_ref, annealing.plan_ref, annealing.desk_ref, seeds, 1.0, -1e5)
    assert (plan.cache_site == -1).all()  # no price was asked
    one_move(annealing.land_ref, annealing.plan_ref, annealing.desk_ref, seeds, 1.0, 1.0)
    assert (plan.cache_site >= 0).any()
