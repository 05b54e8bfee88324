"""The solver on the core of a problem: the same optimum as the whole model, sooner."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from reference import reference_data
from small import one_of_each
from thorough import seeds

from solvers.bound.ascent import cold_start
from solvers.check import violations
from solvers.exact import solve_core, solve_exact
from solvers.exact.probing import COLD_STEP, Core, Probe, fewest_sites, most_sites, probe, whole_core
from solvers.exact.reduction import reduced, tightened
from solvers.instances.facility import _problem, published, read_facility
from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.solution import Multipliers, Status


def facility(
    seed: int, *, sites: int = 12, rows: int = 25, single_source: bool = False, whole: bool = False
) -> Problem:
    """A random facility problem in the plane; every row must be served, capacities are about three times the demand."""
    draw = np.random.default_rng(seed)
    demand, capacity = draw.uniform(5, 35, rows).round(), draw.uniform(60, 160, sites).round()
    place, where = draw.random((rows, 2)), draw.random((sites, 2))
    usd = np.linalg.norm(place[:, None] - where[None], axis=2) * demand[:, None] * 10
    usd = usd.round() if whole else usd
    return _problem(
        draw.uniform(200, 500, sites).round(), demand[:, None] / capacity, usd,
        sp.csr_matrix((0, sites)), np.empty(0), single_source,
    )  # fmt: skip


def p_median(seed: int, medians: int = 3, nodes: int = 25) -> Problem:
    """Serve `nodes` random points of the plane from the best `medians` of them, at whole distances."""
    place = np.random.default_rng(seed).random((nodes, 2))
    usd = np.linalg.norm(place[:, None] - place[None], axis=2)
    usd = np.round(100 * usd)
    row = sp.csr_matrix(np.ones((1, nodes)))
    return _problem(np.zeros(nodes), np.zeros((nodes, nodes)), usd, row, np.array([float(medians)]), False)


def _same(problem: Problem, what: object) -> None:
    exact, core = solve_exact(problem, gap=1e-9), solve_core(problem, gap=1e-9)
    assert core.status == exact.status, (what, core.message)
    if exact.placement is not None:
        assert core.placement is not None
        assert core.objective_usd == pytest.approx(exact.objective_usd, rel=1e-6, abs=1e-6), what
        assert core.bound_usd <= exact.objective_usd + 1e-6 * max(1.0, abs(exact.objective_usd)), what
        assert violations(problem, core.placement) == [], what


@pytest.mark.parametrize("first", seeds(range(0, 100, 25), range(0, 50, 25)))
def test_the_core_of_random_tiny_problems_has_the_optimum_of_the_whole_model(first: int) -> None:
    for seed in range(first, first + 25):
        _same(random_tiny(seed), seed)


@pytest.mark.parametrize("single_source", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_facility_problems_reach_the_optimum_of_the_whole_model(single_source: bool, whole: bool) -> None:
    for seed in range(5):
        _same(facility(seed, sites=9, rows=18, single_source=single_source, whole=whole), seed)


def test_p_medians_reach_the_optimum_of_the_whole_model() -> None:
    for seed in range(5):
        _same(p_median(seed, medians=2 + seed), seed)


def _probed(problem: Problem) -> tuple[Core, Probe]:
    whole = whole_core(problem)
    return whole, probe(whole, cold_start(problem), step=COLD_STEP, sweeps=300)


@pytest.mark.parametrize("single_source", [False, True])
def test_a_core_just_above_the_optimum_keeps_an_optimal_plan(single_source: bool) -> None:
    """The optimum of the reduced problem, solved without its counts and decided sites, is that of the whole."""
    for seed in seeds(range(8), range(4)):
        problem = facility(seed, sites=9, rows=18, single_source=single_source)
        best = solve_exact(problem, gap=1e-9).objective_usd
        whole, probed = _probed(problem)
        left = reduced(whole, probed, best + 1e-4)
        assert left is not None, seed
        left, _ = tightened(left, probed.multipliers, best + 1e-4)
        assert left is not None, seed
        assert left.problem.pairs < problem.pairs, seed
        found = solve_exact(left.problem, gap=1e-9)
        assert found.objective_usd == pytest.approx(best, rel=1e-6), seed
        assert found.placement is not None
        assert left.least <= found.placement.open.sum() <= left.most, seed
        assert (found.placement.open >= left.opened).all(), seed
        assert not (found.placement.open & left.closed).any(), seed


def test_every_probed_bound_lies_below_the_optimum_with_that_site_forced() -> None:
    """Closing a site: its block taken away. Opening it: free to open, and paid for in any case."""
    for seed in range(3):
        problem = facility(seed, sites=7, rows=12)
        _, probed = _probed(problem)
        for site in range(problem.sites):
            shut = replace(problem, block_max=np.where(np.arange(problem.sites) == site, 0, problem.block_max))
            assert probed.closed_usd[site] <= solve_exact(shut, gap=1e-9).objective_usd * (1 + 1e-6), (seed, site)
            assert probed.opened_usd[site] <= _with(problem, site) * (1 + 1e-6), (seed, site)


def _with(problem: Problem, site: int) -> float:
    """The optimum with `site` open: its cost is paid in any case."""
    free = replace(problem, open_usd=np.where(np.arange(problem.sites) == site, 0.0, problem.open_usd))
    return solve_exact(free, gap=1e-9).objective_usd + float(problem.open_usd[site])


def test_every_probed_pair_bound_lies_below_the_optimum_with_that_pair_used() -> None:
    for seed in range(3):
        problem = facility(seed, sites=5, rows=8, single_source=True)
        _, probed = _probed(problem)
        for pair in range(problem.pairs):
            others = (problem.pair_demand == problem.pair_demand[pair]) & (np.arange(problem.pairs) != pair)
            used = replace(problem, pair_load=np.where(others, 10.0, problem.pair_load))  # more than any site holds
            found = solve_exact(used, gap=1e-9)
            if found.placement is not None:
                assert probed.served_usd[pair] <= found.objective_usd * (1 + 1e-6), (seed, pair)
        assert np.isfinite(probed.served_usd).any(), seed


def test_fewest_sites_are_those_that_a_hand_counts() -> None:
    """Demands 3, 5 and 4 against capacities 7, 6 and 5: two sites carry 13 ≥ 12, one does not."""
    load = np.array([3.0, 5.0, 4.0])[:, None] / np.array([7.0, 6.0, 5.0])
    problem = _problem(np.ones(3), load, np.ones((3, 3)), sp.csr_matrix((0, 3)), np.empty(0), False)
    assert fewest_sites(problem) == 2
    assert fewest_sites(replace(problem, unserved_usd=np.full(3, 9.0))) == 0
    assert fewest_sites(replace(problem, block_max=np.array([0, 1, 1]))) == 3  # 11 < 12: not even all of them


def test_most_sites_are_those_that_a_limit_pays_for() -> None:
    problem = _problem(
        np.ones(3), np.ones((1, 3)), np.ones((1, 3)), sp.csr_matrix([[2.0, 3.0, 4.0]]), np.array([5.0]), False
    )
    assert most_sites(problem) == 2
    assert most_sites(replace(problem, open_usd=np.array([1.0, -1.0, 1.0]))) == 3


def test_a_threshold_below_the_optimum_leaves_no_core_or_one_without_a_plan() -> None:
    problem = facility(1)
    best = solve_exact(problem, gap=1e-9).objective_usd
    whole, probed = _probed(problem)
    left = reduced(whole, probed, probed.bound_usd - 1)
    assert left is None
    left = reduced(whole, probed, best * (1 - 1e-3))
    if left is not None:
        left, _ = tightened(left, probed.multipliers, best * (1 - 1e-3))
    assert left is None or not solve_exact(left.problem, gap=1e-9).objective_usd < best * (1 - 1e-6)


def test_a_problem_without_a_plan_is_not_tried_at_ever_dearer_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as far above the bound each time, up to what a plan can cost and not up to the largest float."""
    thresholds: list[float] = []

    def counted(core: Core, multipliers: Multipliers, usd: float, **until: float) -> tuple[Core | None, Multipliers]:
        thresholds.append(usd)
        return tightened(core, multipliers, usd, **until)

    monkeypatch.setattr("solvers.exact.core.tightened", counted)
    assert solve_core(random_tiny(20), gap=1e-9).status == Status.INFEASIBLE
    assert len(thresholds) < 40
    assert np.isinf(thresholds[-1])
    assert max(thresholds[:-1]) < 1e4


