"""What one more is worth: never negative, near the truth where paper knows it, and equal to it where it is checked."""

from pathlib import Path

import pytest
import tiny
from explain_scenes import BOTH_UNSERVED, HOW, NO_STOCK, SHORT_OF_POWER, Changes, posed

from placement.explain.case import Case, again
from placement.explain.changes import applied
from placement.explain.worth import Worth, explain_worth

SHORT: dict[str, Changes] = {
    "stock": NO_STOCK,
    "power": SHORT_OF_POWER,
    "capex": {"budgets.csv": "period,capex_usd,monthly_usd\n,100,\n"},
    "monthly": {"budgets.csv": "period,capex_usd,monthly_usd\n,,300\n"},
    "export": {"export.csv": "gpu,server,country,max_gpus,reason\ng96,,DE,0,ban\n"},
    "rack_units": tiny.edited("sites.csv", "50.11,8.68,10,42", "50.11,8.68,10,1.5"),
}


def exact_usd(case: Case, row: Worth) -> float:
    """The difference of two plans, for each unit."""
    return (case.cost_usd - again(case, applied(case.scenario, row.changes), HOW).cost_usd) / row.units


@pytest.mark.parametrize("name", SHORT)
def test_indications_are_never_negative_and_checked_ones_are_the_difference_of_two_plans(
    name: str, tmp_path: Path
) -> None:
    case = posed(tmp_path, SHORT[name])
    rows = explain_worth(case, HOW, check=2).rows
    assert name in {row.kind for row in rows}
    assert all(row.usd_per_unit > 0 for row in rows)
    for row in rows[:2]:
        assert row.checked_usd == pytest.approx(exact_usd(case, row), abs=0.01)
    assert all(row.checked_usd != row.checked_usd for row in rows[2:])


def test_power_for_a_server_is_worth_what_it_serves(tmp_path: Path) -> None:
    """0.4 of 1 kW: with 1 kW more beta serves everybody for 328.84, and before paris alone was served."""
    case = posed(tmp_path, SHORT_OF_POWER)
    row = next(row for row in explain_worth(case, HOW, check=4).rows if row.changes[0].where == ("beta",))
    assert (row.kind, row.unit, row.units) == ("power", "kW", 1.0)
    assert row.checked_usd == pytest.approx(case.cost_usd - 328.84, abs=0.01)
    assert row.usd_per_unit == pytest.approx(row.checked_usd, rel=0.02)


def test_a_server_of_stock_saves_the_penalties(tmp_path: Path) -> None:
    case = posed(tmp_path, NO_STOCK)
    row = next(row for row in explain_worth(case, HOW, check=3).rows if row.kind == "stock")
    assert row.checked_usd == pytest.approx(BOTH_UNSERVED - 328.84, abs=0.01)
    assert row.usd_per_unit == pytest.approx(row.checked_usd, rel=0.01)


def test_a_gpu_that_stands_already_saves_its_capital(tmp_path: Path) -> None:
    """A server in the fleet of beta costs neither 100 of capital nor 10 of support: 110 for two GPUs."""
    rows = explain_worth(posed(tmp_path), HOW, check=3).rows
    gpu = next(row for row in rows if row.changes[0].where == ("beta", "s2"))
    assert gpu.checked_usd == pytest.approx(55.0, abs=0.01)


def test_where_nothing_is_short_no_room_is_worth_anything(tmp_path: Path) -> None:
    assert {row.kind for row in explain_worth(posed(tmp_path), HOW).rows} <= {"fleet"}
