"""Rows of what a site carries: power and rack units (7, 8), its way out and in (9)."""

import numpy as np

from solvers.exact.bounds import Most, slices_of
from solvers.exact.columns import Columns, largest_flow
from solvers.exact.rows.base import Part, Rows, at_most, kept, none
from solvers.problem import Float, Problem


def site_resources(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(7, 8) Servers within the site's kW and rack units: Σ_o server_use·s_o ≤ site_limit·open_p."""
    resources = problem.site_limit.shape[1]
    use = problem.server_use[problem.offer_server].reshape(-1)
    key = (problem.offer_site[:, None] * resources + np.arange(resources)).reshape(-1)
    offer = np.repeat(np.arange(problem.offers), resources)
    limit = problem.site_limit.reshape(-1)
    largest = np.bincount(key, use * most.servers[offer], minlength=len(limit))
    keys, row, stays = kept(key, largest > limit)
    site = keys // max(resources, 1)
    return at_most(
        "7",
        "site_resources",
        (("p", site), ("r", keys % max(resources, 1))),
        (
            (row, columns.at("servers", offer[stays]), use[stays]),
            (np.arange(len(keys)), columns.at("open", site), -limit[keys]),
        ),
    )


def offers(problem: Problem, columns: Columns, most: Most) -> Rows:
    """(7, 8) No server at a closed site: s_o ≤ most_o·open_p."""
    offer = np.flatnonzero(most.servers > 0)
    row = np.arange(len(offer))
    return at_most(
        "7",
        "offers",
        (("o", offer),),
        (
            (row, columns.at("servers", offer), 1.0),
            (row, columns.at("open", problem.offer_site[offer]), -most.servers[offer].astype(np.float64)),
        ),
    )


def open_sites(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(7, 8) An open site holds a server: open_p ≤ Σ_{o at p} s_o; it would otherwise be cheaper closed.

    No plan worth having breaks it, and the relaxation's bound rises. Left out where opening costs less than nothing
    or helps to keep a row of totals.
    """
    useless = problem.open_usd >= 0
    for total in problem.rules.totals:
        if total.open is not None:
            useless = useless & (total.open >= 0)
    site = np.flatnonzero(useless)
    number = np.full(problem.sites, -1)
    number[site] = np.arange(len(site))
    offer = np.flatnonzero(number[problem.offer_site] >= 0)
    return at_most(
        "7",
        "open_sites",
        (("p", site),),
        (
            (np.arange(len(site)), columns.at("open", site), 1.0),
            (number[problem.offer_site[offer]], columns.at("servers", offer), -1.0),
        ),
    )


def _network(problem: Problem, columns: Columns, family: str, mbps: Float, limit: Float) -> Rows:
    slices = max(problem.slices, 1)
    key = problem.pair_site * slices + problem.demand_slice[problem.pair_demand]
    flow = mbps[problem.pair_demand]
    # Blocks of one site share a demand row, so this counts it more than once: too many rows stay, never too few.
    largest = np.bincount(key, flow, minlength=problem.sites * slices)
    keys, row, stays = kept(key, largest > np.repeat(limit, slices))
    site, number = keys // slices, keys % slices
    return at_most(
        "9",
        family,
        (("p", site), ("t", number)),
        (
            (row, columns.at("share", np.flatnonzero(stays)), flow[stays]),
            (np.arange(len(keys)), columns.at("open", site), -limit[site]),
        ),
    )


def uplink(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(9) What a site sends fits its uplink in every slice: Σ_n out_mbps·x_n ≤ uplink·open_p."""
    return _network(problem, columns, "uplink", problem.out_mbps, problem.uplink_mbps)


def downlink(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(9) What a site receives fits its downlink in every slice: Σ_n in_mbps·x_n ≤ downlink·open_p."""
    return _network(problem, columns, "downlink", problem.in_mbps, problem.downlink_mbps)


def peak(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(9) The counted peak is that of every slice not left out: Σ_n out_mbps·x_n ≤ peak_p + flow·left_out_pt.

    `flow` is the most that the site could send in the slice.
    """
    site = columns.kind("peak").index[0]
    slices = slices_of(problem)
    number = np.full(problem.sites, -1)
    number[site] = np.arange(len(site))
    sent = np.flatnonzero((number[problem.pair_site] >= 0) & (problem.out_mbps[problem.pair_demand] > 0))
    demand = problem.pair_demand[sent]
    key = problem.pair_site[sent] * slices + problem.demand_slice[demand]
    keys, row, _stays = kept(key, np.bincount(key, minlength=problem.sites * slices) > 0)
    parts: list[Part] = [
        (row, columns.at("share", sent), problem.out_mbps[demand]),
        (np.arange(len(keys)), columns.at("peak", number[keys // slices]), -1.0),
    ]
    place, when = columns.kind("left_out").index
    out = np.searchsorted(keys, place * slices + when)
    parts.append((out, columns.at("left_out", np.arange(len(place))), -largest_flow(problem)[place, when]))
    return at_most("9", "peak", (("p", keys // slices), ("t", keys % slices)), tuple(parts))


def left_out(problem: Problem, columns: Columns, _: Most) -> Rows:
    """(9) Slices that are not counted last the free share of the day at most: Σ_t share_t·left_out_pt ≤ free_p."""
    transit = problem.rules.transit
    if transit is None:
        return none("9", "left_out", "p")
    site, when = columns.kind("left_out").index
    lasting = np.bincount(site, transit.slice_share[when], minlength=problem.sites)
    keys, row, stays = kept(site, lasting > transit.free * (1 + 1e-12))
    return at_most(
        "9",
        "left_out",
        (("p", keys),),
        ((row, columns.at("left_out", np.flatnonzero(stays)), transit.slice_share[when[stays]]),),
        transit.free[keys],
    )
