"""Rules that plan cannot honour yet are listed by name, and their absence is not."""

from pathlib import Path

from small_scenario import only, put, set_cell

from placement.scenario import Finding, inspect


def later(folder: Path) -> list[Finding]:
    report = inspect(folder)
    assert report.scenario is not None
    assert report.later == report.scenario.later
    return list(report.later)


def test_a_column_of_later_work_is_what_plan_will_refuse(folder: Path) -> None:
    set_cell(folder, "sites", 2, "storage_gb", "4000")
    (finding,) = later(folder)
    assert finding.message.startswith("plan will refuse: sites.storage_gb")
    assert (finding.file, finding.row, finding.column) == ("sites.csv", 2, "storage_gb")


def test_a_flag_of_later_work_that_says_no_asks_nothing(folder: Path) -> None:
    put(folder, "fleet.csv", "site,server,count,movable\nfra,pro-2,1,no\nlis,pro-2,1,\n")
    assert later(folder) == []
    put(folder, "fleet.csv", "site,server,count,movable\nfra,pro-2,1,no\nlis,pro-2,1,yes\n")
    (finding,) = later(folder)
    assert (finding.file, finding.row, finding.column, finding.value) == ("fleet.csv", 3, "movable", "yes")


def test_a_slice_that_no_demand_names_is_an_error(folder: Path) -> None:
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,8\n")
    put(folder, "demand.csv", "region,model,service,slice,requests_per_s\nberlin,m8,assistant,day,20\n")
    finding = only(folder, "slice-without-demand")
    assert (finding.file, finding.row, finding.value, finding.severity) == ("slices.csv", 3, "night", "error")
