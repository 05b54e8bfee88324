"""Jobs in the bound: each is one more demand row on blocks that take its gang's GPUs; `docs/certificate.md` (E).

Replicas that stand all day leave the same GPUs free in every slice, so what a site's jobs take is at least the largest
gang, and all gangs of the jobs that cannot but run in one slice. A job block is so many GPUs kept free; jobs that all
run in one slice share a slice of the problem, behind the real ones, and every other job has one to itself. With the
rows and blocks in place the problem is one of the usual kind, whose row of a job has to be served.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.bound.start import cold_start
from solvers.candidates import MANY_PAIRS
from solvers.problem import Problem, firsts
from solvers.rules import NO_RULES, Jobs, Reserve
from solvers.solution import Certificate, Cuts, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]

NO_MODEL = -1
"""The model of a job's row and shapes: neither cuts nor failures take these rows."""
EIGHTS = 32
"""Quarter GPUs of the largest job block: a larger gang fills several."""


def has_jobs(problem: Problem) -> bool:
    """Whether the bound of `problem` can count its jobs: replicas the same in all slices, and not too many pairs.

    Where there are very many, a copy of them costs more than jobs bring.
    """
    jobs = problem.rules.jobs
    return jobs is not None and jobs.options > 0 and not problem.follows_slices and problem.pairs <= MANY_PAIRS


@dataclass(frozen=True)
class Hosted:
    """A problem with rows and blocks for its jobs: row I + j is job `job[j]`, block b is `moved[b]`."""

    problem: Problem  # its rules are the reserve alone
    base: Problem
    job: Int  # J: those that have an option
    moved: Int  # B: the number here of every block of the base
    jobs: int  # of the base, those without any option as well

    @property
    def back(self) -> Int:
        """The block of the base that every block here is, -1 for those of jobs."""
        found = np.full(self.problem.blocks, -1)
        found[self.moved] = np.arange(len(self.moved))
        return found


def with_jobs(problem: Problem) -> Hosted:
    """`problem` with a row for every job that has an option, and blocks where these may run."""
    jobs = problem.rules.jobs
    assert jobs is not None
    job, at = np.unique(jobs.option_job, return_inverse=True)
    row, count = at.reshape(-1), len(job)
    label = _labels(jobs, row, count)
    shapes = np.unique(np.stack([jobs.option_gpu, jobs.option_size]), axis=1)
    blocks = _blocks(problem, jobs, row, label, shapes)
    pairs = _pairs(jobs, row, shapes, blocks)
    wider, moved, mine = _with_blocks(problem, shapes, blocks)
    own = moved[problem.pair_block].astype(problem.pair_block.dtype) if problem.blocks else problem.pair_block
    nothing = np.zeros(count)
    hosted = replace(
        wider,
        demand_model=_after(problem.demand_model, np.full(count, NO_MODEL)),
        demand_slice=_after(problem.demand_slice, max(problem.slices, 1) + label),
        unserved_usd=_after(problem.unserved_usd, np.full(count, np.inf)),
        out_mbps=_after(problem.out_mbps, nothing),
        in_mbps=_after(problem.in_mbps, nothing),
        pair_demand=_after(problem.pair_demand, problem.demands + pairs.row),
        pair_block=_after(own, mine[pairs.block]),
        pair_load=_after(problem.pair_load, problem.capacity_factor * pairs.load),
        pair_usd=_after(problem.pair_usd, pairs.usd),
    )
    reserve = problem.rules.reserve
    if reserve is not None:
        hosted = replace(hosted, rules=replace(NO_RULES, reserve=_moved(reserve, problem, hosted, own, moved)))
    return Hosted(hosted, problem, job, moved, jobs.jobs)


