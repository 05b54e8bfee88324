"""Rows of what fits in the GPUs of a site, and of its operating points (6)."""

from dataclasses import dataclass

import numpy as np

from solvers.exact.bounds import Most, gpu_types, slices_of
from solvers.exact.columns import Columns, excludes_others
from solvers.exact.rows.base import Part, Rows, at_most
from solvers.problem import Bool, Int, Problem

_SIZES = (1, 8, 16, 32)
"""Quarter GPUs: all, and replicas of 2, 4 and 8 GPUs, which need a server that large."""


def gpus(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(6) Replicas and gangs fit in the GPUs of servers that are large enough.

    For each site, GPU type, slice and size s:
    Σ_{quarters ≥ s} quarters·y_b + Σ_{a in t, size ≥ s} quarters·r_a ≤ Σ_{4·gpus ≥ s} 4·gpus·s_o.
    A size is left out where another one says more: the same servers but more replicas, or the same replicas
    but fewer servers. A slice is, where nothing stands that other slices do not have; with no such thing at all
    one row stands for every slice.
    """
    types, slices = gpu_types(problem), _slices(problem)
    takers, held = _takers(problem, columns, types, slices), 4 * problem.server_gpus[problem.offer_server]
    offer_key = problem.offer_site * types + problem.server_gpu[problem.offer_server]
    keys = problem.sites * types
    wanted = _wanted(takers, [np.bincount(offer_key[held >= size], minlength=keys) for size in _SIZES], keys, slices)
    parts: list[Part] = []
    labels: list[tuple[Int, Int]] = []
    start = 0
    for level, size in enumerate(_SIZES):
        number = np.where(wanted[level], start + np.cumsum(wanted[level]).reshape(keys, slices) - 1, -1)
        parts.extend(taker.entries(number, size) for taker in takers)
        offer = np.flatnonzero(held >= size)
        row = number[offer_key[offer]]
        at, number_of = np.nonzero(row >= 0)
        offer = offer[at]
        parts.append((row[at, number_of], columns.at("servers", offer), -held[offer].astype(np.float64)))
        # A row that stands for every slice names none.
        changing = sum(taker.counts(keys, slices, size) for taker in takers if not taker.always) > 0
        key, when = np.nonzero(wanted[level])
        labels.append((key, np.where(np.broadcast_to(changing, (keys, slices))[key, when], when, -1)))
        start += len(key)
    place = np.concatenate([key for key, _ in labels])
    when = np.concatenate([when for _, when in labels])
    sizes = np.repeat(_SIZES, [len(key) for key, _ in labels])
    names = (("p", place // types), ("g", place % types), ("s", sizes), ("t", when))
    return at_most("6", "gpus", names, tuple(parts))


@dataclass(frozen=True)
class _Takers:
    """What takes GPUs: the columns, where (site·types + GPU type) and when each stands, and how much it takes."""

    column: Int
    key: Int
    quarters: Int
    size: Int  # the largest size row that it enters
    slices: Bool  # × T
    always: bool  # all of them stand in every slice

    def counts(self, keys: int, slices: int, size: int) -> Int:
        """How many enter the row of each (key, slice) and `size`, keys × T."""
        large = np.flatnonzero(self.size >= size)
        at, when = np.nonzero(self.slices[large])
        return np.bincount(self.key[large][at] * slices + when, minlength=keys * slices).reshape(keys, slices)

    def entries(self, number: Int, size: int) -> Part:
        """Entries of the rows `number` (keys × T, -1 for none)."""
        large = np.flatnonzero(self.size >= size)
        row = np.where(self.slices[large], number[self.key[large]], -1)
        at, when = np.nonzero(row >= 0)
        taker = large[at]
        return row[at, when], self.column[taker], self.quarters[taker].astype(np.float64)


def _slices(problem: Problem) -> int:
    """Slices that have to be told apart: one where nothing changes between them."""
    return slices_of(problem) if problem.follows_slices or problem.rules.jobs is not None else 1


def _takers(problem: Problem, columns: Columns, types: int, slices: int) -> list[_Takers]:
    """Blocks that stand in every slice, those of one slice, and gangs of jobs."""
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    result = []
    for chosen, always in ((stands < 0, True), (stands >= 0, False)):
        block = np.flatnonzero(chosen)
        shape = problem.block_shape[block]
        quarters = problem.shape_quarters[shape]
        there = np.ones((len(block), slices), np.bool_) if always else stands[block, None] == np.arange(slices)
        key = problem.block_site[block] * types + problem.shape_gpu[shape]
        result.append(_Takers(columns.at("replicas", block), key, quarters, quarters, there, always))
    jobs = problem.rules.jobs
    if jobs is not None:
        runs = np.zeros((jobs.options, slices), np.bool_)
        runs[:, : jobs.option_slices.shape[1]] = jobs.option_slices
        key = jobs.option_site * types + jobs.option_gpu
        column = columns.at("job", np.arange(jobs.options))
        result.append(_Takers(column, key, jobs.option_quarters, jobs.option_size, runs, False))
    return result


def _wanted(takers: list[_Takers], servers: list[Int], keys: int, slices: int) -> list[Bool]:
    """Which (key, slice) have a row, for every size; each row left out is implied by one that is kept."""
    nothing = np.zeros((keys, slices), np.int64)
    taken = [sum((taker.counts(keys, slices, size) for taker in takers), start=nothing) for size in _SIZES]
    result = []
    for level, size in enumerate(_SIZES):
        wanted = taken[level] > 0
        for other in range(len(_SIZES)):
            same = (servers[other] == servers[level])[:, None]
            if other < level:
                wanted &= ~same
            elif other > level:
                wanted &= (taken[other] != taken[level]) | same
        changing = sum((taker.counts(keys, slices, size) for taker in takers if not taker.always), start=nothing) > 0
        one = ~changing.any(axis=1, keepdims=True) & (np.arange(slices) == 0)
        result.append(wanted & (changing | one))
    return result


def _choosing(problem: Problem, columns: Columns) -> tuple[Int, Int]:
    """Blocks that exclude others, and the column that says whether each is in use."""
    block = np.flatnonzero(excludes_others(problem))
    chosen = columns.find("choice", problem.blocks)[block]
    return block, np.where(chosen >= 0, chosen, columns.at("replicas", block))


def operating_point(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(6) Replicas stand only at the operating point in use: y_b ≤ most_b·choice_b."""
    block = columns.kind("choice").index[0]
    row = np.arange(len(block))
    return at_most(
        "6",
        "operating_point",
        (("b", block),),
        (
            (row, columns.at("replicas", block), 1.0),
            (row, columns.at("choice", row), -most.replicas[block].astype(np.float64)),
        ),
    )


def one_operating_point(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(6) One operating point at most of each choice, and none at a closed site: Σ_{b of c} choice_b ≤ open_p."""
    block, column = _choosing(problem, columns)
    choice, first, row = np.unique(problem.block_choice[block], return_index=True, return_inverse=True)
    site = problem.block_site[block[first]]
    return at_most(
        "6",
        "one_operating_point",
        (("c", choice),),
        ((row, column, 1.0), (np.arange(len(choice)), columns.at("open", site), -1.0)),
    )
