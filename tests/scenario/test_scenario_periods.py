"""Planning periods: those that demand names, and what other tables say of them."""

from pathlib import Path

import pytest
from small_scenario import DOCUMENT, findings, only, put, set_cell

HEADER = "region,model,service,period,requests_per_s\n"
TWO = HEADER + "berlin,m8,assistant,2026-H1,20\nberlin,m8,assistant,2026-H2,30\n"


@pytest.fixture
def two_periods(folder: Path) -> Path:
    put(folder, "demand.csv", TWO)
    return folder


def test_two_periods_are_sound_without_any_other_table(two_periods: Path) -> None:
    assert findings(two_periods) == ()


def test_demand_names_its_period_in_every_row_or_in_none(folder: Path) -> None:
    put(folder, "demand.csv", TWO + "porto,m8,assistant,,8\n")
    finding = only(folder, "demand-period")
    assert (finding.file, finding.row, finding.column, finding.severity) == ("demand.csv", 4, "period", "error")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("deliveries", "period,server,quantity\n2026-H1,pro-2,5\n2026-h2,pro-2,5\n"),
        ("budgets", "period,capex_usd\n,1000\n2026-h2,500\n"),
        ("jobs", "job,kind,model,gpu,gpus,hours,period\na,finetune,m8,pro,2,10,\nj,finetune,m8,pro,2,10,2026-h2\n"),
        ("periods", "period,months\n2026-H1,6\n2026-h2,6\n2026-H2,6\n"),
    ],
)
def test_a_period_that_demand_does_not_name_is_unknown(two_periods: Path, table: str, text: str) -> None:
    put(two_periods, f"{table}.csv", text)
    finding = only(two_periods, "unknown-period")
    assert (finding.file, finding.row, finding.column, finding.value) == (f"{table}.csv", 3, "period", "2026-h2")
    assert "Did you mean '2026-H2'?" in finding.mend
    assert finding.severity == "error"


def test_a_period_of_a_budget_is_unknown_where_demand_names_none(folder: Path) -> None:
    put(folder, "budgets.csv", "period,capex_usd\n2026-H1,1000000\n")
    finding = only(folder, "unknown-period")
    assert (finding.row, finding.value) == (2, "2026-H1")
    assert "rows of demand" in finding.mend


def test_the_table_periods_has_every_period_or_no_row(two_periods: Path) -> None:
    put(two_periods, "periods.csv", "period,months\n")
    assert findings(two_periods) == ()
    put(two_periods, "periods.csv", "period,months\n2026-H2,6\n")
    finding = only(two_periods, "period-missing")
    assert (finding.file, finding.column, finding.value) == ("periods.csv", "period", "2026-H1")


def test_periods_begin_in_the_order_of_their_names(two_periods: Path) -> None:
    good = "period,start_date,months\n2026-H2,2026-07-01,6\n2026-H1,2026-01-01,6\n"
    put(two_periods, "periods.csv", good)
    assert findings(two_periods) == ()
    put(two_periods, "periods.csv", good.replace("2026-07-01", "2026-01-01"))
    finding = only(two_periods, "period-dates")
    assert (finding.file, finding.row, finding.column, finding.value) == ("periods.csv", 2, "start_date", "2026-01-01")
    assert "not after 2026-01-01" in finding.message


def test_only_the_first_period_may_begin_at_the_planning_date(two_periods: Path) -> None:
    put(two_periods, "periods.csv", "period,start_date,months\n2026-H1,,6\n2026-H2,2026-07-01,6\n")
    assert findings(two_periods) == ()
    put(two_periods, "periods.csv", "period,start_date,months\n2026-H1,2026-01-01,6\n2026-H2,,6\n")
    finding = only(two_periods, "period-dates")
    assert (finding.row, finding.value) == (3, "")


def test_months_that_disagree_with_the_dates_are_doubted(two_periods: Path) -> None:
    put(two_periods, "periods.csv", "period,start_date\n2026-H1,2026-01-01\n2026-H2,2026-07-01\n")
    finding = only(two_periods, "period-months")
    assert (finding.row, finding.column, finding.value, finding.severity) == (2, "months", "1", "warning")
    assert "181 days later, 6.0 months" in finding.message


def test_a_date_of_every_period_stands_in_for_the_planning_date(two_periods: Path) -> None:
    put(two_periods, "export.csv", "gpu,country,max_gpus,from_date,reason\npro,NA,0,2026-06-01,ban\n")
    put(two_periods, "periods.csv", "period,start_date,months\n2026-H1,2026-01-01,6\n2026-H2,2026-07-01,6\n")
    undated = DOCUMENT.replace("planning_date = 2026-01-01\n", "")
    put(two_periods, "scenario.toml", undated)
    assert findings(two_periods) == ()
    put(two_periods, "periods.csv", "period,start_date,months\n2026-H1,,6\n2026-H2,2026-07-01,6\n")
    assert only(two_periods, "planning-date").file == "export.csv"


def test_a_length_of_no_months_is_impossible(two_periods: Path) -> None:
    put(two_periods, "periods.csv", "period,months\n2026-H1,6\n2026-H2,0\n")
    assert (only(two_periods, "units").row, only(two_periods, "units").column) == (3, "months")


def test_a_delivery_without_a_period_belongs_to_the_first(two_periods: Path) -> None:
    put(two_periods, "deliveries.csv", "period,server,quantity\n,pro-2,5\n2026-H2,pro-2,5\n")
    assert findings(two_periods) == ()
    set_cell(two_periods, "deliveries", 3, "period", "2026-H3")
    assert only(two_periods, "unknown-period").row == 3
