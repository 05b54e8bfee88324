"""Small problems whose sites fail, to be varied by tests, and the smallest one for every family of rows of (13)."""

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from solvers.problem import Problem
from solvers.rules import Policy, Reserve, Rules


def sites(count: int, *, policy: Policy = "planned", domains: list[list[int]], **changes: Any) -> Problem:
    """`count` sites alike, one row that any of them could serve and take over; `domains` name the sites that fail.

    A site costs 10, a server 5 and holds one replica; the row fills half of one, and costs 2 at site 0, 3 at site 1, …;
    left unserved it costs 100. `changes` replace fields, "reserve" those of the reserve.
    """
    here = np.arange(count)
    reserve = Reserve(
        np.array([[site in domain for site in range(count)] for domain in domains]),
        np.zeros(count, np.int64),
        here,
        np.full(count, 0.5),
        policy,
    )
    problem = Problem(
        open_usd=np.full(count, 10.0),
        uplink_mbps=np.full(count, np.inf),
        downlink_mbps=np.full(count, np.inf),
        site_limit=np.full((count, 1), np.inf),
        server_gpu=np.array([0]),
        server_gpus=np.array([1]),
        server_use=np.array([[1.0]]),
        offer_site=here,
        offer_server=np.zeros(count, np.int64),
        offer_max=np.full(count, 3),
        offer_usd=np.full(count, 5.0),
        shape_gpu=np.array([0]),
        shape_quarters=np.array([4]),
        shape_model=np.array([0]),
        block_site=here,
        block_shape=np.zeros(count, np.int64),
        block_max=np.full(count, 3),
        block_choice=np.full(count, -1),
        demand_model=np.array([0]),
        demand_slice=np.array([0]),
        unserved_usd=np.array([100.0]),
        out_mbps=np.array([0.0]),
        in_mbps=np.array([0.0]),
        pair_demand=np.zeros(count, np.int64),
        pair_block=here,
        pair_load=np.full(count, 0.5),
        pair_usd=2.0 + here,
        limit_matrix=sp.csr_matrix((0, count)),
        limit_rhs=np.empty(0),
        capacity_factor=1.0,
    )
    reserve = replace(reserve, **changes.pop("reserve", {}))
    return replace(problem, **changes, rules=Rules(reserve=reserve))


def guarded(policy: Policy = "planned", *, load: float = 1.0, together: bool = False) -> Problem:
    """Rows 0 and 1 at home at sites 0 and 1 alone, and site 2, which serves nobody and could take over either.

    Sites 0 and 1 fail one at a time, or `together`. A home costs 10 + 5 + 2, site 2 costs 10 and 5 a server.
    """
    return sites(
        3,
        policy=policy,
        domains=[[0, 1]] if together else [[0], [1]],
        demand_model=np.array([0, 0]),
        demand_slice=np.array([0, 0]),
        unserved_usd=np.array([100.0, 100.0]),
        out_mbps=np.zeros(2),
        in_mbps=np.zeros(2),
        pair_demand=np.array([0, 1]),
        pair_block=np.array([0, 1]),
        pair_load=np.full(2, load),
        pair_usd=np.full(2, 2.0),
        reserve={
            "pair_demand": np.array([0, 1]),
            "pair_block": np.array([2, 2]),
            "pair_load": np.full(2, load),
        },
    )


_UPLINK = {"out_mbps": np.array([8.0]), "uplink_mbps": np.array([np.inf, 6.0])}
_DOWNLINK = {"in_mbps": np.array([8.0]), "downlink_mbps": np.array([np.inf, 6.0])}
_ONE_BACKUP = {"pair_demand": np.array([0]), "pair_block": np.array([1]), "pair_load": np.array([0.5])}

RESERVE_SMALLEST: dict[str, Problem] = {
    "backup_balance": sites(2, domains=[[0]]),
    "survivor_capacity": sites(2, domains=[[0]], pair_load=np.full(2, 1.5), reserve={"pair_load": np.full(2, 1.5)}),
    "survivor_uplink": sites(2, domains=[[0]], **_UPLINK),
    "survivor_downlink": sites(2, domains=[[0]], **_DOWNLINK),
    "backup_linking": sites(2, domains=[[0]], pair_demand=np.array([0]), pair_block=np.array([0]),
                            pair_load=np.array([0.5]), pair_usd=np.array([2.0])),
    "one_first": sites(2, policy="priority", domains=[[0]]),
    "one_second": sites(3, policy="priority", domains=[[0]]),
    "backup_choice": sites(2, policy="priority", domains=[[0]]),
    "backup_order": sites(2, policy="priority", domains=[[0], [1]]),
    "loss_level": sites(2, policy="proportional", domains=[[0]]),
    # Site 1 may back up and site 2 may not: with a level on, nothing is served from there.
    "one_level": sites(3, policy="proportional", domains=[[0]], reserve=_ONE_BACKUP),
    "level_share": sites(2, policy="proportional", domains=[[0]]),
    "level_reserve": sites(2, policy="proportional", domains=[[0]]),
}  # fmt: skip
