"""Jobs in the bound: prices by hand, against loops, and against the optimum of every whole-number plan."""

from dataclasses import replace

import numpy as np
import pytest
from small import two_sites, two_slices
from small_rules import AT_HOME, JOBS, only
from thorough import seeds

from solvers.bound import lagrangian_bound
from solvers.bound.backup import has_failures
from solvers.bound.evaluate import evaluate
from solvers.bound.jobs import has_jobs, with_job_rows, with_jobs, without_job_rows
from solvers.bound.reference import reference_bound
from solvers.candidates import candidates
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.instances.tiny_ruled import RULES, random_ruled
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.rules import Jobs
from solvers.solution import Certificate, Cuts, Multipliers


def priced(problem: Problem, demand_usd: np.ndarray, job_usd: np.ndarray) -> Multipliers:
    wires = np.zeros((problem.sites, max(problem.slices, 1)))
    return Multipliers(demand_usd, wires, wires, np.zeros(len(problem.limit_rhs)), job_usd=job_usd)


def random_prices(problem: Problem, draw: np.random.Generator) -> Multipliers:
    assert problem.rules.jobs is not None
    usd = np.where(np.isfinite(problem.unserved_usd), problem.unserved_usd, 40.0)
    return priced(problem, usd * draw.uniform(0, 0.9, problem.demands), draw.uniform(-2, 40, problem.rules.jobs.jobs))


def jobs_of(gangs: list[int], slices: list[list[bool]]) -> Jobs:
    """Jobs of so many quarter GPUs at the first site, each with one way to run; they cost nothing."""
    count = len(gangs)
    nothing = np.zeros(count, np.int64)
    return Jobs(count, np.arange(count), nothing, nothing, np.array(gangs), np.array(slices), np.zeros(count))


def bound_of_jobs(jobs: Jobs, usd: list[float]) -> float:
    """At these prices of jobs alone; opening the site and a server of its GPU are what they cost there."""
    problem = two_slices(rules=only(jobs=jobs))
    return evaluate(problem, priced(problem, np.zeros(problem.demands), np.array(usd)))


def test_a_job_pays_for_its_site_and_servers() -> None:
    problem = two_slices(rules=only(jobs=jobs_of([4], [[True, True]])))
    alone = float(problem.open_usd[0] + problem.offer_usd[0])
    assert bound_of_jobs(jobs_of([4], [[True, True]]), [alone]) == pytest.approx(alone)
    assert bound_of_jobs(jobs_of([4], [[True, True]]), [alone + 7]) == pytest.approx(alone)


def test_jobs_that_run_in_the_same_slice_need_their_gpus_beside_each_other_and_others_the_largest_gang() -> None:
    problem = two_slices()
    open_usd, each = float(problem.open_usd[0]), float(problem.offer_usd[0]) / int(problem.server_gpus[0])
    apart = bound_of_jobs(jobs_of([4, 4], [[True, False], [False, True]]), [500.0, 500.0])
    together = bound_of_jobs(jobs_of([4, 4], [[True, False], [True, True]]), [500.0, 500.0])
    one, two = (np.ceil(n / problem.server_gpus[0]) * problem.server_gpus[0] * each for n in (1, 2))
    assert apart == pytest.approx(open_usd + one)
    assert together == pytest.approx(open_usd + two)


def test_the_sweep_is_the_numpy_reference_of_the_problem_with_rows_of_jobs() -> None:
    counted = 0
    for seed in range(60):
        problem, draw = random_ruled(seed, ["jobs"]), np.random.default_rng(seed)
        if not has_jobs(problem):
            continue
        prices = random_prices(problem, draw)
        hosted = with_jobs(problem)
        rows = with_job_rows(hosted, Certificate(prices)).multipliers
        assert evaluate(problem, prices) == pytest.approx(reference_bound(hosted.problem, rows), rel=1e-9, abs=1e-6)
        counted += 1
    assert counted > 40


def test_no_prices_of_jobs_prove_more_than_the_best_plan_costs() -> None:
    for seed in seeds(range(120), range(60)):
        problem, draw = random_ruled(seed, ["jobs"]), np.random.default_rng(seed)
        found = solve_exact(problem, gap=1e-9)
        least = np.inf if found.placement is None else found.objective_usd
        for _ in range(8):
            assert evaluate(problem, random_prices(problem, draw)) <= least + 1e-6, seed
        if has_jobs(problem):
            assert lagrangian_bound(problem, sweeps=60, threads=1).bound_usd <= least + 1e-6, seed


