"""Random problems small enough to enumerate, with every rule of the problem present now and then."""

import numpy as np
import scipy.sparse as sp

from solvers.problem import CAPACITY_FACTOR, Float, Int, Problem

_QUARTERS = np.array([1, 2, 4, 8, 16, 32])
_LIKELY = np.array([0.15, 0.2, 0.3, 0.2, 0.1, 0.05])


def random_tiny(seed: int, *, single_source: bool | None = None, replica_price: bool = False) -> Problem:
    """A random problem of 1–3 sites and a few pairs; the same seed gives the same problem.

    Some have several slices, GPU types, sizes, exclusive operating points, stock and capex rows, uplinks, a budget,
    rows that must be served, and rows that nobody can serve. Costs are ≥ 0; a few seeds are infeasible.
    With `replica_price` each replica costs something too.
    """
    draw = np.random.default_rng(seed)
    sites, gpus = int(draw.integers(1, 4)), 1 + int(draw.random() < 0.3)
    servers = int(draw.integers(gpus, gpus + 2))
    server_gpu = np.concatenate([np.arange(gpus), draw.integers(0, gpus, servers - gpus)]).astype(np.int64)
    server_gpus = draw.choice([1, 2, 4, 8], servers, p=[0.35, 0.25, 0.2, 0.2]).astype(np.int64)
    offer_site, offer_server = _some(draw, sites, servers, 5)
    models, shapes = 1 + int(draw.random() < 0.4), int(draw.integers(1, 4))
    shape_gpu = draw.integers(0, gpus, shapes)
    # Sizes repeat often, so that shapes of one (model, GPU, size) are operating points that exclude each other.
    shape_quarters = draw.choice(draw.choice(_QUARTERS, 2, p=_LIKELY), shapes)
    shape_model = draw.integers(0, models, shapes)
    block_site, block_shape = _some(draw, sites, shapes, 5)
    blocks = len(block_site)
    demands, slices = int(draw.integers(1, 5)), int(draw.integers(1, 3))
    demand_model = draw.integers(0, models, demands)
    candidate = (shape_model[block_shape][None, :] == demand_model[:, None]) & (draw.random((demands, blocks)) < 0.8)
    pair_demand, pair_block = np.nonzero(candidate)
    pairs = len(pair_demand)
    rates = draw.uniform(0.1, 2.5, demands)
    choice = np.unique(
        np.stack([block_site, shape_model[block_shape], shape_gpu[block_shape], shape_quarters[block_shape]], axis=1),
        axis=0,
        return_inverse=True,
    )[1]
    limit = sp.csr_matrix(np.round(draw.uniform(0, 3, (2, len(offer_site))) * (draw.random((2, 1)) < 0.5), 1))
    use = np.column_stack([0.5 + 0.6 * server_gpus, server_gpus.astype(float)])
    return Problem(
        open_usd=draw.uniform(0, 5, sites).round(2),
        uplink_mbps=_sometimes(draw, 0.4, draw.uniform(0.5, 4, sites).round(2)),
        downlink_mbps=_sometimes(draw, 0.3, draw.uniform(0.5, 4, sites).round(2)),
        site_limit=np.column_stack(
            [_sometimes(draw, 0.6, draw.uniform(1, 15, sites).round(1)), draw.integers(2, 20, sites).astype(np.float64)]
        ),
        server_gpu=server_gpu,
        server_gpus=server_gpus,
        server_use=use.round(2),
        offer_site=offer_site,
        offer_server=offer_server,
        offer_max=draw.choice([0, 1, 2, 3], len(offer_site), p=[0.05, 0.35, 0.4, 0.2]),
        offer_usd=(server_gpus[offer_server] * draw.uniform(0.3, 1.5, len(offer_site))).round(2),
        shape_gpu=shape_gpu,
        shape_quarters=shape_quarters.astype(np.int64),
        shape_model=shape_model,
        block_site=block_site,
        block_shape=block_shape,
        block_max=draw.choice([0, 1, 2, 3], blocks, p=[0.05, 0.35, 0.4, 0.2]),
        block_choice=choice.astype(np.int64) if draw.random() < 0.7 else np.full(blocks, -1),
        demand_model=demand_model,
        demand_slice=draw.integers(0, slices, demands),
        unserved_usd=_penalties(draw, demands),
        out_mbps=(rates * draw.uniform(0, 2)).round(2),
        in_mbps=(rates * draw.uniform(0, 2)).round(2),
        pair_demand=pair_demand.astype(np.int64),
        pair_block=pair_block.astype(np.int64),
        pair_load=(rates[pair_demand] * draw.uniform(0.2, 1.2, blocks)[pair_block]).round(3)
        * (draw.random() > 0.1),  # now and then no load at all, as in a p-median
        pair_usd=draw.uniform(0, 4, pairs).round(2),
        limit_matrix=limit,
        limit_rhs=_sometimes(draw, 0.8, draw.uniform(0, 9, 2).round(1)),
        monthly_budget_usd=round(float(draw.uniform(5, 40)), 1) if draw.random() < 0.25 else np.inf,
        single_source=bool(draw.random() < 0.2) if single_source is None else single_source,
        capacity_factor=CAPACITY_FACTOR if draw.random() < 0.5 else 1.0,
        replica_usd=draw.uniform(0, 3, blocks).round(2) if replica_price else None,
    )


def _some(draw: np.random.Generator, rows: int, columns: int, most: int) -> tuple[Int, Int]:
    """Up to `most` of the cells of a grid, sorted by (row, column), at least one."""
    cells = np.sort(draw.permutation(rows * columns)[: int(draw.integers(min(2, rows * columns), most + 1))])
    return (cells // columns).astype(np.int64), (cells % columns).astype(np.int64)


def _sometimes(draw: np.random.Generator, chance: float, values: Float) -> Float:
    """Limits of which each is on with that chance."""
    return np.where(draw.random(values.shape) < chance, values, np.inf)


def _penalties(draw: np.random.Generator, demands: int) -> Float:
    usd = draw.uniform(5, 80, demands).round(1)
    return np.where(draw.random(demands) < 0.05, np.inf, usd)
