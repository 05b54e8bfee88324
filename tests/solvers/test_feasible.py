"""`solvers.check.violations` names every rule that a plan breaks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each, two_blocks

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.solution import Placement


def served(**changes: Any) -> Placement:
    """The row of `one_of_each` served by one replica on one server; `changes` replace fields."""
    placement = Placement(
        open=np.array([True]),
        servers=np.array([1]),
        replicas=np.array([1]),
        share=np.array([1.0]),
        unserved=np.array([0.0]),
    )
    return replace(placement, **changes)


def test_a_plan_that_keeps_every_rule_has_no_violations() -> None:
    assert violations(one_of_each(), served()) == []


BROKEN: dict[str, tuple[Problem, Placement, str]] = {
    "served less than once": (one_of_each(), served(share=np.array([0.9])), "(1) neither served"),
    "served twice": (one_of_each(), served(unserved=np.array([0.1])), "(1) served more than once"),
    "a row that must be served is not": (
        one_of_each(unserved_usd=np.array([np.inf])),
        served(share=np.array([0.9]), unserved=np.array([0.1])),
        "(1) a row that must be served",
    ),
    "a share below 0": (
        one_of_each(),
        served(share=np.array([-0.1]), unserved=np.array([1.1])),
        "share below 0",
    ),
    "a split share where rows are whole": (
        one_of_each(single_source=True),
        served(share=np.array([0.5]), unserved=np.array([0.5])),
        "single source",
    ),
    "more load than replicas": (one_of_each(pair_load=np.array([1.5])), served(), "(4) replica capacity in slice 0"),
    "the part of a replica that is kept free is used": (
        one_of_each(pair_load=np.array([1.0]), capacity_factor=0.999),
        served(),
        "(4) replica capacity",
    ),
    "a share without a replica": (
        one_of_each(pair_load=np.array([0.0])),
        served(replicas=np.array([0])),
        "(5) linking",
    ),
    "more replicas than GPUs": (one_of_each(), served(replicas=np.array([2])), "(6) GPUs of type 0, size 1"),
    "a large replica on small servers": (
        one_of_each(shape_quarters=np.array([8])),
        served(servers=np.array([2])),
        "(6) GPUs of type 0, size 8",
    ),
    "more replicas than block_max": (
        one_of_each(block_max=np.array([1])),
        served(servers=np.array([2]), replicas=np.array([2])),
        "block_max",
    ),
    "two operating points at once": (
        two_blocks(block_choice=np.array([7, 7])),
        Placement(np.array([True]), np.array([2]), np.array([1, 1]), np.array([0.5, 0.5]), np.array([0.0])),
        "choice 7",
    ),
    "more power than the site has": (one_of_each(site_limit=np.array([[0.5]])), served(), "(7, 8) resource 0"),
    "more servers than the offer": (one_of_each(), served(servers=np.array([4])), "(7, 8) servers above offer_max"),
    "a server at a closed site": (one_of_each(), served(open=np.array([False])), "closed site"),
    "more sent than the uplink carries": (
        one_of_each(out_mbps=np.array([8.0]), uplink_mbps=np.array([6.0])),
        served(),
        "(9) uplink in slice 0",
    ),
    "more received than the downlink carries": (
        one_of_each(in_mbps=np.array([8.0]), downlink_mbps=np.array([6.0])),
        served(),
        "(9) downlink in slice 0",
    ),
    "more than the stock": (
        one_of_each(limit_matrix=sp.csr_matrix(np.array([[1.0]])), limit_rhs=np.array([0.0])),
        served(),
        "(10-12) limits",
    ),
    "more than the monthly budget": (one_of_each(monthly_budget_usd=16.9), served(), "(12) monthly budget"),
    "an array of another length": (one_of_each(), served(share=np.array([1.0, 0.0])), "share has the shape"),
    "a share that is no number": (one_of_each(), served(share=np.array([np.nan])), "not finite"),
    "a negative count": (one_of_each(), served(servers=np.array([-1])), "negative"),
    "replicas in halves": (one_of_each(), served(replicas=np.array([0.5])), "replicas is of type float64"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_rule_is_named(what: str) -> None:
    problem, placement, message = BROKEN[what]
    assert any(message in line for line in violations(problem, placement)), violations(problem, placement)


def test_load_is_counted_in_each_slice_on_its_own() -> None:
    two_slices = one_of_each(
        demand_model=np.array([0, 0]),
        demand_slice=np.array([0, 1]),
        unserved_usd=np.array([100.0, 100.0]),
        out_mbps=np.array([4.0, 4.0]),
        in_mbps=np.array([0.0, 0.0]),
        uplink_mbps=np.array([5.0]),
        pair_demand=np.array([0, 1]),
        pair_block=np.array([0, 0]),
        pair_load=np.array([0.9, 0.9]),
        pair_usd=np.array([2.0, 2.0]),
    )
    both = served(share=np.array([1.0, 1.0]), unserved=np.array([0.0, 0.0]))
    assert violations(two_slices, both) == []
    same_slice = replace(two_slices, demand_slice=np.array([0, 0]))
    found = violations(same_slice, both)
    assert len(found) == 2
    assert "(4)" in found[0]
    assert "(9)" in found[1]


def test_a_limit_may_be_exceeded_by_what_floats_lose_and_no_more() -> None:
    assert violations(one_of_each(pair_load=np.array([1 + 1e-12])), served()) == []
    assert violations(one_of_each(pair_load=np.array([1 + 1e-8])), served()) != []
    assert violations(one_of_each(pair_load=np.array([1 + 1e-8])), served(), tolerance=1e-7) == []


def test_a_plan_that_loses_what_it_needs_is_no_longer_feasible() -> None:
    """Taking all servers, replicas or sites away from a plan that serves something breaks a rule."""
    tried = 0
    for seed in range(60):
        problem = random_tiny(seed)
        found = solve_exact(problem).placement
        if found is None or not found.share.any():
            continue
        tried += 1
        for name in ("open", "servers", "replicas"):
            without = replace(found, **{name: np.zeros_like(getattr(found, name))})
            assert violations(problem, without) != [], (seed, name)
    assert tried > 20
