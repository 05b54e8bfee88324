"""Random roll-outs small enough to enumerate, in which what ties the periods matters."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.problem import Problem
from solvers.rollout import Rollout


def random_rollout(seed: int, *, periods: int = 2) -> Rollout:
    """A random roll-out of one or two sites; the same seed gives the same one.

    Every site buys servers and mostly rents them, too. Demand and prices move from period to period; stock, installs
    and capex are limited now and then, rows must be served now and then. Some are infeasible.
    """
    draw = np.random.default_rng(seed)
    first = _first(draw)
    problems = []
    for _ in range(periods):
        growth = draw.choice([0.3, 0.6, 1.0, 1.6], first.demands)
        problems.append(
            replace(
                first,
                pair_load=(first.pair_load * growth[first.pair_demand]).round(3),
                pair_usd=(first.pair_usd * draw.uniform(0.5, 1.5)).round(2),
                unserved_usd=(first.unserved_usd * growth).round(1),
                offer_usd=(first.offer_usd * draw.uniform(0.8, 1.2)).round(2),
                limit_rhs=np.where(draw.random(1) < 0.3, draw.integers(1, 5, 1), np.inf),
            )
        )
    rented = first.offer_usd > 6
    limits = draw.choice([0.0, 1.0, 2.0, 3.0], (2, periods), p=[0.15, 0.4, 0.3, 0.15])
    return Rollout(
        tuple(problems),
        draw.integers(1, 7, periods).astype(np.float64),
        ~rented,
        draw.random(first.offers) < 0.8,
        np.where(rented & (draw.random() < 0.8), 0.0, draw.choice([1.0, 2.0], first.offers)),
        np.where(draw.random(periods) < 0.5, limits[0], np.inf),
        np.where(draw.random(periods) < 0.4, 1.5 * limits[1], np.inf),
    )


def _first(draw: np.random.Generator) -> Problem:
    """The problem before its demand and prices move: servers of one GPU bought for 3–6 a month, rented for 7–9."""
    sites, demands = int(draw.integers(1, 3)), int(draw.integers(1, 4))
    rents = draw.random(sites) < 0.7
    offer_site = np.repeat(np.arange(sites), 1 + rents)
    bought = np.diff(offer_site, prepend=-1) > 0
    candidate = draw.random((demands, sites)) < 0.8
    pair_demand, pair_block = np.nonzero(candidate)
    pairs, offers = len(pair_demand), len(offer_site)
    must = draw.random(demands) < 0.1
    return Problem(
        open_usd=draw.uniform(0, 6, sites).round(2),
        uplink_mbps=np.full(sites, np.inf),
        downlink_mbps=np.full(sites, np.inf),
        site_limit=np.where(draw.random((sites, 1)) < 0.3, 2.0, np.inf),
        server_gpu=np.array([0]),
        server_gpus=np.array([1]),
        server_use=np.array([[1.0]]),
        offer_site=offer_site,
        offer_server=np.zeros(offers, np.int64),
        offer_max=np.where(bought, 3, 2),
        offer_usd=np.where(bought, draw.uniform(3, 5, offers), draw.uniform(7, 9, offers)).round(2),
        shape_gpu=np.array([0]),
        shape_quarters=np.array([4]),
        shape_model=np.array([0]),
        block_site=np.arange(sites),
        block_shape=np.zeros(sites, np.int64),
        block_max=np.full(sites, 4),
        block_choice=np.full(sites, -1),
        demand_model=np.zeros(demands, np.int64),
        demand_slice=draw.integers(0, 2, demands),
        unserved_usd=np.where(must, np.inf, draw.uniform(10, 60, demands).round(1)),
        out_mbps=np.zeros(demands),
        in_mbps=np.zeros(demands),
        pair_demand=pair_demand.astype(np.int64),
        pair_block=pair_block.astype(np.int64),
        pair_load=draw.uniform(0.4, 2.2, pairs).round(3),
        pair_usd=draw.uniform(0, 4, pairs).round(2),
        limit_matrix=sp.csr_matrix(np.ones((1, offers)) * bought),
        limit_rhs=np.array([np.inf]),
    )
