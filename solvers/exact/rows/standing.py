"""Rows of what stands for other reasons than demand: moves and pins (14), jobs (15)."""

import numpy as np

from solvers.exact.bounds import Most, slices_of
from solvers.exact.columns import Columns
from solvers.exact.rows.base import Rows, at_most, equal, kept, none
from solvers.problem import Int, Problem
from solvers.rules import Pins


def added(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(14) What stands beyond the replicas of before is added: y_b − added_b ≤ before_b."""
    moves = problem.rules.moves
    if moves is None:
        return none("14", "added", "b")
    block = columns.kind("added").index[0]
    row = np.arange(len(block))
    return at_most(
        "14",
        "added",
        (("b", block),),
        ((row, columns.at("replicas", block), 1.0), (row, columns.at("added", row), -1.0)),
        moves.before[block].astype(np.float64),
    )


def most_added(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(14) Replicas added in the busiest slice: Σ_{b standing in t} added_b ≤ most, every t."""
    moves = problem.rules.moves
    kind = columns.kind("added")
    if moves is None:
        return none("14", "most_added", "t")
    when, entry = _by_slice(problem, kind.index[0])
    largest = np.bincount(when, kind.upper[entry], minlength=_slices(problem))
    keys, row, stays = kept(when, largest > moves.most)
    part = (row, columns.at("added", entry[stays]), 1.0)
    return at_most("14", "most_added", (("t", _named(problem, keys)),), (part,), moves.most)


def least_pinned(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(14) A pin's least replicas in every slice: Σ_{b of q in t} y_b ≥ least_q."""
    pins = problem.rules.pins
    if pins is None:
        return none("14", "least_pinned", "q", "t")
    return _pinned(problem, columns, "least_pinned", -1.0, -pins.least)


def most_pinned(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(14) A pin's most replicas in every slice: Σ_{b of q in t} y_b ≤ most_q."""
    pins = problem.rules.pins
    if pins is None:
        return none("14", "most_pinned", "q", "t")
    return _pinned(problem, columns, "most_pinned", 1.0, pins.most)


def _pinned(problem: Problem, columns: Columns, family: str, sign: float, right: Int) -> Rows:
    """Rows sign·Σ y_b ≤ right of every pin and slice; those that no counts within the bounds break are left out."""
    pins = problem.rules.pins or Pins(right[:0], right[:0], right[:0], right[:0])
    slices = _slices(problem)
    when, entry = _by_slice(problem, pins.entry_block)
    key = pins.entry_pin[entry] * slices + when
    upper = columns.kind("replicas").upper[pins.entry_block[entry]]
    largest = np.bincount(key, upper * max(sign, 0.0), minlength=len(right) * slices)
    keys, row, stays = kept(key, largest > np.repeat(right, slices))
    part = (row, columns.at("replicas", pins.entry_block[entry[stays]]), sign)
    labels = (("q", keys // slices), ("t", _named(problem, keys % slices)))
    return at_most("14", family, labels, (part,), right[keys // slices].astype(np.float64))


def _slices(problem: Problem) -> int:
    """Slices in which other blocks may stand: one where they are the same in all."""
    return slices_of(problem) if problem.follows_slices else 1


def _named(problem: Problem, when: Int) -> Int:
    """The slice as a row's name says it: not at all where the row stands for every slice."""
    return when if problem.follows_slices else np.full(len(when), -1)


def _by_slice(problem: Problem, block: Int) -> tuple[Int, Int]:
    """(slice, entry) of every slice in which each entry of `block` stands."""
    slices = _slices(problem)
    stands = np.full(len(block), -1) if problem.block_slice is None else problem.block_slice[block]
    entry, when = np.nonzero((stands[:, None] < 0) | (stands[:, None] == np.arange(slices)))
    return when, entry


def one_option(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(15) Every job is run by exactly one of its options: Σ_{a of j} r_a = 1."""
    jobs = problem.rules.jobs
    if jobs is None:
        return none("15", "one_option", "j")
    option = np.arange(jobs.options)
    part = (jobs.option_job, columns.at("job", option), 1.0)
    return equal("15", "one_option", (("j", np.arange(jobs.jobs)),), (part,), 1.0)


def job_site(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(15) A job runs at an open site: Σ_{a of j at p} r_a ≤ open_p. Implied by (6) and (7) for whole numbers."""
    jobs = problem.rules.jobs
    if jobs is None:
        return none("15", "job_site", "j", "p")
    key = jobs.option_job * max(problem.sites, 1) + jobs.option_site
    place, row = np.unique(key, return_inverse=True)
    job, site = place // max(problem.sites, 1), place % max(problem.sites, 1)
    return at_most(
        "15",
        "job_site",
        (("j", job), ("p", site)),
        (
            (row, columns.at("job", np.arange(jobs.options)), 1.0),
            (np.arange(len(place)), columns.at("open", site), -1.0),
        ),
    )
