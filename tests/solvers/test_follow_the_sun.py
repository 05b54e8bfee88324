"""Capacity is bought once and shared around the clock: fewer GPUs than the sum of the local peaks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each

from solvers.exact import solve_exact
from solvers.instances.tiny_ruled import following
from solvers.problem import Problem
from solvers.rules import Jobs, Rules

DAY_A, DAY_B = 0, 1


def three_sites(reach: np.ndarray) -> Problem:
    """Regions A and B, each with two models (chat, code), and a site in each of them and one between.

    In its day a region keeps four GPUs busy with chat, in its night one; with code one and three. `reach` says which
    (region, site) pairs exist. A server has one GPU and costs 100, opening a site 1, a route nothing.
    """
    rows = [(region, model, when) for region in range(2) for model in range(2) for when in (DAY_A, DAY_B)]
    region, model, when = (np.array(column) for column in zip(*rows, strict=True))
    load = np.where(model == 0, np.where(region == when, 4.0, 1.0), np.where(region == when, 1.0, 3.0))
    block_site, block_model = np.repeat(np.arange(3), 2), np.tile([0, 1], 3)
    pair_demand, pair_block = np.nonzero((block_model[None] == model[:, None]) & reach[region][:, block_site])
    arrays: dict[str, Any] = {
        "open_usd": np.ones(3),
        "uplink_mbps": np.full(3, np.inf),
        "downlink_mbps": np.full(3, np.inf),
        "site_limit": np.full((3, 1), np.inf),
        "offer_site": np.arange(3),
        "offer_server": np.zeros(3, np.int64),
        "offer_max": np.full(3, 30),
        "offer_usd": np.full(3, 100.0),
        "limit_matrix": sp.csr_matrix((0, 3)),
        "shape_gpu": np.zeros(2, np.int64),
        "shape_quarters": np.full(2, 4),
        "shape_model": np.arange(2),
        "block_site": block_site,
        "block_shape": block_model,
        "block_max": np.full(6, 30),
        "block_choice": np.full(6, -1),
        "demand_model": model,
        "demand_slice": when,
        "unserved_usd": np.full(8, 1e5),
        "out_mbps": np.zeros(8),
        "in_mbps": np.zeros(8),
        "pair_demand": pair_demand,
        "pair_block": pair_block,
        "pair_load": load[pair_demand],
        "pair_usd": np.zeros(len(pair_demand)),
    }
    return one_of_each(**arrays)


LOCAL = np.array([[True, False, False], [False, True, False]])
SHARED = np.array([[True, False, True], [False, True, True]])


def bought(problem: Problem, backend: str = "highs") -> int:
    found = solve_exact(problem, backend=backend, gap=1e-9)
    assert found.placement is not None
    assert found.placement.unserved.max() == 0
    return int(found.placement.servers.sum())


@pytest.mark.parametrize("backend", ["highs", "scip"])
def test_following_the_sun_buys_fewer_gpus_than_the_sum_of_local_peaks(backend: str) -> None:
    """By hand. At home and around the clock: 4 + 3 a region, 14 in all, the sum of the local peaks of the models.

    Around the clock between the regions: chat 4 + 1 and code 1 + 3 in either slice, 9. At home with replicas that
    follow: a region needs 4 + 1 by day and 1 + 3 by night, 5, so 10. Following between the regions: 4 + 1 + 1 + 3 in
    either slice, 9.
    """
    assert bought(three_sites(LOCAL), backend) == 14
    assert bought(following(three_sites(LOCAL)), backend) == 10
    assert bought(three_sites(SHARED), backend) == 9
    assert bought(following(three_sites(SHARED)), backend) == 9


def test_a_job_runs_for_nothing_where_the_night_leaves_gpus_idle() -> None:
    """Four GPUs of a region's chat by day, one by night: a gang of two GPUs fits in the night alone."""
    chat = three_sites(LOCAL)
    keep = np.flatnonzero((chat.demand_model[chat.pair_demand] == 0) & (chat.pair_site == 0))
    alone = replace(
        chat,
        pair_demand=chat.pair_demand[keep],
        pair_block=chat.pair_block[keep],
        pair_load=chat.pair_load[keep],
        pair_usd=chat.pair_usd[keep],
        server_gpus=np.array([2]),
    )
    alone = following(alone)
    without = solve_exact(alone, gap=1e-9).objective_usd

    def with_job(*slices: bool) -> float:
        jobs = Jobs(1, np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([8]),
                    np.array([slices]), np.array([7.0]))  # fmt: skip
        return solve_exact(replace(alone, rules=Rules(jobs=jobs)), gap=1e-9).objective_usd

    assert with_job(False, True) == pytest.approx(without + 7)
    assert with_job(True, False) == pytest.approx(without + 7 + 100)
    assert with_job(True, True) == pytest.approx(without + 7 + 100)
