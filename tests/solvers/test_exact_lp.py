"""One golden LP file per family of constraints, of the smallest problem that shows it, and one for each other form.

Write them anew with `python tests/solvers/test_exact_lp.py`, and read what changed before committing it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each, two_blocks
from small_reserve import RESERVE_SMALLEST
from small_rules import RULES_FORMS, RULES_SMALLEST

from solvers.exact import build_model
from solvers.exact.lp_text import lp_text
from solvers.exact.rows import FAMILIES
from solvers.problem import Problem

GOLDEN = Path(__file__).parent / "golden"

TWO_SERVERS: dict[str, Any] = {
    "server_gpu": np.array([0, 0]),
    "server_gpus": np.array([1, 2]),
    "offer_site": np.array([0, 0]),
    "offer_server": np.array([0, 1]),
    "offer_max": np.array([3, 3]),
    "offer_usd": np.array([5.0, 9.0]),
    "limit_matrix": sp.csr_matrix((0, 2)),
}

SMALLEST: dict[str, Problem] = {
    "demand": one_of_each(),
    "replica_capacity": one_of_each(pair_load=np.array([2.5])),
    "linking": one_of_each(pair_load=np.array([0.25])),
    "opening": two_blocks(pair_load=np.array([1.5, 0.5])),
    # Four-GPU replicas beside one-GPU replicas, servers of two and of eight GPUs: "all" and "8 GPUs and more" bind.
    "gpus": two_blocks(
        shape_quarters=np.array([4, 16]),
        server_gpu=np.array([0, 0]),
        server_gpus=np.array([2, 8]),
        server_use=np.array([[1.0], [1.0]]),
        offer_site=np.array([0, 0]),
        offer_server=np.array([0, 1]),
        offer_max=np.array([3, 3]),
        offer_usd=np.array([5.0, 18.0]),
        pair_load=np.array([2.5, 2.5]),
        limit_matrix=sp.csr_matrix((0, 2)),
    ),
    "operating_point": two_blocks(block_choice=np.array([0, 0]), pair_load=np.array([1.5, 2.5])),
    "one_operating_point": two_blocks(block_choice=np.array([0, 0])),
    # Two kinds of server in one cabinet: each fits alone, not both as often as demand could want.
    "site_resources": one_of_each(
        pair_load=np.array([2.5]), server_use=np.array([[3.0], [4.5]]), site_limit=np.array([[7.5]]), **TWO_SERVERS
    ),
    "offers": one_of_each(offer_max=np.array([2]), pair_load=np.array([2.5])),
    "open_sites": one_of_each(),
    "uplink": one_of_each(out_mbps=np.array([8.0]), uplink_mbps=np.array([6.0])),
    "downlink": one_of_each(in_mbps=np.array([8.0]), downlink_mbps=np.array([6.0])),
    # Capex of 2,500 for servers of 1,000 and 1,800: the row is written in units of 1,024 USD, which changes no digit.
    "limits": one_of_each(
        pair_load=np.array([2.5]),
        server_use=np.array([[1.0], [1.0]]),
        **TWO_SERVERS | {"limit_matrix": sp.csr_matrix(np.array([[1000.0, 1800.0]])), "limit_rhs": np.array([2500.0])},
    ),
    "monthly_budget": one_of_each(monthly_budget_usd=16.0),
    **RULES_SMALLEST,
    **RESERVE_SMALLEST,
}


def _names() -> list[str]:
    return [family.__name__ for family in FAMILIES]


def test_every_family_of_constraints_has_its_golden_file_and_no_file_is_left_over() -> None:
    assert sorted(SMALLEST) == sorted(_names())
    assert sorted(path.stem for path in GOLDEN.glob("*.lp")) == sorted([*_names(), *RULES_FORMS])


@pytest.mark.parametrize("name", [*_names(), *RULES_FORMS])
def test_the_smallest_model_of_a_family_reads_as_its_golden_file(name: str) -> None:
    family, problem = RULES_FORMS[name] if name in RULES_FORMS else (name, SMALLEST[name])
    text = lp_text(build_model(problem))
    assert f"_{family}_" in text, "the smallest problem does not show the family"
    assert text == (GOLDEN / f"{name}.lp").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", _names())
def test_a_family_says_its_equation_in_its_docstring(family: str) -> None:
    function = next(f for f in FAMILIES if f.__name__ == family)
    assert function.__doc__ is not None
    assert function.__doc__.startswith("(")
    rows = next(rows for rows in build_model(SMALLEST[family]).families if rows.family == family)
    assert rows.count > 0
    assert rows.equation in function.__doc__.partition(")")[0]


if __name__ == "__main__":
    for name, problem in (SMALLEST | {name: problem for name, (_, problem) in RULES_FORMS.items()}).items():
        (GOLDEN / f"{name}.lp").write_text(lp_text(build_model(problem)), encoding="utf-8")
