"""The model of a problem with rules: hints that keep every row, and what is refused by name."""

from dataclasses import replace

import numpy as np
import pytest
from small import one_of_each, two_sites, two_slices
from small_rules import AT_HOME, JOBS, PEAK, only, pin

from solvers.check import violations
from solvers.exact import best_flow, build_model, solve_core, solve_exact
from solvers.exact.bounds import most
from solvers.exact.start import greedy, rounded
from solvers.exact.values import vector
from solvers.instances.tiny_ruled import RULES, random_ruled
from solvers.problem import Problem
from solvers.rules import Moves, Spread, Total, Transit
from solvers.solution import cost_usd, peak_mbps


@pytest.mark.parametrize("names", [(name,) for name in RULES] + [tuple(RULES)])
def test_a_plan_as_a_vector_keeps_every_row_and_costs_what_it_costs(names: tuple[str, ...]) -> None:
    tried = 0
    for seed in range(40 if len(names) == 1 else 120):
        problem = random_ruled(seed, names)
        placement = solve_exact(problem, gap=1e-9).placement
        if placement is None:
            continue
        tried += 1
        model = build_model(problem)
        values = vector(model, problem, placement)
        activity = model.matrix @ values
        assert (activity <= model.row_upper + 1e-7).all(), seed
        assert (activity >= model.row_lower - 1e-7).all(), seed
        assert (values >= model.lower).all()
        assert (values <= model.upper).all()
        # The last digits of shares stand beside prices of up to 80 USD.
        assert model.cost @ values + model.offset_usd == pytest.approx(cost_usd(problem, placement), abs=1e-6), seed
    assert tried >= 10


def test_servers_and_replicas_that_a_job_or_a_pin_needs_are_not_cut_off() -> None:
    """Half a replica of demand needs one server; the job's two GPUs in the worst case two more."""
    assert most(one_of_each()).servers.tolist() == [1]
    assert most(one_of_each(rules=only(jobs=AT_HOME))).servers.tolist() == [3]
    pinned = most(one_of_each(rules=only(pins=pin(2, 3))))
    assert pinned.replicas.tolist() == [2]
    assert pinned.servers.tolist() == [2]


def test_a_job_runs_at_its_cheapest_possible_option() -> None:
    """By hand: 10 + 5 to open either site and hold a server, 2 to serve from there; two GPUs for the job at the first
    site do not exist, so it runs at the second for 4, on a server of its own beside the replica: 5 more."""
    found = solve_exact(two_sites(rules=only(jobs=JOBS)))
    assert found.placement is not None
    assert found.placement.jobs.tolist() == [1]
    assert found.objective_usd == pytest.approx(10 + 5 + 2 + 4 + 5)
    large = two_sites(server_gpus=np.array([4]), rules=only(jobs=JOBS))
    assert solve_exact(large).objective_usd == pytest.approx(10 + 5 + 2 + 4)


def test_a_move_is_made_only_where_it_saves_more_than_it_costs() -> None:
    """A second site serves for 1 USD less; a replica stands at the first."""
    cheaper = two_sites(pair_usd=np.array([2.0, 1.0]))
    for usd, site in ((0.5, 1), (1.5, 0)):
        moves = Moves(np.array([1, 0]), np.array([usd, usd]))
        found = solve_exact(replace(cheaper, rules=only(moves=moves))).placement
        assert found is not None
        assert found.replicas.tolist() == [1 - site, site]


def test_the_busiest_slice_within_the_free_share_is_not_paid() -> None:
    """8 and 5 Mbit/s; the first slice lasts 4 % of the day, so 95/5 pays 5, the plain peak 8."""
    for free, mbps in ((0.05, 5.0), (0.0, 8.0), (0.03, 8.0)):
        transit = Transit(np.array([1.0]), np.array([free]), np.array([0.04, 0.96]))
        problem = two_slices(rules=only(transit=transit))
        found = solve_exact(problem)
        assert found.placement is not None
        assert peak_mbps(problem, found.placement.share).tolist() == [mbps]
        assert found.objective_usd == pytest.approx(10 + 5 + 2 * 2 + mbps)


def test_replicas_in_a_slice_of_their_own_share_the_gpu() -> None:
    follows = two_slices(block_slice=np.array([0, 1]), pair_load=np.array([1.0, 1.0]))
    assert solve_exact(follows).objective_usd == pytest.approx(10 + 5 + 4)
    both = replace(follows, demand_slice=np.array([0, 0]), block_slice=np.array([-1, 0]))
    assert solve_exact(both).objective_usd == pytest.approx(10 + 5 + 5 + 4)


REFUSED: dict[str, Problem] = {
    "job": two_sites(rules=only(jobs=JOBS)),
    "uses": two_sites(rules=only(spread=Spread(np.array([0.5]), np.array([0])))),
    "left_out": two_slices(rules=only(transit=replace(PEAK, free=np.array([0.3])))),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_the_flow_program_refuses_what_it_cannot_decide_by_name(kind: str) -> None:
    problem = REFUSED[kind]
    counts = (np.ones(n, np.int64) for n in (problem.offers, problem.blocks))
    with pytest.raises(ValueError, match=f"'{kind}'"):
        best_flow(problem, np.ones(problem.sites, np.bool_), *counts)


@pytest.mark.parametrize("problem", [*REFUSED.values(), two_slices(block_slice=np.array([0, 1]))])
def test_the_core_solver_refuses_rules_that_its_probing_does_not_bound(problem: Problem) -> None:
    with pytest.raises(ValueError, match="solve_core takes neither"):
        solve_core(problem)


def test_cp_sat_refuses_peaks_by_name() -> None:
    with pytest.raises(ValueError, match="'peak'"):
        solve_exact(two_slices(single_source=True, rules=only(transit=PEAK)), backend="cp-sat")


@pytest.mark.parametrize("kind", ["added", "peak"])
def test_a_total_that_counts_peaks_or_moves_negatively_is_refused(kind: str) -> None:
    total = replace(Total("odd", most=1.0), **{kind: np.array([-1.0])})
    moves = Moves(np.array([0]), np.array([1.0]))
    with pytest.raises(ValueError, match=f"'odd' counts {kind} negatively"):
        build_model(two_slices(rules=only(transit=PEAK, moves=moves, totals=(total,))))


def test_the_quick_starts_keep_every_rule_and_mostly_find_a_plan() -> None:
    found = possible = 0
    for seed in range(200, 260):
        problem = random_ruled(seed, tuple(RULES)[seed % 2 :: 2])
        best, model = solve_exact(problem), build_model(problem)
        possible += best.placement is not None
        starts = [plan for plan in (greedy(problem, model), rounded(problem, model)) if plan is not None]
        found += bool(starts)
        for start in starts:
            assert violations(problem, start) == [], seed
            assert cost_usd(problem, start) >= best.bound_usd - 1e-6, seed
    assert found >= 0.6 * possible > 10
