"""Every rule has a message of its own: one mistake is planted, and the finding names the place."""

from pathlib import Path

import pytest
from small_scenario import DOCUMENT, PINGS, TABLES, add_line, findings, only, put, set_cell

from placement.scenario import inspect

# rule, table, line, column, value written there, words of the message or the mend
CELLS = [
    ("unknown-country", "sites", 2, "country", "UK", "Write GB"),
    ("unknown-country", "regions", 2, "country", "DEU", "Write DE"),
    ("unknown-country", "regions", 2, "country", "germany", "Write DE"),
    ("unknown-country", "sites", 2, "country", "de", "Write DE"),
    ("unknown-country", "sites", 3, "vendor_jurisdiction", "USA", "Write US"),
    ("unknown-model", "demand", 2, "model", "m9", "unknown model"),
    ("unknown-gpu", "servers", 2, "gpu", "prp", "Did you mean 'pro'"),
    ("unknown-gpu", "shapes", 2, "gpu", "h999", "Known: pro"),
    ("unknown-profile", "services", 2, "profile", "chatt", "Did you mean 'chat'"),
    ("unknown-service", "demand", 2, "service", "asistant", "Did you mean 'assistant'"),
    ("unknown-region", "demand", 2, "region", "Berlín", "Did you mean 'berlin'"),
    ("unknown-slice", "demand", 2, "slice", "night", "there is no table slices"),
    ("unknown-residency-set", "services", 2, "residency", "eu-only", "there is no table residency"),
    ("negative", "sites", 2, "power_kw", "-1", "correct the sign"),
    ("negative", "demand", 2, "requests_per_s", "-0.5", "correct the sign"),
    ("not-a-number", "sites", 2, "power_kw", "nan", "unknown"),
    ("not-a-number", "sites", 2, "power_kw", "NaN", "unknown"),
    ("not-a-number", "sites", 2, "uplink_mbps", "inf", "infinity"),
    ("not-a-number", "sites", 2, "uplink_mbps", "-Infinity", "infinity"),
    ("not-a-number", "sites", 2, "rack_units", "-", "unknown"),
    ("not-a-number", "sites", 2, "power_kw", "1,5", "decimal point"),
    ("not-a-number", "sites", 2, "power_kw", "1e999", "too large"),
    ("not-a-number", "regions", 2, "users", "3 000 000", "thousands"),
    ("not-a-number", "regions", 2, "users", "1,000,000", "thousands"),
    ("not-a-number", "sites", 2, "power_kw", "40 kW", "a unit"),
    ("not-a-number", "sites", 2, "power_kw", "forty", "not a figure"),
    ("not-a-number", "sites", 2, "power_kw", "1_000", "thousands"),
    ("not-a-number", "sites", 2, "power_kw", "٤٠", "not a figure"),
    ("not-a-count", "servers", 2, "dpus", "1.5", "whole number"),
    ("unknown-choice", "servers", 2, "gpus", "3", "Use 1, 2, 4, 8"),
    ("unknown-choice", "shapes", 2, "gpus_per_replica", "0.3", "0.25"),
    ("empty-cell", "sites", 2, "power_kw", "", "in kW"),
    ("empty-cell", "sites", 3, "country", "", "ISO 3166"),
    ("empty-cell", "demand", 2, "model", "", "what is asked"),
    ("coordinates-range", "sites", 2, "longitude", "190", "-180 to 180"),
    ("coordinates-range", "sites", 2, "latitude", "200", "-90 to 90"),
    ("unknown-column", "sites", 1, "power_kW", "power_kW", "Did you mean 'power_kw'"),
    ("not-text", "demand", 2, "slice", "a\tb", "control character"),
    ("not-text", "models", 2, "model", "m8\xa0b", "invisible"),
]


@pytest.mark.parametrize(("rule", "table", "line", "column", "value", "words"), CELLS)
def test_a_spoilt_cell_is_named_with_its_place_and_mend(
    folder: Path, rule: str, table: str, line: int, column: str, value: str, words: str
) -> None:
    set_cell(folder, table, line, column, value)
    finding = only(folder, rule)
    assert finding.severity == "error"
    assert (finding.file, finding.row, finding.column, finding.value) == (
        f"{table}.csv",
        line,
        column,
        "" if rule == "unknown-column" else value.replace("\t", "�").replace("\xa0", "�"),
    )
    assert words in f"{finding.message} {finding.mend}"


