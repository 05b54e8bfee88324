"""What is left of the limits beside a plan asks for as little as the limits of the whole scenario do."""

from pathlib import Path

import pytest
import tiny
from explain_scenes import SHORT_OF_POWER, Changes, posed

from placement.explain.blocked import left_rows
from placement.explain.changes import Change
from placement.explain.limits import Limits
from placement.explain.reliefs import elastics
from placement.explain.residual import residual

MORE_DEMAND = tiny.edited("demand.csv", "berlin,m8,chat,6,6", "berlin,m8,chat,16,16")  # 2.4 replicas: two servers

SHORT: dict[str, tuple[Changes, Change]] = {
    "power": (SHORT_OF_POWER, Change("power", ("beta",), 0.6)),
    "one server, and no more": (
        {**MORE_DEMAND, "deliveries.csv": "period,delivery_group,server,quantity\n,,s2,1\n"},
        Change("stock", ("s2", "", ""), 1),
    ),
    "capex for one server, and 100 USD": (
        {**MORE_DEMAND, "budgets.csv": "period,capex_usd,monthly_usd\n,4900,\n"},
        Change("capex", ("",), 4700),
    ),
    "power for one server, and alpha too far": (
        {
            **tiny.edited("demand.csv", "berlin,m8,chat,6,6", "berlin,m8,chat,26,26"),
            **tiny.edited("sites.csv", "50.11,8.68,10,42", "50.11,8.68,1.2,42"),
        },
        Change("power", ("beta",), 0.8),
    ),
}


@pytest.mark.parametrize("name", SHORT)
def test_the_need_beside_a_plan_is_that_of_the_whole(name: str, tmp_path: Path) -> None:
    changes, expected = SHORT[name]
    case = posed(tmp_path, changes)
    whole = elastics(case)
    left = residual(case, whole, left_rows(case))
    assert left is not None
    for program in (whole, left):
        need = Limits(program, planned=True).need(frozenset([expected.kind]))
        assert need is not None
        assert need.changes == (expected,)


def test_what_the_need_saves_is_told_beside_a_plan_too(tmp_path: Path) -> None:
    """Everything moves to beta for 328.84, but alpha's server is paid: beta opens for 40 with a server more."""
    case = posed(tmp_path, SHORT_OF_POWER)
    left = residual(case, elastics(case), left_rows(case))
    assert left is not None
    need = Limits(left, planned=True).need(frozenset(["power"]))
    assert need is not None
    assert left.before_usd - need.usd_month == pytest.approx(15_768 - (40 + 231.90 + 26.28 + 0.6 * 13.14), abs=0.01)


def test_where_nothing_that_is_left_has_a_pair_there_is_no_program(tmp_path: Path) -> None:
    case = posed(tmp_path, tiny.edited("services.csv", "chat,chat,200", "chat,chat,52"))
    assert residual(case, elastics(case), left_rows(case)) is None
