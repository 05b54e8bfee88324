"""A plan as the columns of its model, and the columns as a plan."""

import numpy as np

from solvers.exact.model import Model
from solvers.exact.reserve import published_backup, set_reserve
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement, added


def decided(model: Model, opened: Bool, servers: Int, replicas: Int) -> Float:
    """The columns of sites, servers, replicas and operating points as given (P, O, B); all others are 0."""
    at = model.columns
    values = np.zeros(at.count)
    values[at.of("open")] = opened
    values[at.of("servers")] = servers
    values[at.of("replicas")] = replicas
    values[at.of("choice")] = replicas[at.kind("choice").index[0]] > 0
    return values


def vector(model: Model, problem: Problem, placement: Placement) -> Float:
    """`placement` as a value of every column, M; counts above what any plan needs are cut to it.

    Open sites without a server, which cost money for nothing, are closed.
    """
    held = np.bincount(problem.offer_site, placement.servers, minlength=problem.sites) > 0
    opened = placement.open & (held | (problem.open_usd < 0))
    values = decided(model, opened, placement.servers, placement.replicas)
    at = model.columns
    values[at.of("share")] = placement.share
    values[at.of("unserved")] = placement.unserved
    values[at.at("job", placement.jobs)] = 1.0
    values[at.of("added")] = added(
        problem, np.rint(np.minimum(placement.replicas, model.upper[at.of("replicas")])).astype(np.int64)
    )[at.kind("added").index[0]]
    values[at.of("uses")] = used(model, problem, placement.share)
    peak, left_out = counted_peak(model, problem, placement.share)
    values[at.of("peak")], values[at.of("left_out")] = peak, left_out
    set_reserve(problem, at, values, placement.share, placement.backup)
    return np.minimum(values, model.upper)


def used(model: Model, problem: Problem, share: Float) -> Bool:
    """Which (demand row, site) of the "uses" columns serve at all."""
    demand, site = model.columns.kind("uses").index
    served = np.zeros(problem.demands * problem.sites, np.bool_)
    pair = share > 0
    served[problem.pair_demand[pair] * problem.sites + problem.pair_site[pair]] = True
    return np.asarray(served[demand * problem.sites + site], np.bool_)


def counted_peak(model: Model, problem: Problem, share: Float) -> tuple[Float, Bool]:
    """The counted peak of every "peak" column in Mbit/s, and which "left_out" columns are set for it.

    The busiest slices are left out first, as in `solvers.solution.peak_mbps`.
    """
    at = model.columns
    site = at.kind("peak").index[0]
    place, when = at.kind("left_out").index
    chosen = np.zeros(len(place), np.bool_)
    transit = problem.rules.transit
    if transit is None:
        return np.zeros(0), chosen
    slices = len(transit.slice_share)
    key = problem.pair_site * slices + problem.demand_slice[problem.pair_demand]
    flow = np.bincount(key, problem.out_mbps[problem.pair_demand] * share, problem.sites * slices)
    flow = flow.reshape(problem.sites, slices)
    order = np.argsort(-flow, axis=1, kind="stable")
    lasting = np.cumsum(transit.slice_share[order], axis=1)
    free = lasting <= transit.free[:, None] * (1 + 1e-12)
    out = np.zeros(flow.shape, np.bool_)
    np.put_along_axis(out, order, free, axis=1)
    chosen = out[place, when]
    return np.where(out, 0.0, flow).max(axis=1, initial=0.0)[site], chosen


def placement_of(problem: Problem, model: Model, values: Float) -> Placement:
    """Columns as a placement, with the last digits of the simplex taken off: shares in 0..1, rows summing to 1."""
    at = model.columns
    share = np.clip(values[at.of("share")], 0.0, 1.0)
    share[share < 1e-11] = 0.0
    served = np.bincount(problem.pair_demand, share, problem.demands)
    must = np.isinf(problem.unserved_usd)
    # A row that must be served, or is served a hair too often, is brought to exactly 1 by its shares.
    divisor = np.where(must & (served > 0), served, np.maximum(served, 1.0))
    share /= divisor[problem.pair_demand]
    unserved = np.where(must, 0.0, np.clip(1.0 - np.minimum(served, 1.0), 0.0, 1.0))
    return Placement(
        open=values[at.of("open")] > 0.5,
        servers=np.rint(values[at.of("servers")]).astype(np.int64),
        replicas=np.rint(values[at.of("replicas")]).astype(np.int64),
        share=share,
        unserved=unserved,
        jobs=chosen_options(problem, values[at.of("job")]),
        backup=published_backup(problem, at, values, share),
    )


def chosen_options(problem: Problem, chosen: Float) -> Int:
    """The option that runs each job, J: the one chosen most."""
    jobs = problem.rules.jobs
    if jobs is None or not jobs.options:
        return np.empty(0, np.int64)
    order = np.lexsort((chosen, jobs.option_job))
    last = np.flatnonzero(np.diff(jobs.option_job[order], append=-1))
    return np.asarray(order[last], np.int64)
