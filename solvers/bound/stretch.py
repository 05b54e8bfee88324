"""Some sites of a problem by themselves: what all pairs prove is a sum over sites, so that few are needed at a time.

A stretch is a problem of its own, with all demand rows and shapes, and the sites, offers, blocks and pairs from one
site to another, numbered anew. At the prices of the whole its sites earn what they earn there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.candidates import alike
from solvers.problem import Figures, Index, Problem, firsts
from solvers.rules import NO_RULES, Reserve
from solvers.solution import Cuts, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """Sites `first` to `last` - 1 of a problem; the k-th pair is pair k + `pair_back[its row]` there."""

    problem: Problem  # its rules are the reserve alone
    first: int
    last: int
    block_back: int  # block b is block b + this
    pair_back: Int  # I

    def prices(self, whole: Multipliers) -> Multipliers:
        """Prices of the whole as prices of these sites."""
        sites = slice(self.first, self.last)
        return replace(whole, uplink_usd=whole.uplink_usd[sites], downlink_usd=whole.downlink_usd[sites])

    def cuts(self, whole: Cuts) -> Cuts:
        """Cuts of the whole, counting the blocks that are here."""
        block = whole.block - self.block_back
        here = (block >= 0) & (block < self.problem.blocks)
        count = np.concatenate([[0], np.cumsum(here)])
        return replace(whole, block=block[here], block_first=count[whole.block_first])


class Stretches:
    """A problem by stretches of sites that have at most so many pairs together, or are one site."""

    def __init__(self, problem: Problem, most_pairs: int) -> None:
        self.problem = problem
        reserve = problem.rules.reserve
        self.reserve = None if reserve is None or alike(problem) else reserve
        self.first_block = np.searchsorted(problem.block_site, np.arange(problem.sites + 1))
        self.first_offer = np.searchsorted(problem.offer_site, np.arange(problem.sites + 1))
        self.edges = _edges(site_pairs(problem), most_pairs)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """First and last site, by stretch."""
        return pairwise(self.edges)

    def stretch(self, first: int, last: int) -> Stretch:
        """The sites from `first` to `last` - 1."""
        problem = self.problem
        sites, blocks, offers = (
            slice(first, last),
            slice(*self.first_block[[first, last]].tolist()),
            slice(*self.first_offer[[first, last]].tolist()),
        )
        row, block, at, back = _pairs(problem.row_first, problem.pair_block, blocks)
        load = _copied(problem.pair_load, at)
        part = replace(
            problem,
            open_usd=problem.open_usd[sites],
            uplink_mbps=problem.uplink_mbps[sites],
            downlink_mbps=problem.downlink_mbps[sites],
            site_limit=problem.site_limit[sites],
            offer_site=problem.offer_site[offers] - first,
            offer_server=problem.offer_server[offers],
            offer_max=problem.offer_max[offers],
            offer_usd=problem.offer_usd[offers],
            block_site=problem.block_site[blocks] - first,
            block_shape=problem.block_shape[blocks],
            block_max=problem.block_max[blocks],
            block_choice=problem.block_choice[blocks],
            block_slice=None if problem.block_slice is None else problem.block_slice[blocks],
            replica_usd=None if problem.replica_usd is None else problem.replica_usd[blocks],
            pair_demand=row,
            pair_block=block,
            pair_load=load,
            pair_usd=_copied(problem.pair_usd, at),
            limit_matrix=problem.limit_matrix[:, offers],
            rules=NO_RULES,
        )
        reserve = problem.rules.reserve
        if reserve is not None:
            part = replace(part, rules=replace(NO_RULES, reserve=self._reserve(reserve, part, sites, blocks)))
        return Stretch(part, first, last, blocks.start, back)

    def _reserve(self, reserve: Reserve, part: Problem, sites: slice, blocks: slice) -> Reserve:
        """The backup pairs of the sites; the same arrays where they are those of the primaries."""
        fails = np.ascontiguousarray(reserve.domain_site[:, sites])
        if self.reserve is None:
            row, block, load = part.pair_demand, part.pair_block, part.pair_load
        else:
            first = firsts(reserve.pair_demand, self.problem.demands)
            row, block, at, _ = _pairs(first, reserve.pair_block, blocks)
            load = _copied(reserve.pair_load, at)
        return replace(reserve, domain_site=fails, pair_demand=row, pair_block=block, pair_load=load)


def site_pairs(problem: Problem) -> Int:
    """Pairs of every site, P."""
    count = np.zeros(problem.sites, np.int64)
    _count(problem.pair_block, problem.block_site, count)
    return count


def _edges(count: Int, most_pairs: int) -> list[int]:
    """Where stretches begin, with the end, so that each has at most so many pairs or is one site."""
    edges, held = [0], 0
    for p, pairs in enumerate(count.tolist()):
        if held + pairs > most_pairs and p > edges[-1]:
            edges.append(p)
            held = 0
        held += pairs
    return [*edges, len(count)]


def _pairs(row_first: Int, pair_block: Index, blocks: slice) -> tuple[Index, Index, Int, Int]:
    """Row and block, numbered anew, of the pairs on some blocks; I × 2: where those of every row begin and end; I: what
    a pair's number is more there.
    """
    at = np.empty((len(row_first) - 1, 2), np.int64)
    _bound(row_first, pair_block, blocks.start, blocks.stop, at)
    count = at[:, 1] - at[:, 0]
    row = np.repeat(np.arange(len(count), dtype=np.int32), count)
    block = _copied(pair_block, at) - pair_block.dtype.type(blocks.start)
    return row, block, at, at[:, 0] - (np.cumsum(count) - count)


def _copied(values: NDArray[Any], at: Int) -> NDArray[Any]:
    """The values of every row's stretch."""
    found = np.empty(int((at[:, 1] - at[:, 0]).sum()), values.dtype)
    _copy(values, at, found)
    return found


@njit(cache=True, nogil=True)
def _count(pair_block: Index, block_site: Int, count: Int) -> None:
    """Add to `count` (P) the pairs of every site."""
    for b in pair_block:
        count[block_site[b]] += 1


@njit(cache=True, nogil=True)
def _bound(row_first: Int, pair_block: Index, low: int, high: int, at: Int) -> None:
    """Write where the pairs of every row that are on blocks low..high-1 begin and end; they are sorted by block."""
    for i in range(len(at)):
        blocks = pair_block[row_first[i] : row_first[i + 1]]
        at[i, 0] = row_first[i] + np.searchsorted(blocks, low)
        at[i, 1] = row_first[i] + np.searchsorted(blocks, high)


@njit(cache=True, nogil=True)
def _copy(values: Figures, at: Int, found: Figures) -> None:
    """Write the values of all rows' stretches one behind the other."""
    k = 0
    for i in range(len(at)):
        for n in range(at[i, 0], at[i, 1]):
            found[k] = values[n]
            k += 1
