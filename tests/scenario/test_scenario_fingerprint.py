"""Hashes of inputs: the order of rows and columns and the way of writing change none, a figure changes one."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from small_scenario import DOCUMENT, PINGS, TABLES, put, set_cell

from placement.scenario import load
from placement.scenario.fingerprint import records_sha256
from probes.importers import import_file

MORE_PINGS = """2025-12-30T11:00:00Z,porto,fra,icmp,3,3,31;32;33
2025-12-30T10:00:00Z,berlin,fra,icmp,3,3,9;10;11
2025-12-30T12:00:00Z,porto,fra,icmp,3,0,
"""


@pytest.fixture
def rich(folder: Path) -> Path:
    put(folder, "measurements/pings.csv", PINGS + MORE_PINGS)
    put(folder, "domains.csv", "domain,kind,site\nnorth,metro,fra\nsouth,metro,lis\n")
    put(folder, "pins.csv", "model,site,min_replicas,reason\nm8,fra,1,contract\nm8,lis,1,contract\n")
    put(folder, "scenario.toml", DOCUMENT + '[reliability]\nn_minus_1 = ["metro"]\n')
    return folder


def shuffled(path: Path, seed: int = 5) -> None:
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    order = np.random.default_rng(seed).permutation(len(frame))
    frame.iloc[order][sorted(frame.columns, reverse=True)].to_csv(path, index=False)


def test_permuted_rows_and_columns_of_every_file_change_neither_hashes_nor_tables(rich: Path) -> None:
    before = load(rich)
    files = [*rich.glob("*.csv"), *rich.glob("measurements/*.csv")]
    bytes_before = {path: path.read_bytes() for path in files}
    for path in files:
        shuffled(path)
    after = load(rich)
    assert all(path.read_bytes() != text for path, text in bytes_before.items())
    assert after.sha256 == before.sha256
    assert after.assumed == before.assumed
    assert list(after.tables) == list(before.tables)
    for name in before.tables:
        pd.testing.assert_frame_equal(before.table(name), after.table(name))


def test_every_input_is_hashed_by_its_name(rich: Path) -> None:
    expected = {*TABLES, "domains", "pins", "scenario.toml", "measurements/pings.csv"}
    assert set(load(rich).sha256) == expected


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sites", ",100,84,", ",100.5,84,"),
        ("regions", "Porto,PT", "Lisboa,PT"),
        ("demand", "assistant,20", "assistant,21"),
        ("shapes", "m8-1,m8,pro,1,fp8,chat,throughput,12", "m8-1,m8,pro,1,fp8,chat,throughput,12.0000001"),
        ("pins", "fra,1", "fra,2"),
        ("domains", "south", "sud"),
        ("measurements/pings", "40;41;44", "40;41;45"),
        ("measurements/pings", "porto,fra,icmp,3,0,", "porto,lis,icmp,3,0,"),
    ],
)
def test_one_changed_cell_changes_exactly_one_hash(rich: Path, name: str, old: str, new: str) -> None:
    before = load(rich).sha256
    path = rich / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    after = load(rich).sha256
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {name if "/" not in name else f"{name}.csv"}


def test_values_that_change_places_between_columns_or_rows_change_the_hash(folder: Path) -> None:
    records = "observed_at,source,target,method,sent,received,rtt_ms\n"
    first = "2025-12-30T10:00:00Z,berlin,fra,icmp,3,3,9\n2025-12-30T10:00:00Z,berlin,lis,icmp,3,3,40\n"
    crossed = first.replace("fra", "x").replace("lis", "fra").replace("x", "lis")
    hashes = set()
    for text in (first, crossed, first + first, first.replace("3,3,9", "4,3,9"), ""):
        put(folder, "measurements/pings.csv", records + text)
        hashes.add(records_sha256(folder / "measurements" / "pings.csv"))
    assert len(hashes) == 5


def test_the_way_of_writing_a_table_changes_nothing(rich: Path) -> None:
    before = load(rich).sha256
    text = (rich / "sites.csv").read_text(encoding="utf-8")
    text = text.replace("fra,Frankfurt", ' fra ,"Frankfurt"').replace(",100,84,", ",1e2,84.0,")
    put(rich, "sites.csv", "\ufeff" + text.replace("\n", "\r\n\r\n"))
    set_cell(rich, "regions", 2, "note", "asked twice")
    set_cell(rich, "servers", 2, "idle_kw", "0.54")  # the default, 0.3 of 1.8 kW, written out
    assert load(rich).sha256 == before


def test_csv_and_parquet_of_a_table_have_one_hash(rich: Path) -> None:
    before = load(rich).sha256
    for name in ("sites", "demand", "shapes"):
        frame = pd.read_csv(rich / f"{name}.csv", keep_default_na=False)
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), rich / f"{name}.parquet")
        (rich / f"{name}.csv").unlink()
    assert load(rich).sha256 == before


def test_scenario_toml_is_hashed_by_its_values(rich: Path) -> None:
    before = load(rich).sha256
    put(
        rich,
        "scenario.toml",
        '# the same\nplanning_date = "2026-01-01"\nname = "small"\nseed = 0\n[reliability]\n'
        'n_minus_1 = ["metro"]\nfailover = "planned"\n[limits]\nbandwidth_free_kbyte = 14.0\n[money]\nwacc = 0.08\n',
    )
    assert load(rich).sha256 == before
    put(rich, "scenario.toml", (rich / "scenario.toml").read_text(encoding="utf-8").replace("0.08", "0.09"))
    after = load(rich).sha256
    assert {key for key in before if before[key] != after[key]} == {"scenario.toml"}


def test_shapes_that_the_document_leaves_out_are_hashed_too(rich: Path) -> None:
    before = load(rich).sha256
    document = (rich / "scenario.toml").read_text(encoding="utf-8")
    put(rich, "scenario.toml", document + '[shapes]\noperating_points = ["throughput"]\n')
    after = load(rich).sha256
    assert {key for key in before if before[key] != after[key]} == {"scenario.toml"}


def test_only_what_stands_in_the_first_period_of_the_previous_plan_is_hashed(rich: Path) -> None:
    text = (rich / "scenario.toml").read_text(encoding="utf-8")
    put(rich, "scenario.toml", text + '[stability]\nprevious_plan = "before"\n')
    (rich / "before").mkdir()

    def hashed(*rows: tuple[str, str | None, int], periods: tuple[str, ...] = (), cost: int = 1) -> str:
        replicas = [
            {"site": site, "shape": "m8-1", "tenant": None, "slice": None, "period": period, "count": count}
            for site, period, count in rows
        ]
        servers = [
            {"site": site, "server": "s", "tenant": None, "period": period, "count": count, "new": cost, "rented": 0}
            for site, period, count in rows
        ]
        named = [{"period": name} for name in periods]
        plan = {"schema": "nearserve-plan-2", "replicas": replicas, "servers": servers, "periods": named}
        put(rich, "before/plan.json", json.dumps(plan | {"objective_usd_month": cost}))
        return load(rich).sha256["previous_plan"]

    first = hashed(("fra", None, 1), ("lis", None, 2))
    assert hashed(("lis", None, 2), ("fra", None, 1), cost=2) == first
    assert hashed(("lis", None, 2), ("fra", None, 2)) != first
    staged = hashed(("fra", "h1", 1), ("lis", "h1", 2), ("lis", "h2", 3), periods=("h1", "h2"))
    assert staged == first
    assert hashed(("fra", "h1", 1), ("lis", "h1", 2), ("lis", "h2", 3), periods=("h2",)) != first


def test_parquet_records_in_any_order_and_in_any_batches_have_one_hash(rich: Path, tmp_path: Path) -> None:
    table = import_file(rich / "measurements" / "pings.csv", "native", on_error="skip").table
    assert table.num_rows == 7
    order = pa.array(np.random.default_rng(2).permutation(table.num_rows))
    mixed = table.take(order).select(sorted(table.column_names, reverse=True))
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(mixed, tmp_path / "b.parquet", row_group_size=2)
    pq.write_table(table.slice(1), tmp_path / "c.parquet")
    first, second, less = (records_sha256(tmp_path / f"{name}.parquet") for name in "abc")
    assert first == second
    assert first != less


def test_a_column_of_nulls_is_no_column(tmp_path: Path) -> None:
    table = arrow_csv.read_csv(pa.BufferReader(b"source,target,method\na,b,icmp\n"))
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.append_column("sent", pa.nulls(1, pa.int64())), tmp_path / "b.parquet")
    assert records_sha256(tmp_path / "a.parquet") == records_sha256(tmp_path / "b.parquet")


def test_packed_records_are_hashed_as_what_they_hold(tmp_path: Path) -> None:
    lines = (PINGS + MORE_PINGS).splitlines(keepends=True)
    (tmp_path / "a.csv").write_text("".join(lines), encoding="utf-8")
    with gzip.open(tmp_path / "b.csv.gz", "wt", encoding="utf-8") as file:
        file.write("".join([lines[0], *reversed(lines[1:])]))
    assert records_sha256(tmp_path / "a.csv") == records_sha256(tmp_path / "b.csv.gz")


def test_a_file_that_holds_no_records_is_hashed_by_its_bytes(tmp_path: Path) -> None:
    hashes = set()
    for text in ("", "a,a\n1,2\n", "a,b\n1\n", "a,b\n2\n"):
        (tmp_path / "x.csv").write_text(text, encoding="utf-8")
        hashes.add(records_sha256(tmp_path / "x.csv"))
    assert len(hashes) == 4
