"""The reading, checking and bounding of facility location, on a file written by hand."""

from pathlib import Path

import numpy as np
import pytest

from bench.tools.facility_check import Instance, bound_usd, checked_usd, read

# Two facilities (capacity, fixed cost), three customers (demand), the cost of each whole demand.
CAP = "2 3\n 10 7\n 6 4\n 3 5 4\n 1 2 3\n 2 2 1\n"


def instance(folder: Path, *, single_source: bool = False) -> Instance:
    path = folder / "orlib_cap" / "p1"
    path.parent.mkdir()
    path.write_text(CAP)
    return read(path, single_source=single_source)


def test_a_plan_costs_what_paper_says(tmp_path: Path) -> None:
    """Both open, 11; customer 0 and 1 at facility 0, 1 + 2; customer 2 at facility 1, 1."""
    share = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert checked_usd(instance(tmp_path), np.array([True, True]), share) == (15.0, "")


@pytest.mark.parametrize(
    ("opened", "share", "fault"),
    [
        ([True, False], [[1, 1, 0], [0, 0, 1]], "a closed facility serves"),
        ([True, False], [[1, 1, 1], [0, 0, 0]], "capacity"),
        ([True, True], [[1, 1, 0], [0, 0, 0.5]], "a customer is not served once"),
        ([True, True], [[1, 0.5, 0], [0, 0.5, 1]], "capacity; a customer is split"),
        ([True, True], [[1, 1.5, 0], [0, -0.5, 1]], "a share outside of 0..1"),
    ],
)
def test_what_a_plan_breaks_is_named(opened: list[bool], share: list[list[float]], fault: str, tmp_path: Path) -> None:
    found = checked_usd(instance(tmp_path, single_source=True), np.array(opened), np.array(share, np.float64))[1]
    assert fault in found


def test_prices_prove_what_paper_says(tmp_path: Path) -> None:
    """At 6 each customers pay 5, 4, 3 beyond their cost at facility 0, whose 10 units take two and half of the third:
    10.5 − 7. At facility 1, 4, 4, 5 and 6 units: the first, and three quarters of the last: 7.75 − 4. 18 less both.
    """
    assert bound_usd(instance(tmp_path), np.full(3, 6.0)) == pytest.approx(10.75)


def test_what_still_lacks_for_the_demand_counts(tmp_path: Path) -> None:
    """At no price nothing earns, and 12 units need facility 1 (6 for 4) and six tenths of facility 0 (10 for 7)."""
    assert bound_usd(instance(tmp_path), np.zeros(3)) == pytest.approx(4 + 0.6 * 7)


def test_a_p_median_opens_so_many_and_no_more(tmp_path: Path) -> None:
    """A path 0 – 1 – 2 – 3 with steps 1, 5, 1: two medians cost 2. The last length of an edge counts."""
    path = tmp_path / "pmed" / "pmed1.txt"
    path.parent.mkdir()
    path.write_text("4 4 2\n1 2 9\n2 3 5\n3 4 1\n1 2 1\n")
    median = read(path, single_source=False)
    assert median.usd[0].tolist() == [0, 1, 6, 7]
    share = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], np.float64)
    assert checked_usd(median, np.array([True, False, True, False]), share) == (2.0, "")
    assert checked_usd(median, np.ones(4, np.bool_), share)[1] == "too many facilities"
    # At 2 each every facility earns 2 + 1: 8 − 2·3.
    assert bound_usd(median, np.full(4, 2.0)) == pytest.approx(2.0)
