"""One function per family of constraints: rows as coordinate arrays, with the equation's number in their names.

Each takes (problem, columns, most) and returns the rows that can bind; one that no plan within `most` could break
is left out. Symbols are those of `solvers.problem`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.exact.columns import Columns, Most, excludes_others
from solvers.problem import Float, Int, Problem


@dataclass(frozen=True)
class Rows:
    """Rows of one family: entries (row, column, value), bounds, and what each row is about."""

    equation: str
    family: str
    row: Int
    column: Int
    value: Float
    lower: Float
    upper: Float
    labels: tuple[tuple[str, Int], ...]  # letter of an index, and that index for every row

    @property
    def count(self) -> int:
        return len(self.upper)

    def name(self, number: int) -> str:
        """The row's name in an LP file, made only when asked for."""
        where = "".join(f"_{letter}{index[number]}" for letter, index in self.labels)
        return f"c{self.equation}_{self.family}{where}"


Family = Callable[[Problem, Columns, Most], Rows]


def _at_most(
    equation: str,
    family: str,
    labels: tuple[tuple[str, Int], ...],
    parts: tuple[tuple[Int, Int, Float | float], ...],
    right: Float | float = 0.0,
) -> Rows:
    """Rows Σ value·column ≤ right from parts (row, column, value)."""
    count = len(labels[0][1])
    return Rows(
        equation,
        family,
        np.concatenate([row for row, _, _ in parts]),
        np.concatenate([column for _, column, _ in parts]),
        np.concatenate([np.broadcast_to(np.asarray(value, np.float64), row.shape) for row, _, value in parts]),
        np.full(count, -np.inf),
        np.broadcast_to(np.asarray(right, np.float64), (count,)).copy(),
        labels,
    )


def _kept(key: Int, wanted: np.ndarray) -> tuple[Int, Int, np.ndarray]:
    """Rows for the keys that are wanted: (their keys, row of every entry, which entries stay)."""
    number = np.cumsum(wanted) - 1
    stays = wanted[key]
    return np.flatnonzero(wanted).astype(np.int64), number[key[stays]], stays


