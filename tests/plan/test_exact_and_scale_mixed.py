"""Random small scenarios with all rule families mixed: bound of the search ≤ optimum ≤ plan of the search, all audited.

`python -m bench.mixed` runs hundreds of them, these and the slow ones.
"""

from pathlib import Path

import pytest
from thorough import seeds

from bench.mixed import mixed

SLOW = (7, 12)  # branch and bound takes half a minute for each
QUICK = (0, 1, 2, 3, 5, 10, 11, 17, 21, 22)
"""Every rule at least once; N-1 with jobs, slices and periods; slices that are followed, with moves and with pins."""


@pytest.mark.parametrize("seed", sorted(seeds({*range(24)} - {*SLOW}, {*QUICK})))
def test_the_search_is_between_its_bound_and_no_better_than_the_optimum(seed: int, tmp_path: Path) -> None:
    found = mixed(seed, tmp_path, work=2, sweeps=30)
    assert found.wrong == "", (found.rules, found.wrong)
    assert found.ended != "not closed"
