"""A looser rule, or more of anything, never costs more; other numbers for sites and blocks change nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.exact import solve_exact
from solvers.instances.tiny_ruled import RULES, following, random_ruled, with_rule
from solvers.problem import Int, Problem
from solvers.rules import Rules
from solvers.solution import Status


def usd(problem: Problem) -> float:
    """The optimum, inf where there is no plan."""
    found = solve_exact(problem, gap=1e-9)
    assert found.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return np.inf if found.placement is None else found.objective_usd


def _more_options(problem: Problem) -> Problem:
    """The last option of every job may also run at half the price."""
    jobs = problem.rules.jobs
    assert jobs is not None
    again = np.repeat(np.arange(jobs.options), 1 + (np.diff(jobs.option_job, append=-1) != 0))
    usd = jobs.option_usd[again]
    usd[np.diff(again, prepend=-1) == 0] /= 2
    arrays = {name: getattr(jobs, name)[again] for name in
              ("option_job", "option_site", "option_gpu", "option_quarters", "option_slices")}  # fmt: skip
    return with_rule(problem, jobs=replace(jobs, **arrays, option_usd=usd))


def _looser_pins(problem: Problem) -> Problem:
    pins = problem.rules.pins
    assert pins is not None
    return with_rule(problem, pins=replace(pins, least=np.maximum(pins.least - 1, 0), most=pins.most + 1))


def _looser_moves(problem: Problem) -> Problem:
    moves = problem.rules.moves
    assert moves is not None
    return with_rule(problem, moves=replace(moves, most=moves.most + 1, before=moves.before + 1))


def _more_free(problem: Problem) -> Problem:
    transit = problem.rules.transit
    assert transit is not None
    return with_rule(problem, transit=replace(transit, free=transit.free + 0.25))


def _looser_spread(problem: Problem) -> Problem:
    spread = problem.rules.spread
    assert spread is not None
    most = np.where(spread.most_sites > 0, spread.most_sites + 1, 0)
    return with_rule(problem, spread=replace(spread, least_share=0.7 * spread.least_share, most_sites=most))


def _looser_totals(problem: Problem) -> Problem:
    return with_rule(problem, totals=tuple(replace(total, most=1.3 * total.most) for total in problem.rules.totals))


def _more_servers(problem: Problem) -> Problem:
    return replace(problem, offer_max=problem.offer_max + 1)


LOOSER: dict[str, tuple[str, Callable[[Problem], Problem]]] = {
    "more options for a job": ("jobs", _more_options),
    "pins that hold less tightly": ("pins", _looser_pins),
    "more moves, more standing before": ("moves", _looser_moves),
    "more of the day that is not counted": ("transit", _more_free),
    "smaller least shares, more sites": ("spread", _looser_spread),
    "more carbon, less served": ("totals", _looser_totals),
    "more money": ("budget", lambda problem: replace(problem, monthly_budget_usd=problem.monthly_budget_usd + 4)),
    "more servers": ("jobs", _more_servers),
    "no rule at all": ("spread", lambda problem: replace(problem, rules=Rules())),
}


@pytest.mark.parametrize("what", LOOSER)
def test_a_looser_rule_never_costs_more(what: str) -> None:
    name, loosened = LOOSER[what]
    others = ("following", "transit", "moves")
    cheaper = 0
    for seed in range(45):
        problem = random_ruled(seed, {name, *(others if seed % 2 else ())})
        tight, loose = usd(problem), usd(loosened(problem))
        assert loose <= tight + 1e-6 * max(1.0, abs(tight)) if np.isfinite(tight) else True, seed
        cheaper += loose < tight - 1e-6
    assert cheaper >= 1, "nothing was ever looser"


def test_replicas_that_follow_the_slices_never_cost_more_than_those_around_the_clock() -> None:
    cheaper = 0
    for seed in range(120):
        around = random_ruled(seed, [])
        tight, loose = usd(around), usd(following(around))
        assert loose <= tight + 1e-6 * max(1.0, abs(tight)) if np.isfinite(tight) else True, seed
        cheaper += loose < tight - 1e-6
    assert cheaper >= 3


def _relabelled(problem: Problem, draw: np.random.Generator) -> Problem:
    """The same problem with other numbers for its sites and shapes, and its offers and blocks sorted anew."""
    site, shape = draw.permutation(problem.sites), draw.permutation(len(problem.shape_gpu))
    old_site, old_shape = np.argsort(site), np.argsort(shape)
    offer = np.argsort(site[problem.offer_site], kind="stable")
    number = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    block = np.lexsort((number, shape[problem.block_shape], site[problem.block_site]))
    new_block = np.argsort(block)
    pair = np.lexsort((new_block[problem.pair_block], problem.pair_demand))
    return replace(
        problem,
        open_usd=problem.open_usd[old_site],
        uplink_mbps=problem.uplink_mbps[old_site],
        downlink_mbps=problem.downlink_mbps[old_site],
        site_limit=problem.site_limit[old_site],
        offer_site=site[problem.offer_site][offer],
        offer_server=problem.offer_server[offer],
        offer_max=problem.offer_max[offer],
        offer_usd=problem.offer_usd[offer],
        shape_gpu=problem.shape_gpu[old_shape],
        shape_quarters=problem.shape_quarters[old_shape],
        shape_model=problem.shape_model[old_shape],
        block_site=site[problem.block_site][block],
        block_shape=shape[problem.block_shape][block],
        block_max=problem.block_max[block],
        block_choice=problem.block_choice[block],
        block_slice=None if problem.block_slice is None else problem.block_slice[block],
        pair_demand=problem.pair_demand[pair],
        pair_block=new_block[problem.pair_block[pair]],
        pair_load=problem.pair_load[pair],
        pair_usd=problem.pair_usd[pair],
        limit_matrix=sp.csr_matrix(problem.limit_matrix.toarray()[:, offer]),
        rules=_rules_relabelled(problem.rules, site, offer, block, pair),
    )


def _rules_relabelled(rules: Rules, site: Int, offer: Int, block: Int, pair: Int) -> Rules:
    assert rules.jobs is not None
    assert rules.moves is not None
    assert rules.pins is not None
    assert rules.transit is not None
    old_site = np.argsort(site)
    option = np.lexsort((site[rules.jobs.option_site], rules.jobs.option_job))
    jobs = replace(
        rules.jobs,
        option_job=rules.jobs.option_job[option],
        option_site=site[rules.jobs.option_site][option],
        option_gpu=rules.jobs.option_gpu[option],
        option_quarters=rules.jobs.option_quarters[option],
        option_slices=rules.jobs.option_slices[option],
        option_usd=rules.jobs.option_usd[option],
    )
    order = {"open": old_site, "offer": offer, "pair": pair, "job": option, "added": block, "peak": old_site}
    totals = tuple(
        replace(
            total, **{name: getattr(total, name)[at] for name, at in order.items() if getattr(total, name) is not None}
        )
        for total in rules.totals
    )
    return replace(
        rules,
        jobs=jobs,
        moves=replace(rules.moves, before=rules.moves.before[block], usd=rules.moves.usd[block]),
        pins=replace(rules.pins, entry_block=np.argsort(block)[rules.pins.entry_block]),
        transit=replace(
            rules.transit, usd_per_mbps=rules.transit.usd_per_mbps[old_site], free=rules.transit.free[old_site]
        ),
        totals=totals,
    )


def test_other_numbers_for_sites_and_shapes_change_no_cost() -> None:
    compared = 0
    for seed in range(120):
        problem = random_ruled(seed, list(RULES))
        other = _relabelled(problem, np.random.default_rng(seed))
        first, second = usd(problem), usd(other)
        assert first == pytest.approx(second, rel=1e-6, abs=1e-6), seed
        compared += bool(np.isfinite(first))
    assert compared >= 15