def test_an_unknown_server_and_an_unknown_site_are_named(folder: Path) -> None:
    put(folder, "fleet.csv", "site,server,count\nfra,pro-4,1\nfre,pro-2,1\n")
    assert (only(folder, "unknown-server").row, only(folder, "unknown-server").value) == (2, "pro-4")
    site = only(folder, "unknown-site")
    assert (site.file, site.row, site.column, site.value) == ("fleet.csv", 3, "site", "fre")
    assert "'fra'" in site.mend


@pytest.mark.parametrize("table", ["sites", "regions", "services", "demand"])
def test_a_missing_table_is_named(folder: Path, table: str) -> None:
    (folder / f"{table}.csv").unlink()
    finding = only(folder, "missing-table")
    assert finding.file == f"{table}.csv"
    assert repr(table) in finding.message


def test_missing_measurements_are_named(folder: Path) -> None:
    (folder / "measurements" / "pings.csv").unlink()
    assert only(folder, "no-measurements").severity == "warning"
    (folder / "measurements").rmdir()
    assert only(folder, "missing-table").file == "measurements"


def test_a_missing_folder_is_a_finding(tmp_path: Path) -> None:
    report = inspect(tmp_path / "nowhere")
    assert report.scenario is None
    assert [f.rule for f in report.findings] == ["unreadable"]
    assert "no such folder" in report.findings[0].message


def test_a_missing_scenario_toml_is_named(folder: Path) -> None:
    (folder / "scenario.toml").unlink()
    assert only(folder, "missing-table").file == "scenario.toml"


def test_a_missing_column_is_named_with_its_unit(folder: Path) -> None:
    put(folder, "sites.csv", TABLES["sites"].replace("power_kw", "kw"))
    missing = only(folder, "missing-column")
    assert (missing.file, missing.row, missing.column) == ("sites.csv", 1, "power_kw")
    assert "kW" in missing.mend


def test_a_column_that_stands_twice_is_named(folder: Path) -> None:
    put(folder, "models.csv", "model,kind,kind\nm8,dense,dense\nm70,dense,dense\n")
    assert only(folder, "duplicate-column").column == "kind"


def test_a_duplicate_key_names_both_lines(folder: Path) -> None:
    add_line(folder, "demand.csv", "berlin,m8,assistant,3")
    finding = only(folder, "duplicate-key")
    assert finding.row == 6
    assert "line 2" in finding.message
    assert "berlin" in finding.value


def test_a_shape_may_stand_once_for_each_profile_only(folder: Path) -> None:
    add_line(folder, "shapes.csv", "m8-1,m8,pro,1,fp8,chat,throughput,13,300,80,9,test")
    assert only(folder, "duplicate-key").row == 6


def test_csv_and_parquet_of_one_table_are_both_named(folder: Path) -> None:
    (folder / "sites.parquet").write_bytes(b"")
    finding = only(folder, "doubled-table")
    assert "sites.csv" in finding.message
    assert "sites.parquet" in finding.message


def test_a_misnamed_table_is_suggested_and_a_stranger_is_only_doubted(folder: Path) -> None:
    put(folder, "region.csv", "a\n1\n")
    assert "regions.csv" in only(folder, "unknown-table").mend
    (folder / "region.csv").unlink()
    put(folder, "holiday-plans.csv", "a\n1\n")
    assert only(folder, "unknown-table").severity == "warning"


def test_swapped_coordinates_are_told_from_the_country(folder: Path) -> None:
    put(folder, "sites.csv", TABLES["sites"].replace("DE,50.11,8.68", "DE,8.68,50.11"))
    finding = only(folder, "coordinates-swapped")
    assert (finding.severity, finding.row, finding.column) == ("error", 2, "latitude")
    assert "DE" in finding.message


