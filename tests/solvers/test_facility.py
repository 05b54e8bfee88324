"""The exact solver against published optima of facility location, from ../shared/data/facility.

The rest of the instances, and those that take minutes, are in `python -m bench facility`.
"""

import gzip
from pathlib import Path

import pytest
from reference import reference_data
from thorough import THOROUGH, seeds

from solvers.exact import solve_exact
from solvers.instances.facility import published, read_facility, read_pmedian, read_tbed1
from solvers.problem import Problem
from solvers.solution import Status

QUICK_HOLMBERG = [*range(1, 25), 33, 34, 35, *range(37, 51), 52, 53, 54, 55, 60, 61, 64, 65, 68, 69]
"""Each proved in about a second; the others take up to minutes."""
QUICKEST_HOLMBERG = [1, 4, 9, 13, 17, 22, 34, 38, 41, 46, 53, 60]
"""Some of every size and capacity."""


def _proved(problem: Problem, path: Path, value: float, backend: str = "highs") -> None:
    found = solve_exact(problem, backend=backend, gap=1e-7)
    assert found.status == Status.OPTIMAL, path.name
    # The published values are cut or rounded to two or three decimals.
    assert found.objective_usd == pytest.approx(value, abs=0.011), path.name
    assert found.bound_usd <= found.objective_usd, path.name


@pytest.mark.parametrize("single_source", [False, True])
@pytest.mark.parametrize("first", [1, 9, 17])
def test_all_orlib_cap_instances_reach_the_published_optimum(first: int, single_source: bool) -> None:
    for number in range(first, first + 8):
        path = reference_data() / "facility" / "orlib_cap" / f"p{number}"
        _proved(read_facility(path, single_source=single_source), path, published(path, single_source=single_source))


def test_scip_reaches_the_published_optima_too() -> None:
    for number, single_source in ((1, True), (4, False), (10, True), (12, False), (18, True), (20, False)):
        path = reference_data() / "facility" / "orlib_cap" / f"p{number}"
        value = published(path, single_source=single_source)
        _proved(read_facility(path, single_source=single_source), path, value, backend="scip")


def test_cp_sat_reaches_a_published_single_source_optimum() -> None:
    path = reference_data() / "facility" / "holmberg" / "p1"
    _proved(read_facility(path, single_source=True), path, published(path, single_source=True), backend="cp-sat")


@pytest.mark.parametrize("part", range(4))
def test_holmberg_instances_reach_the_published_single_source_optimum(part: int) -> None:
    for number in seeds(QUICK_HOLMBERG, QUICKEST_HOLMBERG)[part::4]:
        path = reference_data() / "facility" / "holmberg" / f"p{number}"
        _proved(read_facility(path, single_source=True), path, published(path, single_source=True))


@pytest.mark.skipif(not THOROUGH, reason="half a minute of branch and bound: make soak")
def test_a_tbed1_instance_of_300_by_300_reaches_the_published_optimum() -> None:
    path = reference_data() / "facility" / "tbed1_tb1" / "p1.gz"
    _proved(read_tbed1(path, single_source=False), path, published(path, single_source=False))


def test_a_p_median_reaches_the_published_optimum() -> None:
    path = reference_data() / "facility" / "pmed" / "pmed1.txt"
    _proved(read_pmedian(path), path, published(path, single_source=False))


def test_splitting_a_customer_is_never_dearer_and_here_cheaper() -> None:
    path = reference_data() / "facility" / "orlib_cap" / "p4"
    split, whole = published(path, single_source=False), published(path, single_source=True)
    assert split == pytest.approx(1045650.250)
    assert whole == pytest.approx(1053197.44)


def test_a_small_file_is_read_as_a_hand_reads_it(tmp_path: Path) -> None:
    """Capacities 4 and 4, demands 3 and 5: the second customer is split, 4/5 at facility 2 and 1/5 at facility 1."""
    path = tmp_path / "p1"
    path.write_text("2 2\n4 10\n4 20\n3 5\n1 2\n5 1\n\x1a")
    found = solve_exact(read_facility(path, single_source=False))
    assert found.objective_usd == pytest.approx(10 + 20 + 1 + 1 * 4 / 5 + 2 * 1 / 5)
    assert solve_exact(read_facility(path, single_source=True)).status == Status.INFEASIBLE


def test_unit_costs_are_multiplied_by_the_demand(tmp_path: Path) -> None:
    path = tmp_path / "p1.gz"
    path.write_bytes(gzip.compress(b"2 2\n3 4\n4 5\n10 20\n1 2\n5 1\n"))
    # Customer 1 (3 units at 1) at facility 1, customer 2 (4 units at 1) at facility 2.
    assert solve_exact(read_tbed1(path, single_source=True)).objective_usd == pytest.approx(30 + 3 * 1 + 4 * 1)


def test_the_last_length_of_a_repeated_edge_counts(tmp_path: Path) -> None:
    path = tmp_path / "pmed1.txt"
    path.write_text("3 3 1\n1 2 9\n2 3 4\n1 2 2\n")
    assert solve_exact(read_pmedian(path)).objective_usd == pytest.approx(2 + 4)


def test_a_file_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "p9"
    path.write_text("2 2\n4 10\n5 20\n3 4\n1 2\n5\n")
    with pytest.raises(ValueError, match="p9 holds 11 numbers; its first line promises 12"):
        read_facility(path, single_source=False)
