"""Figures in the wrong unit: absurd ones are errors, doubtful ones warnings, and the unit suspected is said."""

from pathlib import Path

import pytest
from small_scenario import findings, only, put, set_cell

from placement.scenario.checks.units import suspected
from placement.scenario.dictionary import tables

# table, line, column, value, severity, the unit that it must be taken for, the figure in the right unit
MISTAKES = [
    ("sites", 2, "uplink_mbps", "100000000", "error", "kbit/s", "100000"),
    ("sites", 2, "uplink_mbps", "10", "warning", "Gbit/s", "10000"),
    ("sites", 2, "uplink_mbps", "10000000", "warning", "kbit/s", "10000"),
    ("sites", 2, "egress_usd_per_gb", "50", "error", "USD/TB", "0.05"),
    ("sites", 2, "usd_per_kwh", "120", "error", "USD/MWh", "0.12"),
    ("sites", 2, "usd_per_kwh", "18", "error", "USD/MWh", "0.018"),
    ("sites", 2, "pue", "130", "error", "percent", "1.3"),
    ("sites", 2, "gco2_per_kwh", "0.35", "warning", "kg/kWh", "350"),
    ("services", 2, "latency_budget_ms", "0.8", "error", "s", "800"),
    ("services", 2, "kbyte_in", "40000000", "error", "byte", "40000"),
    ("services", 2, "max_loss", "2", "error", "percent", "0.02"),
    ("demand", 2, "requests_per_s", "1728000", "error", "requests/day", "20"),
    ("gpus", 2, "memory_gb", "98304", "error", "MB", "98.304"),
    ("servers", 2, "power_kw", "1800", "error", "W", "1.8"),
    ("servers", 2, "capex_usd", "40", "warning", "thousand USD", "40000"),
    ("servers", 2, "rent_usd_month", "3.5", "warning", "USD/hour", "2555"),
    ("servers", 2, "months", "4", "warning", "years", "48"),
    ("profiles", 2, "tpot_ms", "0.05", "error", "s", "50"),
    ("shapes", 2, "ttft_p95_ms", "0.12", "error", "s", "120"),
    ("shapes", 2, "memory_gb", "20480", "warning", "MB", "20.48"),
    ("regions", 2, "users", "3", "warning", "thousands", "3000"),
]


@pytest.mark.parametrize(("table", "line", "column", "value", "severity", "unit", "right"), MISTAKES)
def test_a_unit_that_is_off_is_suspected_by_name(
    folder: Path, table: str, line: int, column: str, value: str, severity: str, unit: str, right: str
) -> None:
    set_cell(folder, table, line, column, value)
    found = [f for f in findings(folder) if f.rule == "units" and f.column == column and "expected" in f.message]
    assert [(f.file, f.row, f.severity) for f in found] == [(f"{table}.csv", line, severity)]
    assert f"looks like {unit}" in found[0].message
    assert f"would be {right}." in found[0].mend


@pytest.mark.parametrize(
    ("table", "line", "column", "value", "severity", "words"),
    [
        ("sites", 2, "power_kw", "100000", "error", "looks like W"),  # 100 kW beside 84 U
        ("sites", 4, "power_kw", "20000", "error", "looks like W"),
        ("sites", 2, "power_kw", "0.1", "warning", "looks like MW"),
        ("sites", 2, "power_kw", "0.06", "error", "looks like MW"),
        ("demand", 5, "requests_per_s", "20000", "warning", "per user"),
        ("services", 2, "kbyte_out", "40000", "error", "looks like bytes"),  # 200 tokens
        ("services", 2, "kbyte_in", "6000", "warning", "looks like bytes"),
        ("servers", 2, "power_kw", "300", "error", "looks like W"),
        ("gpus", 2, "tdp_w", "0.6", "error", "kW"),
    ],
)
def test_a_figure_that_does_not_go_with_another_is_named(
    folder: Path, table: str, line: int, column: str, value: str, severity: str, words: str
) -> None:
    set_cell(folder, table, line, column, value)
    found = [
        f for f in findings(folder) if f.rule == "units" and (f.file, f.row, f.column) == (f"{table}.csv", line, column)
    ]
    assert severity in {f.severity for f in found}
    assert any(words in f.message for f in found)


def test_ordinary_figures_and_stated_zeros_are_not_doubted(folder: Path) -> None:
    for table, line, column, value in (
        ("sites", 2, "power_kw", "0"),
        ("sites", 3, "power_kw", "400"),
        ("sites", 3, "rack_units", "420"),
        ("sites", 2, "egress_usd_per_gb", "0"),
        ("sites", 2, "usd_per_kwh", "0.42"),
        ("sites", 2, "gco2_per_kwh", "22"),
        ("services", 2, "latency_budget_ms", "30000"),
        ("services", 2, "kbyte_in", "2000"),
        ("demand", 2, "requests_per_s", "0.001"),
        ("regions", 2, "users", "300000000"),
    ):
        set_cell(folder, table, line, column, value)
    assert findings(folder) == ()


def test_a_mean_rate_above_the_design_rate_is_doubted(folder: Path) -> None:
    set_cell(folder, "demand", 2, "mean_requests_per_s", "25")
    assert only(folder, "mean-above-design").severity == "warning"


def test_prices_of_the_table_energy_are_judged_as_those_of_sites(folder: Path) -> None:
    put(folder, "energy.csv", "site,country,slice,usd_per_kwh\nfra,,,95\n")
    assert "USD/MWh" in only(folder, "units").message


def test_every_window_of_the_dictionary_holds_together() -> None:
    for table in tables().values():
        for column in table.columns:
            assert column.least <= column.most, (table.name, column.name)
            assert column.low <= column.high, (table.name, column.name)
            assert column.least <= column.low or column.low == float("-inf"), (table.name, column.name)
            assert column.high <= column.most or column.high == float("inf"), (table.name, column.name)


def test_no_unit_is_suspected_where_none_would_make_the_figure_plausible() -> None:
    power = tables()["sites"].column("power_kw")
    assert suspected(power, 1e12) is None
    assert suspected(power, 250_000.0) == ("W", 250.0)
