"""Rows of shares: demand (1), replica capacity (4), linking (5), and where a row may be served from (1)."""

import numpy as np

from solvers.exact.bounds import Most
from solvers.exact.columns import Columns
from solvers.exact.rows.base import Rows, at_most, equal, kept
from solvers.problem import Int, Problem


def demand(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(1) Every demand row is served or counted as unserved: Σ_{n of i} x_n + u_i = 1."""
    rows = np.arange(problem.demands)
    return equal(
        "1",
        "demand",
        (("i", rows),),
        (
            (problem.pair_demand, columns.at("share", np.arange(problem.pairs)), 1.0),
            (rows, columns.at("unserved", rows), 1.0),
        ),
        1.0,
    )


def replica_capacity(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(4) Replicas carry the load put on them: Σ_{n of b in t} pair_load·x_n ≤ capacity_factor·y_b."""
    slices = max(problem.slices, 1)
    key = problem.pair_block * slices + problem.demand_slice[problem.pair_demand]
    loaded = np.bincount(key, problem.pair_load, minlength=problem.blocks * slices) > 0
    keys, row, stays = kept(key, loaded)
    block, number = keys // slices, keys % slices
    return at_most(
        "4",
        "replica_capacity",
        (("b", block), ("t", number)),
        (
            (row, columns.at("share", np.flatnonzero(stays)), problem.pair_load[stays]),
            (np.arange(len(keys)), columns.at("replicas", block), -problem.capacity_factor),
        ),
    )


def linking(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(5) No share without a replica: x_n ≤ y_b, where one replica could carry the whole row (pair_load ≤ 1)."""
    pair = np.flatnonzero((problem.pair_load <= 1) & (most.share > 0))
    row = np.arange(len(pair))
    return at_most(
        "5",
        "linking",
        (("n", pair),),
        ((row, columns.at("share", pair), 1.0), (row, columns.at("replicas", problem.pair_block[pair]), -1.0)),
    )


def opening(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(5) Nothing is served from a closed site: Σ_{n of i at p} x_n ≤ open_p.

    Implied for whole numbers by (4), (6) and (7), but not in the relaxation, whose bound it lifts. Left out where
    the relaxation has it already: one server at most and one block of one replica.
    """
    single = np.bincount(problem.offer_site, most.servers, minlength=problem.sites) <= 1
    single &= np.bincount(problem.block_site, most.replicas, minlength=problem.sites) <= 1
    loose = np.flatnonzero(~single[problem.pair_site] | (problem.pair_load > 1))
    key = problem.pair_demand[loose] * problem.sites + problem.pair_site[loose]
    # Pairs are sorted by row and block, blocks by site: the pairs of one (row, site) stand together.
    first = np.flatnonzero(np.diff(key, prepend=-1))
    row = np.cumsum(np.diff(key, prepend=-1) != 0) - 1
    demands, sites = key[first] // max(problem.sites, 1), key[first] % max(problem.sites, 1)
    return at_most(
        "5",
        "opening",
        (("i", demands), ("p", sites)),
        ((row, columns.at("share", loose), 1.0), (np.arange(len(first)), columns.at("open", sites), -1.0)),
    )


def _used(problem: Problem, columns: Columns) -> tuple[Int, Int, Int, Int]:
    """Demand row and site of every "uses" column; the pairs that belong to one, and which."""
    demands, site = columns.kind("uses").index
    sites = max(problem.sites, 1)
    key = problem.pair_demand * sites + problem.pair_site
    place = demands * sites + site
    at = np.searchsorted(place, key)
    found = at < len(place)
    found[found] = place[at[found]] == key[found]
    return demands, site, np.flatnonzero(found), at[found]


def used_sites(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(1) A site that serves a row is one that it uses: Σ_{n of i at p} x_n ≤ uses_ip."""
    demands, site, pair, row = _used(problem, columns)
    number = np.arange(len(demands))
    return at_most(
        "1",
        "used_sites",
        (("i", demands), ("p", site)),
        ((row, columns.at("share", pair), 1.0), (number, columns.at("uses", number), -1.0)),
    )


def least_share(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(1) A site that a row uses serves no sliver of it: least_share_i·uses_ip ≤ Σ_{n of i at p} x_n."""
    demands, site, pair, row = _used(problem, columns)
    spread = problem.rules.spread
    least = np.zeros(len(demands)) if spread is None else spread.least_share[demands]
    number, row, stays = kept(row, least > 0)
    return at_most(
        "1",
        "least_share",
        (("i", demands[number]), ("p", site[number])),
        (
            (np.arange(len(number)), columns.at("uses", number), least[number]),
            (row, columns.at("share", pair[stays]), -1.0),
        ),
    )


def most_sites(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(1) A row is served from so many sites at most: Σ_p uses_ip ≤ most_sites_i."""
    demands = columns.kind("uses").index[0]
    spread = problem.rules.spread
    most = np.zeros(problem.demands, np.int64) if spread is None else spread.most_sites
    choices = np.bincount(demands, minlength=problem.demands)
    number, row, stays = kept(demands, (most > 0) & (most < choices))
    return at_most(
        "1",
        "most_sites",
        (("i", number),),
        ((row, columns.at("uses", np.flatnonzero(stays)), 1.0),),
        most[number].astype(np.float64),
    )