def _after(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
    """Both, in the type of the first."""
    return np.concatenate([old, new.astype(old.dtype)])


def _with_blocks(problem: Problem, shapes: Int, blocks: "_Blocks") -> tuple[Problem, Int, Int]:
    """The problem, without rules and pairs, with job blocks; where its own went, and where these are."""
    site = _after(problem.block_site, blocks.site)
    order = np.lexsort((_after(problem.block_shape, blocks.shape), site))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    none = np.full(len(blocks.site), -1)

    def both(old: NDArray[Any], new: Int) -> NDArray[Any]:
        return _after(old, new)[order]

    wider = replace(
        problem,
        shape_gpu=_after(problem.shape_gpu, shapes[0]),
        shape_quarters=_after(problem.shape_quarters, shapes[1]),
        shape_model=_after(problem.shape_model, np.full(shapes.shape[1], NO_MODEL)),
        block_site=site[order],
        block_shape=both(problem.block_shape, blocks.shape),
        block_max=both(problem.block_max, blocks.most),
        block_choice=both(problem.block_choice, none),
        block_slice=None if problem.block_slice is None else both(problem.block_slice, none),
        replica_usd=None if problem.replica_usd is None else both(problem.replica_usd, np.zeros_like(none)),
        pair_demand=problem.pair_demand[:0],
        pair_block=problem.pair_block[:0],
        pair_load=problem.pair_load[:0],
        pair_usd=problem.pair_usd[:0],
        rules=NO_RULES,
    )
    return wider, number[: problem.blocks], number[problem.blocks :]


@dataclass(frozen=True)
class _Blocks:
    """Job blocks, sorted by site, then shape."""

    site: Int
    shape: Int  # in the numbering of the whole problem
    most: Int
    kind: Int  # shape among those of jobs


@dataclass(frozen=True)
class _Pairs:
    """Sorted by row, then block."""

    row: Int
    block: Int
    load: Float
    usd: Float


def _labels(jobs: Jobs, row: Int, count: int) -> Int:
    """The slice of every job's row behind the real ones: shared by jobs that each run in one real slice always.

    Of the slices that a job cannot do without, the one that takes most quarter GPUs altogether, the first of equals.
    """
    slices = jobs.option_slices.shape[1]
    always = np.ones((count, slices), np.bool_)
    np.logical_and.at(always, row, jobs.option_slices)
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, row, jobs.option_quarters)
    taken = (always * least[:, None]).sum(axis=0)
    chosen = np.where(always, taken, -1).argmax(axis=1)
    own = slices + np.arange(count)
    return np.unique(np.where(always.any(axis=1), chosen, own), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _blocks(problem: Problem, jobs: Jobs, row: Int, label: Int, shapes: Int) -> _Blocks:
    """One for every size of gang at a site; as many as the jobs of one slice could fill."""
    kinds = shapes.shape[1]
    key = np.unique(jobs.option_site * kinds + _kind(jobs, shapes))
    site, kind = key // kinds, key % kinds
    gpu, size = shapes[:, kind]
    most = np.zeros((len(key), int(label.max()) + 1), np.int64)
    each = np.unique(np.stack([jobs.option_site, jobs.option_gpu, row, jobs.option_quarters], axis=1), axis=0)
    last = np.append((each[1:, :3] != each[:-1, :3]).any(axis=1), True)  # the largest gang that it has there
    for p, g, j, quarters in each[last]:
        most[(site == p) & (gpu == g), label[j]] += quarters
    return _Blocks(site, len(problem.shape_gpu) + kind, np.maximum(most.max(axis=1) // size, 1), kind)


def _kind(jobs: Jobs, shapes: Int) -> Int:
    """Which of the job shapes an option's gang is made of, A."""
    wide = EIGHTS + 1
    return np.searchsorted(shapes[0] * wide + shapes[1], jobs.option_gpu * wide + jobs.option_size).astype(np.int64)


def _pairs(jobs: Jobs, row: Int, shapes: Int, blocks: _Blocks) -> _Pairs:
    """Options on all blocks of their GPU at their site that are large enough; the cheapest of those that are alike."""
    first = firsts(blocks.site, int(max(blocks.site.max(), jobs.option_site.max())) + 1)
    count = (first[1:] - first[:-1])[jobs.option_site]
    option = np.repeat(np.arange(jobs.options), count)
    block = np.arange(len(option)) - np.repeat(np.cumsum(count) - count, count) + first[:-1][jobs.option_site][option]
    gpu, size = shapes[:, blocks.kind[block]]
    fits = (gpu == jobs.option_gpu[option]) & (size >= jobs.option_size[option])
    option, block, size = option[fits], block[fits], size[fits]
    key, at = np.unique(row[option] * len(blocks.site) + block, return_inverse=True)
    load, usd = np.full(len(key), np.inf), np.full(len(key), np.inf)
    np.minimum.at(load, at, jobs.option_quarters[option] / size)
    np.minimum.at(usd, at, jobs.option_usd[option])
    return _Pairs(key // len(blocks.site), key % len(blocks.site), load, usd)


def _moved(reserve: Reserve, problem: Problem, hosted: Problem, own: NDArray[Any], moved: Int) -> Reserve:
    """The reserve in the new numbering; arrays that are those of the pairs stay so, for what is asked of both."""
    names = ("pair_demand", "pair_block", "pair_load")
    if all(getattr(reserve, name) is getattr(problem, name) for name in names):
        return replace(reserve, **{name: getattr(hosted, name) for name in names})
    same = reserve.pair_block is problem.pair_block
    return replace(reserve, pair_block=own if same else moved[reserve.pair_block])


def priced_jobs(hosted: Hosted, prices: Multipliers) -> Multipliers:
    """Prices of the base as prices of the problem with its jobs; jobs without any price at a cold one."""
    count = len(hosted.job)
    usd = prices.job_usd[hosted.job] if len(prices.job_usd) else cold_start(hosted.problem).demand_usd[-count:]
    more = np.zeros((hosted.base.sites, hosted.problem.slices - prices.uplink_usd.shape[1]))
    return replace(
        prices,
        demand_usd=np.concatenate([prices.demand_usd, usd]),
        uplink_usd=np.hstack([prices.uplink_usd, more]),
        downlink_usd=np.hstack([prices.downlink_usd, more]),
        job_usd=np.zeros(0),
    )


def with_job_rows(hosted: Hosted, known: Certificate) -> Certificate:
    """A certificate of the base as one of the problem with its jobs."""
    cuts = _renumbered(known.cuts, hosted.moved, hosted.base.demands, len(hosted.job))
    return replace(known, multipliers=priced_jobs(hosted, known.multipliers), cuts=cuts)


def without_job_rows(hosted: Hosted, found: Certificate) -> Certificate:
    """The other way: what jobs' rows pay stands by itself."""
    prices, rows, slices = found.multipliers, hosted.base.demands, max(hosted.base.slices, 1)
    usd = np.zeros(hosted.jobs)
    usd[hosted.job] = prices.demand_usd[rows:]
    prices = replace(
        prices,
        demand_usd=prices.demand_usd[:rows],
        uplink_usd=np.ascontiguousarray(prices.uplink_usd[:, :slices]),  # kernels are compiled for such
        downlink_usd=np.ascontiguousarray(prices.downlink_usd[:, :slices]),
        job_usd=usd,
    )
    return replace(found, multipliers=prices, cuts=_renumbered(found.cuts, hosted.back, rows, -len(hosted.job)))


def _renumbered(cuts: Cuts, block: Int, rows: int, more: int) -> Cuts:
    """Cuts whose blocks are numbered anew, and whose failure rows come `more` later."""
    first = rows if more > 0 else rows - more
    return replace(cuts, row=np.where(cuts.row >= first, cuts.row + more, cuts.row), block=block[cuts.block])
