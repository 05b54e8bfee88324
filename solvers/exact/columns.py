"""Where each decision of a problem stands among the columns of its model.

The columns are kinds, one after the other. To add one: a function (problem, most) → `Kind` in `KINDS`, and rows that
hold it; its bounds, cost, names in LP files, the monthly budget and the flow program follow from what the kind says.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from solvers.exact.bounds import Most, slices_of
from solvers.problem import Bool, Float, Int, Problem
from solvers.rules import Reserve


@dataclass(frozen=True)
class Kind:
    """Columns of one kind, K of them, each ≥ 0. A flow program leaves free what is not `whole`."""

    name: str
    index: tuple[Int, ...]  # what each column is about, K numbers each: a block, or a site and a slice, …
    upper: Float  # K: finite
    usd: Float  # K: USD a month for one
    whole: bool

    @property
    def count(self) -> int:
        return len(self.upper)


@dataclass(frozen=True)
class Columns:
    """The kinds in their order; a kind that a problem does not need has no columns."""

    kinds: tuple[Kind, ...]

    @cached_property
    def _first(self) -> dict[str, int]:
        ends = np.cumsum([kind.count for kind in self.kinds]).tolist()
        return {kind.name: end - kind.count for kind, end in zip(self.kinds, ends, strict=True)}

    @property
    def count(self) -> int:
        """All columns."""
        return sum(kind.count for kind in self.kinds)

    def kind(self, name: str) -> Kind:
        """The kind of that name; KeyError if there is none."""
        return {kind.name: kind for kind in self.kinds}[name]

    def of(self, name: str) -> slice:
        """Where the columns of a kind stand."""
        return slice(self._first[name], self._first[name] + self.kind(name).count)

    def at(self, name: str, number: ArrayLike) -> Int:
        """The columns of a kind by their number within it."""
        return np.asarray(self._first[name] + np.asarray(number, np.int64), np.int64)

    def find(self, name: str, size: int) -> Int:
        """The column of each thing 0..size-1 that the kind is about; -1 where it has none."""
        found = np.full(size, -1, np.int64)
        found[self.kind(name).index[0]] = np.arange(self._first[name], self.of(name).stop)
        return found

    def names(self) -> Iterator[str]:
        """The column names of an LP file, in order."""
        for kind in self.kinds:
            yield from ("_".join([kind.name, *map(str, about)]) for about in zip(*kind.index, strict=True))


def layout(problem: Problem, most: Most) -> Columns:
    """The columns of `problem`."""
    return Columns(tuple(kind(problem, most) for kind in KINDS))


def given_up(problem: Problem) -> Bool:
    """Rows that nobody can serve and nobody has to: their penalty is paid in any case, so it is no matter of choice.

    It stays out of the cost, so that a relative gap is one of what can be decided.
    """
    return np.asarray(problem.unservable & np.isfinite(problem.unserved_usd), np.bool_)


def excludes_others(problem: Problem) -> Bool:
    """Blocks that share their choice with another block, B."""
    chosen = problem.block_choice >= 0
    times = np.bincount(problem.block_choice[chosen])
    shared = np.zeros(problem.blocks, np.bool_)
    shared[chosen] = times[problem.block_choice[chosen]] > 1
    return shared


def largest_flow(problem: Problem) -> Float:
    """Mbit/s that a site sends when it serves all it could, at most what its uplink carries, P × T."""
    slices = slices_of(problem)
    first = np.unique(problem.pair_demand * max(problem.sites, 1) + problem.pair_site, return_index=True)[1]
    demand = problem.pair_demand[first]
    key = problem.pair_site[first] * slices + problem.demand_slice[demand]
    flow = np.bincount(key, problem.out_mbps[demand], minlength=problem.sites * slices).reshape(-1, slices)
    return np.asarray(np.minimum(flow, problem.uplink_mbps[:, None]), np.float64)


def _free(name: str, index: tuple[Int, ...], upper: Float, *, whole: bool) -> Kind:
    """Columns that cost nothing themselves."""
    return Kind(name, index, upper, np.zeros(len(upper)), whole)


def _open(problem: Problem, _: Most) -> Kind:
    return Kind("open", (np.arange(problem.sites),), np.ones(problem.sites), problem.open_usd, True)


def _servers(problem: Problem, most: Most) -> Kind:
    upper = most.servers.astype(np.float64)
    return Kind("servers", (np.arange(problem.offers),), upper, problem.offer_usd, True)


def _replicas(problem: Problem, most: Most) -> Kind:
    upper = most.replicas.astype(np.float64)
    return Kind("replicas", (np.arange(problem.blocks),), upper, problem.each_replica_usd, True)


def _choice(problem: Problem, most: Most) -> Kind:
    """ "This operating point is the one used": for blocks that exclude others and may hold more than one replica.

    Where a block holds one replica at most, the replica says it.
    """
    block = np.flatnonzero(excludes_others(problem) & (most.replicas > 1)).astype(np.int64)
    return _free("choice", (block,), np.ones(len(block)), whole=True)


def _share(problem: Problem, most: Most) -> Kind:
    upper = np.floor(most.share + 1e-9) if problem.single_source else most.share
    return Kind("share", (np.arange(problem.pairs),), upper, problem.pair_usd, problem.single_source)


def _unserved(problem: Problem, _: Most) -> Kind:
    must = np.isinf(problem.unserved_usd)
    usd = np.where(must | given_up(problem), 0.0, problem.unserved_usd)
    return Kind("unserved", (np.arange(problem.demands),), np.where(must, 0.0, 1.0), usd, False)


def _job(problem: Problem, _: Most) -> Kind:
    """(15) This option runs its job."""
    jobs = problem.rules.jobs
    usd = np.empty(0) if jobs is None else jobs.option_usd
    return Kind("job", (np.arange(len(usd)),), np.ones(len(usd)), usd, True)


def _added(problem: Problem, most: Most) -> Kind:
    """(14) Replicas of a block beyond those that stood before; whole where the replicas are, so left to the rows."""
    moves = problem.rules.moves
    more = np.zeros(problem.blocks, np.int64) if moves is None else most.replicas - moves.before
    block = np.flatnonzero(more > 0)
    usd = np.zeros(len(block)) if moves is None else moves.usd[block]
    return Kind("added", (block,), more[block].astype(np.float64), usd, False)


def _peak(problem: Problem, _: Most) -> Kind:
    """(9) Mbit/s of a site's way out that are counted: where they cost something or a row of totals counts them."""
    transit = problem.rules.transit
    if transit is None:
        return _free("peak", (np.empty(0, np.int64),), np.empty(0), whole=False)
    counted = transit.usd_per_mbps != 0
    for total in problem.rules.totals:
        if total.peak is not None:
            counted = counted | (total.peak != 0)
    site = np.flatnonzero(counted)
    return Kind(
        "peak", (site,), largest_flow(problem)[site].max(axis=1, initial=0.0), transit.usd_per_mbps[site], False
    )