def demand(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(1) Every demand row is served or counted as unserved: Σ_{n of i} x_n + u_i = 1."""
    rows = np.arange(problem.demands)
    return Rows(
        "1",
        "demand",
        np.concatenate([problem.pair_demand, rows]),
        np.concatenate([columns.share + np.arange(problem.pairs), columns.unserved + rows]),
        np.ones(problem.pairs + problem.demands),
        np.ones(problem.demands),
        np.ones(problem.demands),
        (("i", rows),),
    )


def replica_capacity(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(4) Replicas carry the load put on them: Σ_{n of b in t} pair_load·x_n ≤ capacity_factor·y_b."""
    slices = max(problem.slices, 1)
    key = problem.pair_block * slices + problem.demand_slice[problem.pair_demand]
    loaded = np.bincount(key, problem.pair_load, minlength=problem.blocks * slices) > 0
    keys, row, stays = _kept(key, loaded)
    block, number = keys // slices, keys % slices
    return _at_most(
        "4",
        "replica_capacity",
        (("b", block), ("t", number)),
        (
            (row, columns.share + np.flatnonzero(stays), problem.pair_load[stays]),
            (np.arange(len(keys)), columns.replicas + block, -problem.capacity_factor),
        ),
    )


def linking(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(5) No share without a replica: x_n ≤ y_b, where one replica could carry the whole row (pair_load ≤ 1)."""
    pair = np.flatnonzero((problem.pair_load <= 1) & (most.share > 0))
    row = np.arange(len(pair))
    return _at_most(
        "5",
        "linking",
        (("n", pair),),
        ((row, columns.share + pair, 1.0), (row, columns.replicas + problem.pair_block[pair], -1.0)),
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
    return _at_most(
        "5",
        "opening",
        (("i", demands), ("p", sites)),
        ((row, columns.share + loose, 1.0), (np.arange(len(first)), columns.open + sites, -1.0)),
    )


_SIZES = (1, 8, 16, 32)
"""Quarter GPUs: all, and replicas of 2, 4 and 8 GPUs, which need a server that large."""


def gpus(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(6) Replicas fit in the GPUs of servers that are large enough.

    For each site, GPU type and size s: Σ_{quarters ≥ s} quarters·y_b ≤ Σ_{4·gpus ≥ s} 4·gpus·s_o.
    A size is left out where another one says more: the same servers but more replicas, or the same replicas
    but fewer servers.
    """
    types = int(max(problem.shape_gpu.max(initial=0), problem.server_gpu.max(initial=0))) + 1
    quarters = problem.shape_quarters[problem.block_shape]
    held = 4 * problem.server_gpus[problem.offer_server]
    block_key = problem.block_site * types + problem.shape_gpu[problem.block_shape]
    offer_key = problem.offer_site * types + problem.server_gpu[problem.offer_server]
    keys = problem.sites * types
    replicas = [np.bincount(block_key[quarters >= size], minlength=keys) for size in _SIZES]
    servers = [np.bincount(offer_key[held >= size], minlength=keys) for size in _SIZES]
    parts, label_site, label_gpu, label_size, start = [], [], [], [], 0
    for level, size in enumerate(_SIZES):
        wanted = replicas[level] > 0
        for other in range(len(_SIZES)):
            if other < level:
                wanted &= servers[other] != servers[level]
            elif other > level:
                wanted &= (replicas[other] != replicas[level]) | (servers[other] == servers[level])
        large, roomy = quarters >= size, held >= size
        kept, row, stays = _kept(block_key[large], wanted)
        block = np.flatnonzero(large)[stays]
        parts.append((start + row, columns.replicas + block, quarters[block].astype(np.float64)))
        kept, row, stays = _kept(offer_key[roomy], wanted)
        offer = np.flatnonzero(roomy)[stays]
        parts.append((start + row, columns.servers + offer, -held[offer].astype(np.float64)))
        label_site.append(kept // types)
        label_gpu.append(kept % types)
        label_size.append(np.full(len(kept), size))
        start += len(kept)
    labels = (("p", label_site), ("g", label_gpu), ("s", label_size))
    return _at_most("6", "gpus", tuple((letter, np.concatenate(index)) for letter, index in labels), tuple(parts))


def _choosing(problem: Problem, columns: Columns) -> tuple[Int, Int]:
    """Blocks that exclude others, and the column that says whether each is in use."""
    block = np.flatnonzero(excludes_others(problem))
    column = columns.replicas + block
    at = np.searchsorted(block, columns.choice_block)
    column[at] = columns.choices + np.arange(len(columns.choice_block))
    return block, column


def operating_point(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(6) Replicas stand only at the operating point in use: y_b ≤ most_b·choice_b."""
    block = columns.choice_block
    row = np.arange(len(block))
    return _at_most(
        "6",
        "operating_point",
        (("b", block),),
        (
            (row, columns.replicas + block, 1.0),
            (row, columns.choices + row, -most.replicas[block].astype(np.float64)),
        ),
    )


def one_operating_point(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(6) One operating point at most of each choice, and none at a closed site: Σ_{b of c} choice_b ≤ open_p."""
    block, column = _choosing(problem, columns)
    choice, first, row = np.unique(problem.block_choice[block], return_index=True, return_inverse=True)
    site = problem.block_site[block[first]]
    return _at_most(
        "6",
        "one_operating_point",
        (("c", choice),),
        ((row, column, 1.0), (np.arange(len(choice)), columns.open + site, -1.0)),
    )


def site_resources(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(7, 8) Servers within the site's kW and rack units: Σ_o server_use·s_o ≤ site_limit·open_p."""
    resources = problem.site_limit.shape[1]
    use = problem.server_use[problem.offer_server].reshape(-1)
    key = (problem.offer_site[:, None] * resources + np.arange(resources)).reshape(-1)
    offer = np.repeat(np.arange(problem.offers), resources)
    limit = problem.site_limit.reshape(-1)
    largest = np.bincount(key, use * most.servers[offer], minlength=len(limit))
    keys, row, stays = _kept(key, largest > limit)
    return _at_most(
        "7",
        "site_resources",
        (("p", keys // max(resources, 1)), ("r", keys % max(resources, 1))),
        (
            (row, columns.servers + offer[stays], use[stays]),
            (np.arange(len(keys)), columns.open + keys // max(resources, 1), -limit[keys]),
        ),
    )


def offers(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(7, 8) No server at a closed site: s_o ≤ most_o·open_p."""
    offer = np.flatnonzero(most.servers > 0)
    row = np.arange(len(offer))
    return _at_most(
        "7",
        "offers",
        (("o", offer),),
        (
            (row, columns.servers + offer, 1.0),
            (row, columns.open + problem.offer_site[offer], -most.servers[offer].astype(np.float64)),
        ),
    )


def open_sites(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(7, 8) An open site holds a server: open_p ≤ Σ_{o at p} s_o; it would otherwise be cheaper closed.

    No plan worth having breaks it, and the relaxation's bound rises. Left out where opening costs less than nothing.
    """
    site = np.flatnonzero(problem.open_usd >= 0)
    number = np.full(problem.sites, -1)
    number[site] = np.arange(len(site))
    offer = np.flatnonzero(number[problem.offer_site] >= 0)
    return _at_most(
        "7",
        "open_sites",
        (("p", site),),
        (
            (np.arange(len(site)), columns.open + site, 1.0),
            (number[problem.offer_site[offer]], columns.servers + offer, -1.0),
        ),
    )


def _network(problem: Problem, columns: Columns, family: str, mbps: Float, limit: Float) -> Rows:
    slices = max(problem.slices, 1)
    key = problem.pair_site * slices + problem.demand_slice[problem.pair_demand]
    flow = mbps[problem.pair_demand]
    # Blocks of one site share a demand row, so this counts it more than once: too many rows stay, never too few.
    largest = np.bincount(key, flow, minlength=problem.sites * slices)
    keys, row, stays = _kept(key, largest > np.repeat(limit, slices))
    site, number = keys // slices, keys % slices
    return _at_most(
        "9",
        family,
        (("p", site), ("t", number)),
        (
            (row, columns.share + np.flatnonzero(stays), flow[stays]),
            (np.arange(len(keys)), columns.open + site, -limit[site]),
        ),
    )


def uplink(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(9) What a site sends fits its uplink in every slice: Σ_n out_mbps·x_n ≤ uplink·open_p."""
    return _network(problem, columns, "uplink", problem.out_mbps, problem.uplink_mbps)


def downlink(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(9) What a site receives fits its downlink in every slice: Σ_n in_mbps·x_n ≤ downlink·open_p."""
    return _network(problem, columns, "downlink", problem.in_mbps, problem.downlink_mbps)


def limits(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(10–12) Stock, export, capex: Σ_o limit_lo·s_o ≤ limit_rhs_l."""
    entries = problem.limit_matrix.tocoo()
    largest = np.asarray(problem.limit_matrix @ most.servers.astype(np.float64)).reshape(-1)
    limit, row, stays = _kept(entries.row.astype(np.int64), largest > problem.limit_rhs)
    return _at_most(
        "10",
        "limits",
        (("l", limit),),
        ((row, columns.servers + entries.col[stays].astype(np.int64), entries.data[stays]),),
        problem.limit_rhs[limit],
    )


def monthly_budget(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(12) All that is paid in a month: Σ open_usd·open_p + Σ offer_usd·s_o + Σ pair_usd·x_n ≤ monthly_budget_usd."""
    one = np.zeros(1 if np.isfinite(problem.monthly_budget_usd) else 0, np.int64)
    costs = ((columns.open, problem.open_usd), (columns.servers, problem.offer_usd), (columns.share, problem.pair_usd))
    parts = []
    for start, usd in costs:
        paid = np.flatnonzero(usd) if len(one) else one
        parts.append((np.zeros(len(paid), np.int64), start + paid, usd[paid]))
    return _at_most("12", "monthly_budget", (("h", one),), tuple(parts), problem.monthly_budget_usd)


FAMILIES: tuple[Family, ...] = (
    demand,
    replica_capacity,
    linking,
    opening,
    gpus,
    operating_point,
    one_operating_point,
    site_resources,
    offers,
    open_sites,
    uplink,
    downlink,
    limits,
    monthly_budget,
)
