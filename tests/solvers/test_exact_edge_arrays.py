"""The reader of the reference edge instances, on two sites and two classes written by hand."""

from pathlib import Path

import numpy as np
import pytest

from solvers.exact import solve_exact
from solvers.instances.edge_arrays import read_edge_arrays
from solvers.solution import Status


def _write(path: Path) -> None:
    """Two sites, models of half a GPU and of one; site 0 serves both classes, site 1 only the second."""
    np.savez(
        path,
        class_region=np.array([0, 0]),
        class_model=np.array([0, 1]),
        demand=np.array([1.5, 0.8]),  # replicas
        pair_class=np.array([0, 1, 1]),
        pair_site=np.array([0, 0, 1]),
        pair_cost=np.array([3.0, 4.0, 1.0]),
        replica_site=np.array([0, 0, 1]),
        replica_model=np.array([0, 1, 1]),
        gpus_per_replica=np.array([0.5, 1.0]),
        open_cost=np.array([10.0, 20.0]),
        server_cost=np.array([[30.0, 54.0, 100.0], [30.0, 54.0, 100.0]]),
        replica_cost=np.array([1.0, 1.5]),
        gpu_slots=np.array([4, 4]),
        power_kw=np.array([3.2, 3.2]),
        rack_units=np.array([6.0, 6.0]),
        uplink=np.array([2.5, 2.5]),
        uplink_per_replica=np.array([1.0, 1.0]),
        unserved_cost=np.array([660.0, 380.0]),
        inventory=np.array([4.0, 1.0, 0.0]),
    )


def test_the_arrays_become_a_problem_whose_optimum_a_hand_can_add_up(tmp_path: Path) -> None:
    """Both classes at site 0: two half-GPU replicas and a one-GPU replica fill one server of two GPUs."""
    _write(tmp_path / "two.npz")
    found = solve_exact(read_edge_arrays(tmp_path / "two.npz"))
    assert found.status == Status.OPTIMAL
    assert found.placement is not None
    assert found.placement.replicas.tolist() == [2, 1, 0]
    assert found.placement.servers.tolist() == [1, 0, 0, 0, 0, 0]
    # Open 10, server 30, pairs 3 + 4, and whole replicas: 2 × 1.0 + 1 × 1.5.
    assert found.objective_usd == pytest.approx(10 + 30 + 3 + 4 + 2.0 + 1.5)


def test_bandwidth_is_gigabits_in_the_arrays_and_megabits_in_the_problem(tmp_path: Path) -> None:
    _write(tmp_path / "two.npz")
    problem = read_edge_arrays(tmp_path / "two.npz")
    assert problem.uplink_mbps.tolist() == [2500.0, 2500.0]
    assert problem.out_mbps == pytest.approx([1500.0, 800.0])


def test_the_stock_of_a_kind_of_server_counts_it_at_every_site(tmp_path: Path) -> None:
    _write(tmp_path / "two.npz")
    problem = read_edge_arrays(tmp_path / "two.npz")
    one_of_each_kind_at_both = np.ones(6)
    assert (problem.limit_matrix @ one_of_each_kind_at_both).tolist() == [2.0, 2.0, 2.0]
    assert problem.limit_rhs.tolist() == [4.0, 1.0, 0.0]