def test_a_latitude_out_of_range_beside_a_longitude_in_range_is_swapped(folder: Path) -> None:
    set_cell(folder, "regions", 2, "latitude", "139.7")
    set_cell(folder, "regions", 2, "longitude", "35.7")
    set_cell(folder, "regions", 2, "country", "JP")
    assert only(folder, "coordinates-swapped").row == 2


def test_coordinates_far_from_the_country_are_doubted_and_a_lost_sign_is_guessed(folder: Path) -> None:
    set_cell(folder, "sites", 4, "latitude", "22.56")
    finding = only(folder, "coordinates-far")
    assert (finding.severity, finding.row) == ("warning", 4)
    assert "sign" in finding.mend
    set_cell(folder, "sites", 4, "latitude", "60")
    assert "sign" not in only(folder, "coordinates-far").mend


def test_demand_that_no_shape_serves_is_named(folder: Path) -> None:
    add_line(folder, "demand.csv", "porto,m70,assistant,1")
    finding = only(folder, "no-shape")
    assert (finding.severity, finding.row, finding.value) == ("error", 6, "m70")
    assert "'chat'" in finding.message


def test_a_shape_filter_that_leaves_demand_without_a_shape_says_so(folder: Path) -> None:
    put(folder, "scenario.toml", DOCUMENT + '[shapes]\nprecisions = ["fp8"]\n')
    assert "[shapes]" in only(folder, "no-shape").mend


def test_an_unknown_shape_filter_is_named(folder: Path) -> None:
    put(folder, "scenario.toml", DOCUMENT + '[shapes]\nprecisions = ["fp8", "fp4", "int9"]\n')
    finding = only(folder, "unknown-shape")
    assert (finding.file, finding.value) == ("scenario.toml", "int9")


def test_a_budget_below_every_ttft_is_an_error(folder: Path) -> None:
    set_cell(folder, "services", 2, "latency_budget_ms", "110")
    finding = only(folder, "budget-below-ttft")
    assert (finding.severity, finding.row, finding.column) == ("error", 2, "latency_budget_ms")
    assert "120 ms" in finding.message


def test_a_budget_below_the_ttft_of_one_of_the_models_is_a_warning(folder: Path) -> None:
    add_line(folder, "demand.csv", "porto,m8,editor,1")
    set_cell(folder, "services", 3, "latency_budget_ms", "200")  # m8 needs 150, m70 needs 280
    finding = only(folder, "budget-below-ttft")
    assert finding.severity == "warning"
    assert "m70" in finding.message


def test_a_shape_larger_than_its_gpus_is_named(folder: Path) -> None:
    set_cell(folder, "shapes", 2, "memory_gb", "25")  # a quarter of 96 GB is 24
    set_cell(folder, "shapes", 3, "memory_gb", "25")
    found = [f for f in findings(folder) if f.rule == "memory"]
    assert [(f.row, f.column) for f in found] == [(2, "memory_gb"), (3, "memory_gb")]
    assert "24 GB" in found[0].message


def test_rows_of_a_shape_that_disagree_are_named(folder: Path) -> None:
    set_cell(folder, "shapes", 3, "precision", "fp4")
    finding = only(folder, "shape-disagrees")
    assert (finding.row, finding.column, finding.value) == (3, "precision", "fp4")


def test_a_part_of_a_gpu_that_cannot_be_cut_is_named(folder: Path) -> None:
    set_cell(folder, "gpus", 2, "mig_slices", "1")
    assert {f.row for f in findings(folder) if f.rule == "mig"} == {2, 3}


def test_a_replica_larger_than_every_server_is_doubted(folder: Path) -> None:
    put(folder, "servers.csv", "".join(TABLES["servers"].splitlines(keepends=True)[:2]))
    assert findings(folder) == ()
    set_cell(folder, "servers", 2, "gpus", "1")
    assert only(folder, "no-server").row == 5


def test_a_server_without_a_price_is_named_and_rent_is_one(folder: Path) -> None:
    set_cell(folder, "servers", 2, "capex_usd", "")
    assert only(folder, "no-price").row == 2
    set_cell(folder, "servers", 2, "rent_usd_month", "2000")
    assert findings(folder) == ()


