"""load and inspect: what a sound scenario becomes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_scenario import DOCUMENT, TABLES, add_line, put, set_cell

from placement.scenario import Assumed, ScenarioError, inspect, load
from placement.scenario.dictionary import tables


def test_the_small_scenario_is_sound_and_says_nothing(folder: Path) -> None:
    report = inspect(folder)
    assert report.findings == ()
    assert report.later == ()
    assert report.scenario is not None


def test_namibia_is_a_country_and_not_an_absent_cell(folder: Path) -> None:
    assert list(load(folder).table("sites")["country"]) == ["DE", "PT", "NA"]


def test_tables_are_sorted_by_key_and_typed_by_the_dictionary(folder: Path) -> None:
    scenario = load(folder)
    demand = scenario.table("demand")
    assert list(zip(demand["region"], demand["model"], strict=True)) == [
        ("berlin", "m70"),
        ("berlin", "m8"),
        ("namibia", "m8"),
        ("porto", "m8"),
    ]
    assert list(demand.index) == [0, 1, 2, 3]
    assert list(demand["slice"]) == ["", "", "", ""]
    assert demand.dtypes["slice"] == np.dtype(object)
    sites = scenario.table("sites")
    assert list(sites.columns) == list(tables()["sites"].names)
    assert np.isnan(sites["downlink_mbps"]).all()
    assert scenario.table("servers").dtypes["gpus"] == np.int64


def test_an_absent_table_is_empty_with_every_column_and_switches_its_rule_off(folder: Path) -> None:
    scenario = load(folder)
    assert not scenario.has("export")
    export = scenario.table("export")
    assert len(export) == 0
    assert list(export.columns) == list(tables()["export"].names)
    assert export.dtypes["max_gpus"] == np.int64
    with pytest.raises(KeyError):
        scenario.table("no-such-table")


def test_defaults_are_filled_in_and_listed_as_assumed(folder: Path) -> None:
    set_cell(folder, "sites", 2, "pue", "1.1")
    set_cell(folder, "demand", 3, "mean_requests_per_s", "2.5")
    scenario = load(folder)
    assert list(scenario.table("sites")["pue"]) == [1.1, 1.3, 1.3]
    # (berlin, m70) is given; the others take their design rate
    assert list(scenario.table("demand")["mean_requests_per_s"]) == [2.5, 20.0, 1.0, 8.0]
    assert list(scenario.table("servers")["idle_kw"]) == pytest.approx([0.54, 1.95])
    by_column = {(one.table, one.column): one for one in scenario.assumed}
    why = by_column[("sites", "pue")].why
    assert by_column[("sites", "pue")] == Assumed("sites", "pue", 2, "1.3", "1", why)
    assert by_column[("demand", "mean_requests_per_s")].rows == 3
    assert by_column[("servers", "idle_kw")].value == "0.3*power_kw"
    assert ("scenario.toml", "money.wacc") not in by_column


def test_a_wacc_that_is_not_given_is_assumed(folder: Path) -> None:
    put(folder, "scenario.toml", 'name = "bare"\n')
    columns = {one.column: one.value for one in load(folder).assumed}
    assert columns["money.wacc"] == "0.08"
    assert columns["limits.bandwidth_free_kbyte"] == "14"


def test_a_price_of_energy_from_the_table_energy_is_not_assumed(folder: Path) -> None:
    put(folder, "energy.csv", "site,country,slice,usd_per_kwh\nfra,,,0.2\n,PT,,0.1\n")
    (assumed,) = [one for one in load(folder).assumed if one.column == "usd_per_kwh"]
    assert assumed.rows == 1  # Windhoek


def test_catalog_tables_stand_in_for_absent_ones_and_are_listed(folder: Path) -> None:
    for name in ("models", "gpus", "servers", "profiles", "shapes"):
        (folder / f"{name}.csv").unlink()
    put(folder, "demand.csv", TABLES["demand"].replace("m8", "llama-3.1-8b").replace("m70", "llama-3.1-70b"))
    scenario = load(folder)
    assert {one.table for one in scenario.assumed if one.column == "*"} == {
        "models",
        "gpus",
        "servers",
        "profiles",
        "shapes",
    }
    assert set(scenario.table("shapes")["model"]) == {"llama-3.1-8b", "llama-3.1-70b"}
    assert "catalog:shapes.csv" in scenario.sha256


def test_shapes_are_cut_to_what_the_document_allows(folder: Path) -> None:
    put(folder, "scenario.toml", DOCUMENT + '[shapes]\noperating_points = ["throughput"]\n')
    assert set(load(folder).table("shapes")["shape"]) == {"m8-1", "m70-2"}


def test_parquet_and_csv_give_the_same_tables(folder: Path) -> None:
    first = load(folder)
    for name in ("sites", "demand", "shapes"):
        frame = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / f"{name}.parquet")
        (folder / f"{name}.csv").unlink()
    second = load(folder)
    for name in ("sites", "demand", "shapes"):
        pd.testing.assert_frame_equal(first.table(name), second.table(name))


def test_a_byte_order_mark_spaces_quotes_and_blank_lines_are_harmless(folder: Path) -> None:
    text = "\ufeff" + TABLES["regions"].replace("berlin,Berlin", ' berlin ,"Berlin, the ""capital"""')
    put(folder, "regions.csv", text.replace("\n", "\r\n\r\n"))
    assert list(load(folder).table("regions")["name"]) == ['Berlin, the "capital"', "Windhoek", "Porto"]


def test_load_raises_every_error_at_once_with_file_row_column_value_and_mend(folder: Path) -> None:
    set_cell(folder, "sites", 2, "country", "XX")
    set_cell(folder, "sites", 4, "power_kw", "-3")
    set_cell(folder, "demand", 3, "model", "m80")
    add_line(folder, "regions.csv", "porto,Porto,PT,41.15,-8.61,1000000")
    with pytest.raises(ScenarioError) as caught:
        load(folder)
    errors = [f for f in caught.value.findings if f.severity == "error"]
    places = {(f.rule, f.file, f.row, f.column, f.value) for f in errors}
    assert places == {
        ("unknown-country", "sites.csv", 2, "country", "XX"),
        ("negative", "sites.csv", 4, "power_kw", "-3"),
        ("unknown-model", "demand.csv", 3, "model", "m80"),
        ("duplicate-key", "regions.csv", 5, "region", "region porto"),
    }
    assert all(f.message and f.mend for f in errors)
    assert "sites.csv:2" in str(caught.value)


def test_a_row_number_is_the_line_of_the_file_also_after_a_quoted_line_break(folder: Path) -> None:
    put(folder, "models.csv", 'model,kind,note\nm8,dense,"two\nlines"\nm70,dense,\n,dense,\n')
    found = [f for f in inspect(folder).findings if f.rule == "empty-cell"]
    assert [(f.file, f.row, f.column) for f in found] == [("models.csv", 5, "model")]
