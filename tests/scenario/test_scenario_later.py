"""Rules that plan cannot honour yet are listed by name, and their absence is not."""

from pathlib import Path

import pytest
from small_scenario import only, put, set_cell

from placement.scenario import Finding, inspect


def later(folder: Path) -> list[Finding]:
    report = inspect(folder)
    assert report.scenario is not None
    assert report.later == report.scenario.later
    return list(report.later)


@pytest.mark.parametrize(
    ("table", "line", "column", "value"),
    [
        ("services", 2, "min_share", "0.9"),
        ("services", 2, "max_sites", "2"),
        ("services", 2, "dedicated", "yes"),
        ("services", 2, "backup_latency_budget_ms", "900"),
        ("sites", 2, "storage_gb", "4000"),
    ],
)
def test_a_column_of_later_work_is_what_plan_will_refuse(
    folder: Path, table: str, line: int, column: str, value: str
) -> None:
    set_cell(folder, table, line, column, value)
    (finding,) = later(folder)
    assert finding.message.startswith(f"plan will refuse: {table}.{column}")
    assert (finding.file, finding.row, finding.column) == (f"{table}.csv", line, column)


def test_a_flag_of_later_work_that_says_no_asks_nothing(folder: Path) -> None:
    set_cell(folder, "services", 2, "dedicated", "no")
    assert later(folder) == []


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("domains", "domain,site\nmetro,fra\n"),
        ("pins", "model,site,min_replicas,reason\nm8,fra,1,contract\n"),
        ("jobs", "job,kind,model,gpu,gpus,hours\nj,finetune,m8,pro,2,10\n"),
    ],
)
def test_a_table_of_later_work_is_what_plan_will_refuse(folder: Path, table: str, text: str) -> None:
    put(folder, f"{table}.csv", text)
    (finding,) = later(folder)
    assert finding.file == f"{table}.csv"
    put(folder, f"{table}.csv", text.splitlines()[0] + "\n")  # without rows it asks nothing
    assert later(folder) == []


def test_a_second_period_is_what_plan_will_refuse(folder: Path) -> None:
    put(folder, "budgets.csv", "period,capex_usd\n2026-H1,1000000\n")
    assert later(folder) == []
    put(folder, "budgets.csv", "period,capex_usd\n2026-H1,1000000\n2026-H2,500000\n")
    assert "2 periods" in later(folder)[0].message


def test_transit_by_the_peak_of_several_slices_is_what_plan_will_refuse(folder: Path) -> None:
    set_cell(folder, "sites", 2, "transit_usd_per_mbps_month", "2")
    assert later(folder) == []
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,8\n")
    rows = "berlin,m8,assistant,day,20\nberlin,m8,assistant,night,5\n"
    put(folder, "demand.csv", f"region,model,service,slice,requests_per_s\n{rows}")
    (finding,) = later(folder)
    assert (finding.file, finding.row, finding.column) == ("sites.csv", 2, "transit_usd_per_mbps_month")


def test_a_slice_that_no_demand_names_is_an_error(folder: Path) -> None:
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,8\n")
    put(folder, "demand.csv", "region,model,service,slice,requests_per_s\nberlin,m8,assistant,day,20\n")
    finding = only(folder, "slice-without-demand")
    assert (finding.file, finding.row, finding.value, finding.severity) == ("slices.csv", 3, "night", "error")