def test_a_plan_given_at_the_start_is_never_made_worse_and_a_broken_one_is_refused() -> None:
    problem = facility(2)
    best = solve_exact(problem, gap=1e-9)
    assert best.placement is not None
    short = solve_core(problem, start=best.placement, sweeps=1, time_limit_s=0.01)
    assert short.objective_usd == pytest.approx(best.objective_usd)
    assert short.bound_usd <= best.objective_usd
    with pytest.raises(ValueError, match="the start breaks a rule"):
        solve_core(problem, start=replace(best.placement, servers=best.placement.servers * 0))
    with pytest.raises(ValueError, match="backend 'gurobi' is none of"):
        solve_core(one_of_each(), backend="gurobi")


@pytest.mark.parametrize("single_source", [False, True])
def test_orlib_cap_instances_reach_the_published_optimum(single_source: bool) -> None:
    for number in seeds((2, 7, 12, 17, 23), (2, 12, 23)):
        path = reference_data() / "facility" / "orlib_cap" / f"p{number}"
        found = solve_core(read_facility(path, single_source=single_source), gap=1e-7)
        assert found.status == Status.OPTIMAL, number
        assert found.objective_usd == pytest.approx(published(path, single_source=single_source), abs=0.011), number


@pytest.mark.parametrize("number", seeds([1, 5, 9], [5]))
def test_capa_capb_and_capc_reach_the_published_optimum(number: int) -> None:
    path = reference_data() / "facility" / "orlib_capabc" / f"p{number}.gz"
    found = solve_core(read_facility(path, single_source=False))
    assert found.status == Status.OPTIMAL
    assert found.objective_usd == pytest.approx(published(path, single_source=False), abs=0.011)
