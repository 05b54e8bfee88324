"""(13) Rows of N-1: the backup of every loss, and what survivors carry in each failure.

A failure concerns a row only if it could lose a share and somebody may stand in; only such pairs of a domain and a row
have columns and rows. Under proportional failover the backup columns are an upper estimate of what the survivors take:

    with a level r of the row in the domain, X ≤ rho_r·T  and  z_b ≥ rho_r/(1 − rho_r)·x_b,

X the loss, T all that is served: the survivors S = T − X then take x_b·X/S ≤ rho_r/(1 − rho_r)·x_b. That is
sufficient, not necessary: plans in between two levels keep more reserve than the exact renormalised shares need.
Under priority failover a row has a first and a second choice. As each fails with some domain or with none, two
choices are every order of preference where domains do not overlap; where they do, a third choice could be cheaper.
"""

import numpy as np

from solvers.exact.bounds import Most, slices_of
from solvers.exact.columns import RESERVE_LEVELS, Columns, losses, primary_of
from solvers.exact.rows.base import Part, Rows, at_most, equal, none
from solvers.problem import Float, Int, Problem
from solvers.rules import Policy, Reserve


def backup_balance(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(13) What fails is taken over: Σ_{z of i} z_ie = Σ_{n of i in e} x_n; at least that where it is proportional."""
    reserve = problem.rules.reserve
    if reserve is None:
        return none("13", "backup_balance", "e", "i")
    lost_domain, lost = losses(problem, most)
    key = lost_domain * problem.demands + problem.pair_demand[lost]
    place, row = np.unique(key, return_inverse=True)
    domain, pair = columns.kind("backup").index
    taken = np.searchsorted(place, domain * problem.demands + reserve.pair_demand[pair])
    parts: tuple[Part, ...] = (
        (taken, columns.at("backup", np.arange(len(pair))), -1.0),
        (row, columns.at("share", lost), 1.0),
    )
    labels = (("e", place // max(problem.demands, 1)), ("i", place % max(problem.demands, 1)))
    rows = at_most if reserve.policy == "proportional" else equal
    return rows("13", "backup_balance", labels, parts, 0.0)


def survivor_capacity(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Survivors carry load and backup: Σ_{n of b in t} load·x_n + Σ_{z of b} load·z_ie ≤ capacity_factor·y_b."""
    reserve = problem.rules.reserve
    if reserve is None:
        return none("13", "survivor_capacity", "e", "b", "t")
    slices = slices_of(problem)
    domain, pair = columns.kind("backup").index
    place = reserve.pair_block * slices + problem.demand_slice[reserve.pair_demand]
    loaded = np.flatnonzero(reserve.pair_load[pair] > 0)
    where, row = _failures(domain[loaded], place[pair[loaded]], problem.blocks * slices)
    here, primary = _beside(where, problem.pair_block * slices + problem.demand_slice[problem.pair_demand])
    block = where[1] // slices
    return at_most(
        "13",
        "survivor_capacity",
        (("e", where[0]), ("b", block), ("t", where[1] % slices)),
        (
            (here, columns.at("share", primary), problem.pair_load[primary]),
            (row, columns.at("backup", loaded), reserve.pair_load[pair[loaded]]),
            (np.arange(len(block)), columns.at("replicas", block), -problem.capacity_factor),
        ),
    )


def survivor_uplink(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) What a survivor sends fits its uplink: Σ_n out_mbps·x_n + Σ_z out_mbps·z_ie ≤ uplink·open_p."""
    return _survivor_network(problem, columns, "survivor_uplink", problem.out_mbps, problem.uplink_mbps)


def survivor_downlink(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) What a survivor receives fits its downlink: Σ_n in_mbps·x_n + Σ_z in_mbps·z_ie ≤ downlink·open_p."""
    return _survivor_network(problem, columns, "survivor_downlink", problem.in_mbps, problem.downlink_mbps)


def backup_linking(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) No backup without a replica: x_n + z_ie ≤ y_b, where one replica could carry the whole row.

    The row's share on the same block stands beside it: what survives and what is taken over are one row at most.
    """
    reserve = problem.rules.reserve
    if reserve is None or reserve.policy == "proportional":  # whose backup is where the share is
        return none("13", "backup_linking", "e", "z")
    domain, pair = columns.kind("backup").index
    light = np.flatnonzero(reserve.pair_load[pair] <= 1)
    number = np.arange(len(light))
    primary = primary_of(problem, reserve)[pair[light]]
    beside = np.flatnonzero(primary >= 0)
    return at_most(
        "13",
        "backup_linking",
        (("e", domain[light]), ("z", pair[light])),
        (
            (beside, columns.at("share", primary[beside]), 1.0),
            (number, columns.at("backup", light), 1.0),
            (number, columns.at("replicas", reserve.pair_block[pair[light]]), -1.0),
        ),
    )


def one_first(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Priority: one first choice of a row at most, Σ_{z of i} first_z ≤ 1."""
    return _one_of("first", problem, columns)


def one_second(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Priority: one second choice of a row at most, Σ_{z of i} second_z ≤ 1."""
    return _one_of("second", problem, columns)


def backup_choice(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Priority: only the first or second choice takes over, z_ie ≤ first_z + second_z."""
    reserve = _under(problem, "priority")
    if reserve is None:
        return none("13", "backup_choice", "e", "z")
    domain, pair = columns.kind("backup").index
    row = np.arange(len(pair))
    first, second = (columns.find(name, reserve.pairs)[pair] for name in ("first", "second"))
    parts: tuple[Part, ...] = (
        (row, columns.at("backup", row), 1.0),
        (row, first, -1.0),
        (row, second, -1.0),
    )
    return at_most("13", "backup_choice", (("e", domain), ("z", pair)), parts)


def backup_order(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Priority: the second choice takes over only if the first fails, z_ie ≤ first_z + Σ_{a of i in e} first_a."""
    reserve = _under(problem, "priority")
    if reserve is None:
        return none("13", "backup_order", "e", "z")
    domain, pair = columns.kind("backup").index
    row = np.arange(len(pair))
    chosen = columns.kind("first").index[0]
    row_fallen, fallen = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for e in range(reserve.domains):
        down = chosen[reserve.domain_site[e, problem.block_site[reserve.pair_block[chosen]]]]
        here = np.flatnonzero(domain == e)
        which, against = _matches(reserve.pair_demand[pair[here]], reserve.pair_demand[down])
        row_fallen.append(here[which])
        fallen.append(columns.find("first", reserve.pairs)[down[against]])
    parts: tuple[Part, ...] = (
        (row, columns.at("backup", row), 1.0),
        (row, columns.find("first", reserve.pairs)[pair], -1.0),
        (np.concatenate(row_fallen), np.concatenate(fallen), -1.0),
    )
    return at_most("13", "backup_order", (("e", domain), ("z", pair)), parts)


def loss_level(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(13) Proportional: a row that loses has a level, Σ_{n of i in e} x_n ≤ Σ_r rho_r·level_r."""
    if _under(problem, "proportional") is None:
        return none("13", "loss_level", "e", "i")
    place, row, lost = _losing(problem, most)
    domain, demand, level = columns.kind("level").index
    here = np.searchsorted(place, domain * problem.demands + demand)
    rho = np.asarray(RESERVE_LEVELS)[level]
    labels = (("e", place // max(problem.demands, 1)), ("i", place % max(problem.demands, 1)))
    parts: tuple[Part, ...] = (
        (row, columns.at("share", lost), 1.0),
        (here, columns.at("level", np.arange(len(level))), -rho),
    )
    return at_most("13", "loss_level", labels, parts)


def one_level(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Proportional: one level at most, Σ_r level_r ≤ 1; a survivor that may not back up serves nothing then."""
    if _under(problem, "proportional") is None:
        return none("13", "one_level", "e", "i", "n")
    domain, demand, _level = columns.kind("level").index
    place, row = np.unique(domain * problem.demands + demand, return_inverse=True)
    number = columns.at("level", np.arange(len(domain)))
    e, i = place // max(problem.demands, 1), place % max(problem.demands, 1)
    which, pair = _unbacked(problem, e, i)
    again, against = _matches(which, row)
    parts: tuple[Part, ...] = (
        (row, number, 1.0),
        (len(place) + np.arange(len(which)), columns.at("share", pair), 1.0),
        (len(place) + again, number[against], 1.0),
    )
    unnamed = np.full(len(place), -1)
    labels = (
        ("e", np.concatenate([e, e[which]])),
        ("i", np.concatenate([i, i[which]])),
        ("n", np.concatenate([unnamed, pair])),
    )
    return at_most("13", "one_level", labels, parts, 1.0)


def level_share(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(13) Proportional: a level bounds the loss, Σ_{n of i in e} x_n ≤ rho·Σ_{n of i} x_n + (1 − rho)·(1 − level)."""
    if _under(problem, "proportional") is None:
        return none("13", "level_share", "e", "i", "r")
    place, row, lost = _losing(problem, most)
    domain, demand, level = columns.kind("level").index
    rho = np.asarray(RESERVE_LEVELS)[level]
    number = np.arange(len(level))
    in_loss, which = _matches(np.searchsorted(place, domain * problem.demands + demand), row)
    in_all, pair = _matches(demand, problem.pair_demand)
    parts: tuple[Part, ...] = (
        (in_loss, columns.at("share", lost[which]), 1.0),
        (in_all, columns.at("share", pair), -rho[in_all]),
        (number, columns.at("level", number), 1 - rho),
    )
    return at_most("13", "level_share", (("e", domain), ("i", demand), ("r", level)), parts, 1 - rho)


def level_reserve(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(13) Proportional: survivors keep what a level may ask, k·x_n − z_ie ≤ k·(1 − level), k = rho/(1 − rho)."""
    reserve = _under(problem, "proportional")
    if reserve is None:
        return none("13", "level_reserve", "e", "z", "r")
    domain, pair = columns.kind("backup").index
    level_domain, level_demand, level = columns.kind("level").index
    rho = np.asarray(RESERVE_LEVELS)[level]
    key = domain * problem.demands + reserve.pair_demand[pair]
    backup, which = _matches(key, level_domain * problem.demands + level_demand)
    factor = (rho / (1 - rho))[which]
    row = np.arange(len(backup))
    parts: tuple[Part, ...] = (
        (row, columns.at("share", primary_of(problem, reserve)[pair[backup]]), factor),
        (row, columns.at("backup", backup), -1.0),
        (row, columns.at("level", which), factor),
    )
    labels = (("e", domain[backup]), ("z", pair[backup]), ("r", level[which]))
    return at_most("13", "level_reserve", labels, parts, factor)


RESERVE_FAMILIES = (
    backup_balance,
    survivor_capacity,
    survivor_uplink,
    survivor_downlink,
    backup_linking,
    one_first,
    one_second,
    backup_choice,
    backup_order,
    loss_level,
    one_level,
    level_share,
    level_reserve,
)


def _under(problem: Problem, policy: Policy) -> Reserve | None:
    reserve = problem.rules.reserve
    return reserve if reserve is not None and reserve.policy == policy else None


def _one_of(name: str, problem: Problem, columns: Columns) -> Rows:
    reserve = _under(problem, "priority")
    if reserve is None:
        return none("13", f"one_{name}", "i")
    pair = columns.kind(name).index[0]
    demand, row = np.unique(reserve.pair_demand[pair], return_inverse=True)
    return at_most("13", f"one_{name}", (("i", demand),), ((row, columns.at(name, np.arange(len(pair))), 1.0),), 1.0)


def _losing(problem: Problem, most: Most) -> tuple[Int, Int, Int]:
    """Keys e·I + i of the rows that could lose something, sorted; the key and the pair of every loss."""
    domain, lost = losses(problem, most)
    place, row = np.unique(domain * problem.demands + problem.pair_demand[lost], return_inverse=True)
    return place, row, lost


def _failures(domain: Int, place: Int, places: int) -> tuple[tuple[Int, Int], Int]:
    """One row for each (domain, place) of backup columns: both for every row, and the row of every column."""
    key, row = np.unique(domain * places + place, return_inverse=True)
    return (key // max(places, 1), key % max(places, 1)), row


def _beside(where: tuple[Int, Int], place: Int) -> tuple[Int, Int]:
    """Rows (domain, place) against primary pairs by their place: (row, pair) of every match."""
    return _matches(where[1], place)


def _matches(left: Int, right: Int) -> tuple[Int, Int]:
    """Every pair of positions whose keys are equal, ordered by the left one."""
    order = np.argsort(right, kind="stable")
    first, last = (np.searchsorted(right[order], left, side=side) for side in ("left", "right"))
    times = last - first
    position = np.repeat(np.arange(len(left)), times)
    within = np.arange(len(position)) - np.repeat(np.cumsum(times) - times, times)
    return position, order[np.repeat(first, times) + within]


def _unbacked(problem: Problem, domain: Int, demand: Int) -> tuple[Int, Int]:
    """Pairs of rows that survive in a domain where they may not back up: (position in `domain`, pair)."""
    reserve = problem.rules.reserve
    assert reserve is not None
    backed = np.zeros(problem.pairs, np.bool_)
    primary = primary_of(problem, reserve)
    backed[primary[primary >= 0]] = True
    which, pair = _matches(demand, problem.pair_demand)
    bare = ~backed[pair] & ~reserve.domain_site[domain[which], problem.pair_site[pair]]
    return which[bare], pair[bare]


def _survivor_network(problem: Problem, columns: Columns, family: str, mbps: Float, limit: Float) -> Rows:
    reserve = problem.rules.reserve
    if reserve is None:
        return none("13", family, "e", "p", "t")
    slices = slices_of(problem)
    domain, pair = columns.kind("backup").index
    site = problem.block_site[reserve.pair_block[pair]]
    number = problem.demand_slice[reserve.pair_demand[pair]]
    felt = np.flatnonzero((mbps[reserve.pair_demand[pair]] > 0) & np.isfinite(limit[site]))
    where, row = _failures(domain[felt], (site * slices + number)[felt], problem.sites * slices)
    here, primary = _beside(where, problem.pair_site * slices + problem.demand_slice[problem.pair_demand])
    # A row on several blocks of the site counts more than once here: too many rows stay, never too few.
    flow = np.bincount(here, mbps[problem.pair_demand[primary]], len(where[0]))
    flow = flow + np.bincount(row, mbps[reserve.pair_demand[pair[felt]]], len(where[0]))
    binding = flow > limit[where[1] // slices]
    renumber = np.cumsum(binding) - 1
    here_kept, row_kept = binding[here], binding[row]
    place = where[1][binding]
    return at_most(
        "13",
        family,
        (("e", where[0][binding]), ("p", place // slices), ("t", place % slices)),
        (
            (
                renumber[here[here_kept]],
                columns.at("share", primary[here_kept]),
                mbps[problem.pair_demand[primary[here_kept]]],
            ),
            (
                renumber[row[row_kept]],
                columns.at("backup", felt[row_kept]),
                mbps[reserve.pair_demand[pair[felt[row_kept]]]],
            ),
            (np.arange(len(place)), columns.at("open", place // slices), -limit[place // slices]),
        ),
    )