def test_several_jobs_that_share_slices_prove_no_more_than_the_best_plan_costs() -> None:
    """More jobs and larger gangs than the random problems have, on servers of eight."""
    for seed in range(60):
        draw = np.random.default_rng([seed, 3])
        problem = two_slices(server_gpus=np.array([8]), offer_max=np.array([5]), site_limit=np.full((1, 1), np.inf))
        count, ways = int(draw.integers(2, 6)), 2
        job = np.repeat(np.arange(count), ways)
        runs = draw.random((len(job), problem.slices)) < 0.6
        runs[~runs.any(axis=1), 0] = True
        gang = np.repeat(draw.choice([4, 8, 16, 32, 64, 96], count), ways)
        zero = np.zeros(len(job), np.int64)
        jobs = Jobs(count, job, zero, zero, gang, runs, draw.uniform(0, 6, len(job)).round(2))
        problem = replace(problem, rules=only(jobs=jobs))
        found = solve_exact(problem, gap=1e-9)
        least = np.inf if found.placement is None else found.objective_usd
        for scale in (10, 100, 1000):
            prices = random_prices(problem, draw)
            assert evaluate(problem, replace(prices, job_usd=scale * draw.random(count))) <= least + 1e-6, seed


def test_jobs_beside_failures_prove_no_more_than_the_best_plan_costs() -> None:
    both = 0
    for seed in range(60):
        problem = RULES["jobs"](random_reserve(seed), np.random.default_rng(seed))
        if not (has_jobs(problem) and has_failures(problem)):
            continue
        both += 1
        found = solve_exact(problem, gap=1e-9)
        least = np.inf if found.placement is None else found.objective_usd
        base = base_problem(problem, counted=True)
        bound = lagrangian_bound(base, sweeps=200, threads=1)
        assert bound.bound_usd <= least + 1e-6, seed
        again = evaluate(base, bound.multipliers, bound.certificate.cuts, covers=bound.certificate.covers)
        assert again == pytest.approx(bound.bound_usd, rel=1e-9), seed
    assert both > 30


def test_a_bound_that_counts_jobs_is_mostly_higher_than_one_that_does_not() -> None:
    higher = 0
    for seed in range(30):
        problem = random_ruled(seed, ["jobs"])
        if has_jobs(problem):
            without = lagrangian_bound(base_problem(problem), sweeps=200, threads=1).bound_usd
            higher += lagrangian_bound(problem, sweeps=200, threads=1).bound_usd > without + 1e-3
    assert higher >= 20


def test_a_warm_start_proves_again_what_its_certificate_proved() -> None:
    for seed in range(20):
        problem = RULES["jobs"](random_reserve(seed), np.random.default_rng(seed))
        if has_jobs(problem):
            first = lagrangian_bound(problem, sweeps=150, threads=1)
            again = lagrangian_bound(problem, sweeps=1, threads=1, start=first.certificate)
            assert again.bound_usd >= first.bound_usd - 1e-6 * abs(first.bound_usd), seed


def test_certificates_come_back_from_the_problem_with_jobs_as_they_went() -> None:
    problem = RULES["jobs"](random_reserve(3), np.random.default_rng(3))
    hosted, draw = with_jobs(problem), np.random.default_rng(0)
    rows = np.array([0, problem.demands - 1, problem.demands, problem.demands + 2])  # the last two are failures
    cuts = Cuts(np.ones(1), np.array([0, 4]), rows, np.full(4, 0.4), np.array([0, 1]), np.array([problem.blocks - 1]))
    known = Certificate(random_prices(problem, draw), cuts)
    there = with_job_rows(hosted, known)
    back = without_job_rows(hosted, there)
    assert there.cuts.row.tolist()[2:] == [problem.demands + len(hosted.job) + j for j in (0, 2)]
    assert back.cuts.row.tolist() == rows.tolist()
    assert back.cuts.block.tolist() == cuts.block.tolist()
    assert np.array_equal(back.multipliers.demand_usd, known.multipliers.demand_usd)
    assert np.array_equal(back.multipliers.job_usd[hosted.job], known.multipliers.job_usd[hosted.job])
    assert back.multipliers.uplink_usd.shape == known.multipliers.uplink_usd.shape


def test_jobs_are_left_out_where_replicas_follow_the_slices() -> None:
    problem = two_slices(block_slice=np.array([0, 1]), rules=only(jobs=AT_HOME))
    assert not has_jobs(problem)
    start = priced(problem, np.zeros(problem.demands), np.array([1000.0]))
    assert not len(lagrangian_bound(problem, sweeps=5, threads=1, start=start).multipliers.job_usd)


def test_candidates_keep_the_rows_of_jobs() -> None:
    hosted = with_jobs(two_sites(rules=only(jobs=JOBS))).problem
    few = candidates(hosted, np.zeros(len(hosted.limit_rhs)), np.zeros(hosted.sites, np.bool_), most=(0, 1)).problem
    assert not few.unservable.any()
