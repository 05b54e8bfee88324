"""N-1 in the bound: a failure is a slice of no hours in which a domain is absent; `docs/certificate.md` (B).

When domain e has failed, all of a row that is not left unserved is served outside of e. So (e, i) is one more demand
row, in a slice of its own that it shares with the other rows of e and of its slice: its pairs are those of row i
outside of e, they cost and earn nothing, and its unserved share is that of row i. With the failure rows appended the
problem is one of the usual kind, and whatever prices, cuts or groups it works on failures too.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.problem import Index, Problem, firsts
from solvers.rules import NO_RULES, Reserve
from solvers.solution import Backup, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Survivors:
    """A problem with failure rows appended: row I + j is row `row[j]` after `domain[j]` has failed."""

    problem: Problem  # without rules
    base: Problem  # the problem itself
    domain: Int  # J
    row: Int  # J
    whose: Int  # I + J: the row whose unserved share it is

    @property
    def rows(self) -> int:
        """Rows of the problem itself, I."""
        return len(self.whose) - len(self.row)


def has_failures(problem: Problem) -> bool:
    """Whether the bound of `problem` can count its failures: N-1 as planned, replicas the same in all slices."""
    reserve = problem.rules.reserve
    return reserve is not None and reserve.policy == "planned" and not problem.follows_slices


def secured(problem: Problem) -> Bool:
    """E × I: rows that a failure cannot make lost: they have a backup pair outside of the domain, or no pair inside."""
    reserve = _reserve(problem)
    found = np.ones((reserve.domains, problem.demands), np.bool_)
    found[:, problem.demand_model < 0] = False  # jobs wait
    site, domain = np.nonzero(reserve.domain_site.T)
    _strike_lost(
        problem.row_first, problem.pair_block, firsts(reserve.pair_demand, problem.demands), reserve.pair_block,
        problem.block_site, np.searchsorted(site, np.arange(problem.sites + 1)), domain, found,
    )  # fmt: skip
    return found


@njit(cache=True, nogil=True)
def _strike_lost(
    first: Int, block: Index, spare_first: Int, spare_block: Index, block_site: Int, domain_first: Int, domain: Int,
    secure: Bool,
) -> None:  # fmt: skip
    """Strike what a domain may lose: it holds a site that may serve the row, and all that may back it up. E × I.

    Blocks are sorted by site, so that a row's pairs at one site follow each other.
    """
    inside = np.zeros(len(secure), np.int64)  # of each domain: sites that may back the row up
    for i in range(len(first) - 1):
        sites = 0
        last = -1
        for n in range(spare_first[i], spare_first[i + 1]):
            p = block_site[spare_block[n]]
            if p != last:
                last = p
                sites += 1
                for k in range(domain_first[p], domain_first[p + 1]):
                    inside[domain[k]] += 1
        last = -1
        for n in range(first[i], first[i + 1]):
            p = block_site[block[n]]
            if p != last:
                last = p
                for k in range(domain_first[p], domain_first[p + 1]):
                    if inside[domain[k]] == sites:
                        secure[domain[k], i] = False
        for n in range(spare_first[i], spare_first[i + 1]):
            p = block_site[spare_block[n]]
            for k in range(domain_first[p], domain_first[p + 1]):
                inside[domain[k]] = 0


def with_failures(problem: Problem, domain: Int, row: Int, *, secure: bool = False) -> Survivors:
    """`problem` and what its rows `row` need after each `domain` has failed; every (domain, row) once.

    Wires are relaxed: failure rows take none. Raises ValueError where a failure may lose the row, unless it is known
    to be `secure`.
    """
    reserve = _reserve(problem)
    if reserve.policy != "planned" or (len(row) and not secure and not secured(problem)[domain, row].all()):
        raise ValueError("a failure may lose the row, so that nothing is needed elsewhere")
    if not len(row):
        return Survivors(replace(problem, rules=NO_RULES), problem, domain, row, np.arange(problem.demands))
    pair_row, pair_block, pair_load = standing(problem, reserve)
    first = firsts(pair_row, problem.demands)
    count = (first[1:] - first[:-1])[row]
    number = np.repeat(np.arange(len(row)), count)
    pair = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count) + first[:-1][row][number]
    outside = ~reserve.domain_site[domain[number], problem.block_site[pair_block[pair]]]
    number, pair = number[outside], pair[outside]
    slices = max(problem.slices, 1)
    place = np.unique(domain * slices + problem.demand_slice[row], return_inverse=True)[1].reshape(-1)
    nothing = np.zeros(len(row))
    extended = replace(
        problem,
        demand_model=np.concatenate([problem.demand_model, problem.demand_model[row]]),
        demand_slice=np.concatenate([problem.demand_slice, slices + place]),
        unserved_usd=np.concatenate([problem.unserved_usd, problem.unserved_usd[row]]),
        out_mbps=np.concatenate([problem.out_mbps, nothing]),
        in_mbps=np.concatenate([problem.in_mbps, nothing]),
        pair_demand=_with(problem.pair_demand, problem.demands + number),
        pair_block=_with(problem.pair_block, pair_block[pair]),
        pair_load=_with(problem.pair_load, pair_load[pair]),
        pair_usd=_with(problem.pair_usd, np.zeros(len(pair))),
        rules=NO_RULES,
    )
    return Survivors(extended, problem, domain, row, np.concatenate([np.arange(problem.demands), row]))


def _with(some: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    """Both, in the type of the first: of a hundred million pairs every byte counts."""
    return np.concatenate([some, more], dtype=some.dtype, casting="same_kind")


def standing(problem: Problem, reserve: Reserve) -> tuple[Int, Int, Float]:
    """Row, block and load of all that may serve or back up, sorted, each once; the smaller load where it is both."""
    if reserve.pair_demand is problem.pair_demand and reserve.pair_block is problem.pair_block:
        if reserve.pair_load is problem.pair_load:
            return problem.pair_demand, problem.pair_block, problem.pair_load
        return problem.pair_demand, problem.pair_block, np.minimum(problem.pair_load, reserve.pair_load)
    width = max(problem.blocks, 1)
    own, spare = (pairs.pair_demand.astype(np.int64) * width + pairs.pair_block for pairs in (problem, reserve))
    if np.array_equal(own, spare):
        return problem.pair_demand, problem.pair_block, np.minimum(problem.pair_load, reserve.pair_load)
    key, at = np.unique(np.concatenate([own, spare]), return_inverse=True)
    load = np.full(len(key), np.inf)
    np.minimum.at(load, at, np.concatenate([problem.pair_load, reserve.pair_load]))
    return key // width, key % width, load


def _reserve(problem: Problem) -> Reserve:
    if problem.rules.reserve is None:
        raise ValueError("the problem has no failure domains")
    return problem.rules.reserve


def joined(problem: Problem, prices: Multipliers, survivors: Survivors) -> Multipliers:
    """Prices of `problem` as prices of its survivors: failure rows behind the others; their slices have no wires."""
    return replace(prices, demand_usd=np.concatenate([prices.demand_usd, prices.backup.usd]), backup=Backup())


def parted(problem: Problem, prices: Multipliers, survivors: Survivors) -> Multipliers:
    """Prices of survivors as prices of `problem`: the other way of `joined`."""
    return replace(
        prices,
        demand_usd=prices.demand_usd[: problem.demands],
        backup=Backup(survivors.domain, survivors.row, prices.demand_usd[problem.demands :]),
    )


def per_row(usd: Float, whose: Int | None, rows: int) -> Float:
    """What a row and its failures are worth together, I."""
    return usd if whose is None else np.bincount(whose, usd, minlength=rows).astype(np.float64)
