"""Rows that are left out and bounds that are tightened lose no plan."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each, two_blocks
from test_exact_lp import TWO_SERVERS

from solvers.exact import build_model
from solvers.exact.bounds import most
from solvers.exact.values import vector
from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.solution import Placement


def _gpu_rows(quarters: list[int], server_gpus: list[int]) -> list[int]:
    """The sizes (quarter GPUs) for which equation 6 keeps a row, one site, one GPU type."""
    shapes, servers = len(quarters), len(server_gpus)
    problem = one_of_each(
        shape_gpu=np.zeros(shapes, np.int64),
        shape_quarters=np.array(quarters),
        shape_model=np.zeros(shapes, np.int64),
        block_site=np.zeros(shapes, np.int64),
        block_shape=np.arange(shapes),
        block_max=np.full(shapes, 3),
        block_choice=np.full(shapes, -1),
        server_gpu=np.zeros(servers, np.int64),
        server_gpus=np.array(server_gpus),
        server_use=np.ones((servers, 1)),
        offer_site=np.zeros(servers, np.int64),
        offer_server=np.arange(servers),
        offer_max=np.full(servers, 3),
        offer_usd=np.full(servers, 5.0),
        limit_matrix=sp.csr_matrix((0, servers)),
    )
    return _sizes(problem)


def _sizes(problem: Problem) -> list[int]:
    rows = next(rows for rows in build_model(problem).families if rows.family == "gpus")
    return dict(rows.labels)["s"].tolist()


@pytest.mark.parametrize(
    ("quarters", "server_gpus", "kept"),
    [
        ([4], [8], [1]),  # one size of replica, every server large enough
        ([1, 2, 4], [1, 2, 4], [1]),  # nothing larger than a server
        ([4, 32], [8], [1]),  # the row of eight GPUs says less than that of all
        # No small replica: the row of all says less. Sizes of four and of eight GPUs read the same: the first stays.
        ([32], [2, 8], [16]),
        ([4, 32], [2, 8], [1, 16]),
        ([4, 8, 16, 32], [1, 2, 4, 8], [1, 8, 16, 32]),
        ([4, 16], [2, 8], [1, 16]),
        ([16], [1], [8]),  # no server is large enough from two GPUs on: one row with nothing on the right
    ],
)
def test_only_the_sizes_of_equation_6_that_can_bind_have_rows(
    quarters: list[int], server_gpus: list[int], kept: list[int]
) -> None:
    assert _gpu_rows(quarters, server_gpus) == kept


def test_the_kept_gpu_rows_allow_exactly_what_all_the_rows_allow() -> None:
    """Every count of replicas and servers up to two, on a site with every size of both."""
    quarters, server_gpus = [4, 8, 16], [2, 4]
    kept = _gpu_rows(quarters, server_gpus)

    def allowed(replicas: tuple[int, ...], servers: tuple[int, ...], sizes: tuple[int, ...] | list[int]) -> bool:
        return all(
            sum(q * y for q, y in zip(quarters, replicas, strict=True) if q >= s)
            <= sum(4 * g * n for g, n in zip(server_gpus, servers, strict=True) if 4 * g >= s)
            for s in sizes
        )

    for replicas, servers in product(product(range(3), repeat=3), product(range(3), repeat=2)):
        assert allowed(replicas, servers, kept) == allowed(replicas, servers, (1, 8, 16, 32))


def test_rows_that_nothing_could_break_are_left_out() -> None:
    roomy = one_of_each(
        site_limit=np.array([[3.0]]),
        out_mbps=np.array([4.0]),
        uplink_mbps=np.array([4.0]),
        monthly_budget_usd=np.inf,
    )
    families = {rows.family: rows.count for rows in build_model(roomy).families}
    assert families["site_resources"] == families["uplink"] == families["downlink"] == families["limits"] == 0
    assert families["monthly_budget"] == families["operating_point"] == families["one_operating_point"] == 0


def test_a_single_operating_point_needs_no_choice() -> None:
    alone = build_model(two_blocks(block_choice=np.array([3, 4])))
    assert alone.columns.kind("choice").count == 0


def test_a_replica_that_is_all_or_nothing_is_its_own_choice() -> None:
    """Half a replica of demand: neither block is worth a second replica, so no extra column is made."""
    model = build_model(two_blocks(block_choice=np.array([0, 0])))
    assert len(model.columns.kind("choice").index[0]) == 0
    larger = build_model(two_blocks(block_choice=np.array([0, 0]), pair_load=np.array([1.5, 0.5])))
    assert larger.columns.kind("choice").index[0].tolist() == [0]


def test_upper_bounds_are_what_demand_power_gpus_and_stock_allow() -> None:
    demand = most(one_of_each(pair_load=np.array([1.2])))
    assert demand.replicas.tolist() == [2]
    assert demand.servers.tolist() == [2], "more servers than replicas are no use"
    power = most(one_of_each(pair_load=np.array([2.5]), server_use=np.array([[0.7]]), site_limit=np.array([[1.4]])))
    assert power.servers.tolist() == [2]
    assert power.replicas.tolist() == [2]
    assert power.share == pytest.approx([2 / 2.5])
    # 4.5 kW in all: servers of one GPU at 1.0 kW and two GPUs at 1.5 kW hold six GPUs at most, not nine.
    gpus = most(
        one_of_each(
            pair_load=np.array([9.0]),
            block_max=np.array([9]),
            server_use=np.array([[1.0], [1.5]]),
            site_limit=np.array([[4.5]]),
            **TWO_SERVERS,
        )
    )
    assert gpus.replicas.tolist() == [6]


def test_the_bound_on_replicas_counts_the_busiest_slice_not_all_of_them() -> None:
    problem = one_of_each(
        demand_model=np.array([0, 0]),
        demand_slice=np.array([0, 1]),
        unserved_usd=np.array([100.0, 100.0]),
        out_mbps=np.zeros(2),
        in_mbps=np.zeros(2),
        pair_demand=np.array([0, 1]),
        pair_block=np.array([0, 0]),
        pair_load=np.array([0.8, 0.9]),
        pair_usd=np.array([2.0, 2.0]),
    )
    assert most(problem).replicas.tolist() == [1]
    assert most(replace(problem, demand_slice=np.array([0, 0]))).replicas.tolist() == [2]


def test_scaling_a_row_changes_no_digit() -> None:
    for seed in range(40):
        model = build_model(random_tiny(seed))
        mantissa, _ = np.frexp(model.row_scale)
        assert (mantissa == 0.5).all()
        assert (np.diff(model.matrix.indptr) >= 0).all()
        assert model.matrix.has_canonical_format


def test_a_plan_as_a_vector_keeps_every_row_of_the_model() -> None:
    """The plan that a hand makes: one server, one replica, the row served."""
    problem = one_of_each(monthly_budget_usd=17.0, out_mbps=np.array([8.0]), uplink_mbps=np.array([8.0]))
    placement = Placement(np.array([True]), np.array([1]), np.array([1]), np.array([1.0]), np.array([0.0]))
    model = build_model(problem)
    values = vector(model, problem, placement)
    assert model.cost @ values == pytest.approx(17.0)
    activity = model.matrix @ values
    assert (activity <= model.row_upper + 1e-12).all()
    assert (activity >= model.row_lower - 1e-12).all()