def test_deliveries_to_all_and_to_a_group_do_not_mix(folder: Path) -> None:
    for line in (2, 3, 4):
        set_cell(folder, "sites", line, "delivery_group", "north")
    put(folder, "deliveries.csv", "period,delivery_group,server,quantity\n,,pro-2,5\n,north,pro-2,5\n,north,pro-8,5\n")
    finding = only(folder, "deliveries-mixed")
    assert (finding.row, finding.value, finding.severity) == (2, "pro-2", "error")


def test_an_unknown_delivery_group_is_named(folder: Path) -> None:
    set_cell(folder, "sites", 2, "delivery_group", "north")
    put(folder, "deliveries.csv", "period,delivery_group,server,quantity\n,nord,pro-2,5\n")
    assert only(folder, "unknown-delivery-group").value == "nord"


def test_slices_that_are_not_a_day_or_overlap_are_named(folder: Path) -> None:
    for line in (2, 3, 4, 5):
        set_cell(folder, "demand", line, "slice", "night" if line == 5 else "day")
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,8\n")
    assert findings(folder) == ()
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,7\n")
    assert "23 hours" in only(folder, "slices-not-a-day").message
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,21:00,8\n")
    assert only(folder, "slices-overlap").row == 2
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,6 am,16\nnight,21:00,8\n")
    assert only(folder, "not-a-clock").value == "6 am"


def test_demand_names_its_slice_in_every_row_or_in_none(folder: Path) -> None:
    put(folder, "slices.csv", "slice,start_utc,hours_per_day\nday,06:00,16\nnight,22:00,8\n")
    assert only(folder, "demand-slice").severity == "warning"
    set_cell(folder, "demand", 2, "slice", "day")
    assert {f.row for f in findings(folder) if f.rule == "demand-slice"} == {3, 4, 5}


def test_a_rule_with_a_date_wants_a_planning_date(folder: Path) -> None:
    export = "gpu,server,country,max_gpus,from_date,reason\npro,,NA,0,2026-06-01,ban\n"
    put(folder, "export.csv", export)
    assert findings(folder) == ()
    put(folder, "scenario.toml", 'name = "no date"\n[limits]\nmax_age_days = 30\n')
    found = [f for f in findings(folder) if f.rule == "planning-date"]
    assert [(f.file, f.row) for f in found] == [("export.csv", 2), ("scenario.toml", 3)]
    put(folder, "export.csv", export.replace("2026-06-01", "1 June 2026"))
    assert only(folder, "not-a-date").value == "1 June 2026"


def test_a_row_for_one_thing_or_another_names_exactly_one(folder: Path) -> None:
    put(
        folder,
        "export.csv",
        "gpu,server,country,max_gpus,from_date,reason\npro,pro-2,NA,0,,x\n,,NA,0,,x\npro,,NA,0,,x\n",
    )
    assert [f.row for f in findings(folder) if f.rule == "one-of-two"] == [2, 3]


def test_a_fleet_larger_than_its_site_is_doubted(folder: Path) -> None:
    put(folder, "fleet.csv", "site,server,count\nwhk,pro-8,4\n")  # 26 kW where 20 are, 24 U where 42 are
    finding = only(folder, "fleet-too-large")
    assert (finding.severity, finding.value) == ("warning", "whk")


def test_links_join_sites_and_regions_that_exist(folder: Path) -> None:
    put(folder, "links.csv", "source,target,rtt_ms,mbps\nfra,lis,35,10000\nberlin,fra,9,\n")
    assert findings(folder) == ()
    put(folder, "links.csv", "source,target,rtt_ms,mbps\nfra,list,35,10000\nfra,fra,9,\n")
    assert only(folder, "unknown-site").row == 2
    assert only(folder, "link-to-itself").row == 3


def test_findings_come_in_one_order(folder: Path) -> None:
    set_cell(folder, "sites", 2, "latitude", "50")
    set_cell(folder, "sites", 4, "country", "XX")
    set_cell(folder, "sites", 3, "country", "YY")
    put(folder, "measurements/pings.csv", PINGS.replace("namibia", "nowhere"))
    found = inspect(folder).findings
    assert [(f.severity, f.file, f.row) for f in found] == [
        ("error", "sites.csv", 3),
        ("error", "sites.csv", 4),
        ("warning", "measurements", None),
    ]
