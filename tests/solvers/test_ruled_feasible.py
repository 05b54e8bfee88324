"""`solvers.check.violations` names every rule beyond the daily ones that a plan breaks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small import one_of_each, two_sites, two_slices
from small_rules import AT_HOME, JOBS, PEAK, only, pin

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny_ruled import RULES, random_ruled
from solvers.problem import Problem
from solvers.rules import Moves, Pins, Spread, Total
from solvers.solution import Placement, cost_usd


def plan(problem: Problem, **changes: Any) -> Placement:
    """One server and one replica at the first site, which serves every row; `changes` replace fields."""
    servers, replicas, share = (np.zeros(n, np.int64) for n in (problem.offers, problem.blocks, problem.pairs))
    servers[0] = 1
    replicas[problem.block_site == 0] = 1
    share[problem.pair_site == 0] = 1
    opened = np.arange(problem.sites) == 0
    return replace(Placement(opened, servers, replicas, share.astype(float), np.zeros(problem.demands)), **changes)


FOLLOWING = two_slices(block_slice=np.array([0, 1]), pair_load=np.array([1.0, 0.5]))
AROUND = two_slices(rules=only(jobs=AT_HOME), server_gpus=np.array([2]))
SPLIT = two_sites(rules=only(spread=Spread(np.array([0.3]), np.array([0]))))
PAIRED = {"open": np.array([True, True]), "servers": np.array([1, 1]), "replicas": np.array([1, 1])}
PINNED = replace(FOLLOWING, rules=only(pins=Pins(np.array([1]), np.array([1]), np.array([0, 0]), np.array([0, 1]))))
PAID = replace(two_slices(monthly_budget_usd=49.0), rules=only(transit=PEAK))

KEPT: dict[str, tuple[Problem, Placement]] = {
    "one replica in each slice on one GPU": (FOLLOWING, plan(FOLLOWING)),
    "a job on the second GPU in both slices": (AROUND, plan(AROUND, jobs=np.array([1]))),
    "three tenths here and seven there": (SPLIT, plan(SPLIT, **PAIRED, share=np.array([0.3, 0.7]))),
    "one pinned replica in every slice": (PINNED, plan(PINNED)),
    # 10 + 5 + 2·2 and 3 USD for each of 8 Mbit/s
    "a budget with the peak": (replace(PAID, monthly_budget_usd=43.0), plan(PAID)),
}


@pytest.mark.parametrize("what", KEPT)
def test_a_plan_that_keeps_every_rule_has_no_violations(what: str) -> None:
    problem, placement = KEPT[what]
    assert violations(problem, placement) == []


BROKEN: dict[str, tuple[Problem, Placement, str]] = {
    "two replicas of one slice on one GPU": (
        FOLLOWING,
        plan(FOLLOWING, replicas=np.array([1, 2])),
        "(6) GPUs of type 0, size 1 quarters in slice 1",
    ),
    "a gang of two GPUs beside a replica": (
        AROUND,
        plan(AROUND, jobs=np.array([0])),
        "(6) GPUs of type 0, size 1 quarters in slice 1",
    ),
    "a gang of two GPUs on servers of one": (
        one_of_each(rules=only(jobs=AT_HOME)),
        plan(one_of_each(), servers=np.array([3]), jobs=np.array([0])),
        "(6) GPUs of type 0, size 8 quarters",
    ),
    "a job at a closed site": (
        two_sites(rules=only(jobs=JOBS)),
        plan(two_sites(), jobs=np.array([1])),
        "(15) 1 jobs run at a closed site, job 0",
    ),
    "a job that nothing runs": (two_sites(rules=only(jobs=JOBS)), plan(two_sites()), "jobs has the shape (0,)"),
    "a job that does not exist": (two_sites(), plan(two_sites(), jobs=np.array([0])), "jobs has the shape (1,)"),
    "an option beyond the last": (
        two_sites(rules=only(jobs=JOBS)),
        plan(two_sites(), jobs=np.array([2])),
        "outside of the 2 options",
    ),
    "an option of another job": (
        two_sites(rules=only(jobs=replace(JOBS, jobs=2, option_job=np.array([0, 1])))),
        plan(two_sites(), jobs=np.array([1, 1])),
        "(15) a job is run by an option of another job",
    ),
    "more replicas added than may be": (
        one_of_each(rules=only(moves=Moves(np.array([0]), np.array([1.0]), 0.0))),
        plan(one_of_each()),
        "(14) replicas added in a slice",
    ),
    "fewer replicas than a pin asks": (
        one_of_each(rules=only(pins=pin(2, 3))),
        plan(one_of_each()),
        "(14) least replicas of a pin in slice 0",
    ),
    "fewer replicas in the second slice alone": (
        PINNED,
        plan(PINNED, replicas=np.array([1, 0]), share=np.array([1.0, 0.0]), unserved=np.array([0.0, 1.0])),
        "(14) least replicas of a pin in slice 1",
    ),
    "more replicas than a pin allows": (
        one_of_each(rules=only(pins=pin(0, 0))),
        plan(one_of_each()),
        "(14) most replicas of a pin in slice 0",
    ),
    "a sliver": (SPLIT, plan(SPLIT, **PAIRED, share=np.array([0.2, 0.8])), "(1) least share of a row at a site"),
    "more sites than a row may have": (
        replace(SPLIT, rules=only(spread=Spread(np.zeros(1), np.ones(1, np.int64)))),
        plan(SPLIT, **PAIRED, share=np.array([0.5, 0.5])),
        "(1) most sites of a row",
    ),
    "more carbon than there may be": (
        one_of_each(rules=only(totals=(Total("carbon", offer=np.array([2.5]), most=2.4),))),
        plan(one_of_each()),
        "(carbon) total broken: 2.5 > 2.4",
    ),
    "less served than must be": (
        one_of_each(rules=only(totals=(Total("served", unserved=np.array([4.0]), most=1.0),))),
        plan(one_of_each(), share=np.array([0.5]), unserved=np.array([0.5])),
        "(served) total broken: 2 > 1",
    ),
    "a budget without the peak": (
        replace(PAID, monthly_budget_usd=42.9),
        plan(PAID),
        "(12) monthly budget",
    ),
    "a budget without the job": (replace(AROUND, monthly_budget_usd=22.9), plan(AROUND, jobs=np.array([1])), "(12)"),
    "a budget without the moves": (
        one_of_each(monthly_budget_usd=23.9, rules=only(moves=Moves(np.array([0]), np.array([7.0])))),
        plan(one_of_each()),
        "(12) monthly budget",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_rule_is_named(what: str) -> None:
    problem, placement, message = BROKEN[what]
    assert any(message in line for line in violations(problem, placement)), violations(problem, placement)


def test_what_jobs_moves_and_peaks_cost_is_what_a_hand_adds_up() -> None:
    assert cost_usd(AROUND, plan(AROUND, jobs=np.array([1]))) == pytest.approx(10 + 5 + 4 + 4)
    assert cost_usd(PAID, plan(PAID)) == pytest.approx(10 + 5 + 4 + 3 * 8)
    moved = one_of_each(rules=only(moves=Moves(np.array([0]), np.array([7.0]))))
    assert cost_usd(moved, plan(moved)) == pytest.approx(10 + 5 + 2 + 7)


def test_a_plan_that_loses_what_a_rule_needs_is_no_longer_feasible() -> None:
    """Closing the sites of a plan with jobs or pins, or taking its servers away, breaks a rule."""
    tried = 0
    for seed in range(60):
        problem = random_ruled(seed, list(RULES))
        found = solve_exact(problem).placement
        if found is None:
            continue
        tried += 1
        for name in ("open", "servers"):
            without = replace(found, **{name: np.zeros_like(getattr(found, name))})
            assert violations(problem, without) != [], (seed, name)
    assert tried >= 5
