"""The smallest problem of all, to be varied by tests: one site, one server, one shape, one demand row."""

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from solvers.problem import Problem


def one_of_each(**changes: Any) -> Problem:
    """One site, one server of one GPU, one block of one-GPU replicas, one row served by it; `changes` replace fields.

    Opening costs 10, the server 5, serving the row 2, leaving it 100; it fills half a replica.
    """
    problem = Problem(
        open_usd=np.array([10.0]),
        uplink_mbps=np.array([np.inf]),
        downlink_mbps=np.array([np.inf]),
        site_limit=np.array([[np.inf]]),
        server_gpu=np.array([0]),
        server_gpus=np.array([1]),
        server_use=np.array([[1.0]]),
        offer_site=np.array([0]),
        offer_server=np.array([0]),
        offer_max=np.array([3]),
        offer_usd=np.array([5.0]),
        shape_gpu=np.array([0]),
        shape_quarters=np.array([4]),
        shape_model=np.array([0]),
        block_site=np.array([0]),
        block_shape=np.array([0]),
        block_max=np.array([3]),
        block_choice=np.array([-1]),
        demand_model=np.array([0]),
        demand_slice=np.array([0]),
        unserved_usd=np.array([100.0]),
        out_mbps=np.array([0.0]),
        in_mbps=np.array([0.0]),
        pair_demand=np.array([0]),
        pair_block=np.array([0]),
        pair_load=np.array([0.5]),
        pair_usd=np.array([2.0]),
        limit_matrix=sp.csr_matrix((0, 1)),
        limit_rhs=np.empty(0),
        capacity_factor=1.0,
    )
    return replace(problem, **changes)


def two_blocks(**changes: Any) -> Problem:
    """The same with two shapes at the site, the row served by either; `changes` replace fields."""
    both: dict[str, Any] = {
        "shape_gpu": np.array([0, 0]),
        "shape_quarters": np.array([4, 4]),
        "shape_model": np.array([0, 0]),
        "block_site": np.array([0, 0]),
        "block_shape": np.array([0, 1]),
        "block_max": np.array([3, 3]),
        "block_choice": np.array([-1, -1]),
        "pair_demand": np.array([0, 0]),
        "pair_block": np.array([0, 1]),
        "pair_load": np.array([0.5, 0.5]),
        "pair_usd": np.array([2.0, 2.0]),
    }
    return one_of_each(**(both | changes))


def two_sites(**changes: Any) -> Problem:
    """The same at two sites alike, the row served from either or both; `changes` replace fields."""
    both: dict[str, Any] = {
        "open_usd": np.array([10.0, 10.0]),
        "uplink_mbps": np.array([np.inf, np.inf]),
        "downlink_mbps": np.array([np.inf, np.inf]),
        "site_limit": np.array([[np.inf], [np.inf]]),
        "offer_site": np.array([0, 1]),
        "offer_server": np.array([0, 0]),
        "offer_max": np.array([3, 3]),
        "offer_usd": np.array([5.0, 5.0]),
        "block_site": np.array([0, 1]),
        "block_shape": np.array([0, 0]),
        "block_max": np.array([3, 3]),
        "block_choice": np.array([-1, -1]),
        "pair_demand": np.array([0, 0]),
        "pair_block": np.array([0, 1]),
        "pair_load": np.array([0.5, 0.5]),
        "pair_usd": np.array([2.0, 2.0]),
        "limit_matrix": sp.csr_matrix((0, 2)),
    }
    return one_of_each(**(both | changes))


def two_rows(**changes: Any) -> Problem:
    """Two sites alike with nothing to open, and two rows that either may serve at no cost; `changes` replace fields.

    A server of one GPU costs 8 and holds one replica; each row fills three quarters of one.
    """
    rows: dict[str, Any] = {
        "open_usd": np.zeros(2),
        "offer_usd": np.full(2, 8.0),
        "demand_model": np.zeros(2, np.int64),
        "demand_slice": np.zeros(2, np.int64),
        "unserved_usd": np.full(2, 100.0),
        "out_mbps": np.zeros(2),
        "in_mbps": np.zeros(2),
        "pair_demand": np.array([0, 0, 1, 1]),
        "pair_block": np.array([0, 1, 0, 1]),
        "pair_load": np.full(4, 0.75),
        "pair_usd": np.zeros(4),
    }
    return two_sites(**(rows | changes))


def two_slices(**changes: Any) -> Problem:
    """One site and a row in each of two slices, 8 and 5 Mbit/s; `changes` replace fields.

    Replicas stand around the clock, or follow the slices where `block_slice` says so.
    """
    both: dict[str, Any] = {
        "demand_model": np.array([0, 0]),
        "demand_slice": np.array([0, 1]),
        "unserved_usd": np.array([100.0, 100.0]),
        "out_mbps": np.array([8.0, 5.0]),
        "in_mbps": np.array([0.0, 0.0]),
        "pair_demand": np.array([0, 1]),
        "pair_block": np.array([0, 0]),
        "pair_load": np.array([0.5, 0.5]),
        "pair_usd": np.array([2.0, 2.0]),
    }
    if "block_slice" in changes:
        both |= {
            "block_site": np.array([0, 0]),
            "block_shape": np.array([0, 0]),
            "block_max": np.array([3, 3]),
            "block_choice": np.array([-1, -1]),
            "pair_block": np.array([0, 1]),
        }
    return one_of_each(**(both | changes))
