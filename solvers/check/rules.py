"""The rules of `solvers.rules`, restated on a placement with plain numpy; each yields one line per rule broken."""

from collections.abc import Iterator

import numpy as np

from solvers.problem import Bool, Float, Int, Problem
from solvers.rules import Total
from solvers.solution import Placement, added, peak_mbps

_SHOWN = 3
"""Offenders named in one message; the rest are counted."""


def exceeded(what: str, left: Float | Int, right: Float | Int, tolerance: float) -> Iterator[str]:
    """One line when left ≤ right fails somewhere; an infinite right never fails."""
    room = tolerance * np.maximum(1.0, np.abs(np.where(np.isfinite(right), right, 1.0)))
    bad = np.flatnonzero(left > right + room)
    if len(bad):
        named = ", ".join(f"row {k}: {left[k]:.12g} > {right[k]:.12g}" for k in bad[:_SHOWN])
        yield f"{what} broken {len(bad)} times ({named})"


def all_slices(problem: Problem) -> int:
    """Slices that demand, replicas or jobs speak of, one at least."""
    jobs = problem.rules.jobs
    of_blocks = 0 if problem.block_slice is None else int(problem.block_slice.max(initial=-1)) + 1
    return max(1, problem.slices, of_blocks, 0 if jobs is None else jobs.option_slices.shape[1])


def standing(problem: Problem, number: int) -> Bool:
    """Blocks that stand in a slice, B."""
    if problem.block_slice is None:
        return np.ones(problem.blocks, np.bool_)
    return np.asarray((problem.block_slice < 0) | (problem.block_slice == number), np.bool_)


def running(problem: Problem, placement: Placement, number: int) -> Int:
    """The job options that run in a slice."""
    jobs = problem.rules.jobs
    if jobs is None or number >= jobs.option_slices.shape[1]:
        return np.empty(0, np.int64)
    return np.asarray(placement.jobs[jobs.option_slices[placement.jobs, number]], np.int64)


def job_misfits(problem: Problem, placement: Placement) -> Iterator[str]:
    """What keeps `placement.jobs` from being read as one option for every job."""
    jobs = problem.rules.jobs
    count = 0 if jobs is None else jobs.jobs
    chosen = placement.jobs
    if chosen.shape != (count,):
        yield f"jobs has the shape {chosen.shape}, not ({count},)"
    elif chosen.dtype.kind != "i":
        yield f"jobs is of type {chosen.dtype}"
    elif jobs is not None and ((chosen < 0) | (chosen >= jobs.options)).any():
        yield f"jobs points outside of the {jobs.options} options"
    elif jobs is not None and (jobs.option_job[chosen] != np.arange(count)).any():
        yield "(15) a job is run by an option of another job"


def job_sites(problem: Problem, placement: Placement, _: float) -> Iterator[str]:
    """(15) No job at a closed site; its gang's GPUs are counted with the replicas (6)."""
    jobs = problem.rules.jobs
    if jobs is not None:
        closed = np.flatnonzero(~placement.open[jobs.option_site[placement.jobs]])
        if len(closed):
            yield f"(15) {len(closed)} jobs run at a closed site, job {closed[0]} first"


def moves(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    """(14) Replicas added in every slice."""
    rule = problem.rules.moves
    if rule is not None:
        more = added(problem, placement.replicas)
        total = np.array([more[standing(problem, number)].sum() for number in range(all_slices(problem))], np.float64)
        yield from exceeded("(14) replicas added in a slice", total, np.full(len(total), rule.most), tolerance)


def pins(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    """(14) Replicas of every pin in every slice."""
    rule = problem.rules.pins
    if rule is None:
        return
    for number in range(all_slices(problem)):
        here = standing(problem, number)[rule.entry_block]
        total = np.zeros(len(rule.least), np.int64)
        np.add.at(total, rule.entry_pin[here], placement.replicas[rule.entry_block[here]])
        yield from exceeded(f"(14) most replicas of a pin in slice {number}", total, rule.most, tolerance)
        yield from exceeded(f"(14) least replicas of a pin in slice {number}", rule.least, total, tolerance)


def spread(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    """(1) Least share of a row at a site that serves it, and most sites of a row."""
    rule = problem.rules.spread
    if rule is None:
        return
    served = np.zeros((problem.demands, problem.sites))
    np.add.at(served, (problem.pair_demand, problem.pair_site), placement.share)
    used = served > tolerance
    smallest = np.where(used, served, np.inf).min(axis=1, initial=np.inf)
    yield from exceeded("(1) least share of a row at a site", rule.least_share, smallest, tolerance)
    most = np.where(rule.most_sites > 0, rule.most_sites, problem.sites)
    yield from exceeded("(1) most sites of a row", used.sum(axis=1), most, tolerance)


def totals(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    """Linear rows over the whole plan: carbon (16), least served share, goals already reached."""
    for total in problem.rules.totals:
        value, size = total_value(problem, placement, total)
        room = tolerance * max(size, 1.0)  # terms that cancel lose digits of their own size
        if value > total.most + room:
            yield f"({total.name}) total broken: {value:.12g} > {total.most:.12g}"


def total_value(problem: Problem, placement: Placement, total: Total) -> tuple[float, float]:
    """What a plan comes to in a total, in its own unit, and the sum of what was added, signs left out."""
    parts = [
        (total.open, placement.open),
        (total.offer, placement.servers),
        (total.pair, placement.share),
        (total.unserved, placement.unserved),
        (total.job, np.bincount(placement.jobs, minlength=0 if total.job is None else len(total.job))),
        (total.added, added(problem, placement.replicas)),
        (total.peak, peak_mbps(problem, placement.share)),
    ]
    terms = [coefficient * np.asarray(values, np.float64) for coefficient, values in parts if coefficient is not None]
    return float(sum(term.sum() for term in terms)), float(sum(np.abs(term).sum() for term in terms))


def spent_usd(problem: Problem, placement: Placement) -> float:
    """What rules beyond the daily ones cost in a month: jobs (15), moves (14), peaks (9)."""
    spent = 0.0
    if problem.rules.jobs is not None:
        spent += float(problem.rules.jobs.option_usd[placement.jobs].sum())
    if problem.rules.moves is not None:
        spent += float(problem.rules.moves.usd @ added(problem, placement.replicas))
    if problem.rules.transit is not None:
        spent += float(problem.rules.transit.usd_per_mbps @ peak_mbps(problem, placement.share))
    return spent