def _left_out(problem: Problem, most: Most) -> Kind:
    """(9) The slice is not counted (95/5): where it is short enough and something could be sent in it."""
    transit = problem.rules.transit
    if transit is None:
        none = np.empty(0, np.int64)
        return _free("left_out", (none, none), np.empty(0), whole=True)
    site = _peak(problem, most).index[0]
    short = transit.slice_share <= transit.free[site, None] * (1 + 1e-12)
    row, number = np.nonzero(short & (largest_flow(problem)[site][:, : short.shape[1]] > 0))
    return _free("left_out", (site[row], number), np.ones(len(row)), whole=True)


def _uses(problem: Problem, _: Most) -> Kind:
    """(1) The row is served from the site at all: where that costs it a least share, or its sites are counted."""
    spread = problem.rules.spread
    if spread is None:
        none = np.empty(0, np.int64)
        return _free("uses", (none, none), np.empty(0), whole=True)
    sites = max(problem.sites, 1)
    place = np.unique(problem.pair_demand * sites + problem.pair_site)
    choices = np.bincount(place // sites, minlength=problem.demands)
    ruled = (spread.least_share > 0) | ((spread.most_sites > 0) & (spread.most_sites < choices))
    place = place[ruled[place // sites]]
    return _free("uses", (place // sites, place % sites), np.ones(len(place)), whole=True)


def _backup(problem: Problem, most: Most) -> Kind:
    """(13) A backup pair takes this share of its row over when the domain fails: where a loss is possible."""
    reserve = problem.rules.reserve
    if reserve is None:
        none = np.empty(0, np.int64)
        return _free("backup", (none, none), np.empty(0), whole=False)
    domain, lost = losses(problem, most)
    losing = np.zeros((reserve.domains, problem.demands), np.bool_)
    losing[domain, problem.pair_demand[lost]] = True
    replicas = most.replicas[reserve.pair_block]
    helps = losing[:, reserve.pair_demand] & ~reserve.domain_site[:, problem.block_site[reserve.pair_block]]
    helps &= replicas > 0
    if reserve.policy == "proportional":
        helps &= primary_of(problem, reserve) >= 0
    domain, pair = np.nonzero(helps)
    carried = problem.capacity_factor * replicas[pair]
    load = np.maximum(reserve.pair_load[pair], carried)
    return _free("backup", (domain, pair), carried / load, whole=False)


def _choices_of(name: str, problem: Problem, most: Most) -> Kind:
    """(13) Priority: this backup pair is the first, or the second, to take its row over."""
    reserve = problem.rules.reserve
    prior = reserve is not None and reserve.policy == "priority"
    pair = np.unique(_backup(problem, most).index[1]) if prior else np.empty(0, np.int64)
    return _free(name, (pair,), np.ones(len(pair)), whole=True)


def _first(problem: Problem, most: Most) -> Kind:
    return _choices_of("first", problem, most)


def _second(problem: Problem, most: Most) -> Kind:
    return _choices_of("second", problem, most)


RESERVE_LEVELS = (1 / 10, 1 / 3, 1 / 2, 2 / 3, 9 / 10)
"""(13) Proportional: what part of its served share a row may lose. More levels waste less reserve and cost columns."""


def _level(problem: Problem, most: Most) -> Kind:
    """(13) Proportional: the level of a row's loss in a domain; none of them is on where it may lose nothing."""
    domain, pair = losses(problem, most)
    reserve = problem.rules.reserve
    count = 0 if reserve is None or reserve.policy != "proportional" else len(RESERVE_LEVELS)
    place = np.unique(domain * problem.demands + problem.pair_demand[pair])
    key = np.repeat(place, count)
    demands = max(problem.demands, 1)
    index = (key // demands, key % demands, np.tile(np.arange(count), len(place)))
    return _free("level", index, np.ones(len(key)), whole=True)


def losses(problem: Problem, most: Most) -> tuple[Int, Int]:
    """(13) Pairs that could serve at a site of a domain, of rows that are not exempt there: (domain, pair) of each."""
    reserve = problem.rules.reserve
    if reserve is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    exempt = reserve.exempt(problem.demands, problem.block_site[reserve.pair_block])
    fails = reserve.domain_site[:, problem.pair_site] & (most.share > 0)
    domain, pair = np.nonzero(fails & ~exempt[:, problem.pair_demand])
    return domain.astype(np.int64), pair.astype(np.int64)


def primary_of(problem: Problem, reserve: Reserve) -> Int:
    """The pair of the same row and block for every backup pair, Z; -1 where there is none."""
    blocks = max(problem.blocks, 1)
    key = problem.pair_demand * blocks + problem.pair_block
    wanted = reserve.pair_demand * blocks + reserve.pair_block
    if not len(key):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where(key[at] == wanted, at, -1)


KINDS: tuple[Callable[[Problem, Most], Kind], ...] = (
    _open,
    _servers,
    _replicas,
    _choice,
    _share,
    _unserved,
    _job,
    _added,
    _peak,
    _left_out,
    _uses,
    _backup,
    _first,
    _second,
    _level,
)
"""Every kind of column, in order. Those of the daily rules come first: their models read as they always did."""
