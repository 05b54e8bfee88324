"""A lower bound of a problem, with or without N-1 and jobs."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from solvers.bound.ascent import BoundResult, Course, ascend
from solvers.bound.backup import has_failures
from solvers.bound.backup_ascent import bound_with_failures
from solvers.bound.evaluate import Evaluator
from solvers.bound.jobs import Hosted, has_jobs, priced_jobs, with_job_rows, with_jobs, without_job_rows
from solvers.bound.layout import layout_of
from solvers.bound.wide import MANY_PAIRS_FAILING, bound_of_many
from solvers.candidates import MANY_PAIRS
from solvers.problem import Problem
from solvers.solution import Certificate, Multipliers


def lagrangian_bound(
    problem: Problem,
    *,
    sweeps: int = 600,
    start: Certificate | Multipliers | None = None,
    upper_usd: float | None = None,
    time_limit_s: float | None = None,
    threads: int = 2,
    stop: int | None = None,
    cuts: bool = True,
    interrupted: Callable[[], bool] | None = None,
    shares: bool = False,
    first_step: float | None = None,
) -> BoundResult:
    """A lower bound of `problem`, USD a month, after at most `sweeps` sweeps.

    The same number of sweeps gives the same bytes for any number of threads. `start` warms it up, with the cuts of a
    certificate (then the steps begin smaller); `upper_usd`, the cost of a known plan, ends it once the bound is there.
    `time_limit_s` and `interrupted` cut it off after a sweep. A course laid for `sweeps` that was cut off after k of
    them is repeated by the same `sweeps` and `stop` = k. `shares` asks for the averages of every pair.
    `first_step` is for a start that is nearly right: a small one does not leave it.
    Of the rules N-1 as planned (`solvers.bound.backup.has_failures`) and jobs (`solvers.bound.jobs.has_jobs`) are
    counted, the others are left out.
    """
    upper = np.inf if upper_usd is None else upper_usd
    course = Course(sweeps, stop, upper, cuts, time.monotonic(), time_limit_s, interrupted, first_step)
    if has_jobs(problem):
        hosted = with_jobs(problem)
        if isinstance(start, Certificate):
            start = with_job_rows(hosted, start)
        elif start is not None:
            start = priced_jobs(hosted, start)
        return _parted(hosted, _bound(hosted.problem, course, threads, start, shares=shares))
    return _bound(problem, course, threads, _without_jobs(start), shares=shares)


def _without_jobs(start: Certificate | Multipliers | None) -> Certificate | Multipliers | None:
    """Without prices of jobs: where these are not counted, they prove nothing."""
    if isinstance(start, Certificate):
        return replace(start, multipliers=replace(start.multipliers, job_usd=np.zeros(0)))
    return None if start is None else replace(start, job_usd=np.zeros(0))


def _bound(
    problem: Problem, course: Course, threads: int, start: Certificate | Multipliers | None, *, shares: bool
) -> BoundResult:
    """The same once jobs are rows like others."""
    failing = has_failures(problem)
    if problem.pairs > (MANY_PAIRS_FAILING if failing else MANY_PAIRS):
        return bound_of_many(problem, course, threads, start)
    if failing:
        return bound_with_failures(problem, course, threads, start, shares=shares)
    with Evaluator(layout_of(problem), threads) as evaluator:
        return ascend(evaluator, course, start, shares=shares)


def _parted(hosted: Hosted, found: BoundResult) -> BoundResult:
    """A result of the problem with its jobs as one of the base."""
    return replace(
        found,
        certificate=without_job_rows(hosted, found.certificate),
        mean_shares=found.mean_shares[: hosted.base.pairs],
        mean_replicas=found.mean_replicas[hosted.moved],
    )
