"""The topology of a day: kept in a folder and read back, or built again from the records up to it."""

from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from topology_world import demand, endpoints, record, regions, topology

from placement.scenario import Scenario, load
from placement.topology import Pairs, Topology, build_pairs
from placement.topology.drift.days import NoRecordsError, topology_of
from placement.topology.drift.findings import findings, findings_of, newly, reasons, write_findings
from placement.topology.drift.stored import StoredError, places_of, read_stored, write_places
from placement.topology.export import write_pairs
from placement.topology.summaries import Window, window_ending

HEADER = "observed_at,source,target,method,sent,received,rtt_ms\n"
DAYS = {
    day: "".join(f"2025-12-{day}T{hour}:00Z,{row}\n" for hour, row in rows)
    for day, rows in {
        29: [("00:00", "paris,alpha,icmp,1,1,11"), ("23:59", "berlin,beta,icmp,1,1,9")],
        30: [("00:00", "paris,alpha,icmp,1,1,50"), ("12:00", "paris,beta,icmp,1,1,30")],
        31: [("00:00", "paris,alpha,icmp,1,1,90"), ("23:59", "berlin,alpha,icmp,1,1,80")],
    }.items()
}


def scenario_of(folder: Path, *days: int, more: str = "") -> Scenario:
    changed = {"measurements/pairs.csv": HEADER + "".join(DAYS[day] for day in days)}
    return load(tiny.write(folder, {**changed, **tiny.document_with(more)}))


def same(one: Pairs, other: Pairs) -> bool:
    return (one.regions, one.sites) == (other.regions, other.sites) and all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=f.name not in ("regions", "sites"))
        for f in fields(Pairs)[2:]
    )


@pytest.fixture
def found() -> Topology:
    rows = [
        record("r1", "s1", 10.0, 14.0),
        record("r2", "s1", rtt_avg_ms=40.0, sent=None, received=1, method="imported:x"),
        record("r1", "s2", method="ndt7", mbps=50.0, direction="up"),
    ]
    return topology(rows, demand=demand(("r1", 30.0)))


def kept(found: Topology, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_pairs(found, folder / "pairs.parquet")
    write_places(found, folder / "places.parquet")
    write_findings(findings(found, endpoints()), folder / "findings.parquet")
    return folder


def test_what_is_written_is_read_back_bit_by_bit(found: Topology, tmp_path: Path) -> None:
    stored = read_stored(kept(found, tmp_path))[0]
    assert same(stored.pairs, found.pairs)
    assert stored.places.regions.to_dict("list") == places_of(found).regions.to_dict("list")
    assert stored.places.regions["requests_per_s"].tolist() == [30.0, 0.0]
    assert stored.places.sites["site"].tolist() == ["s1", "s2"]


def test_the_order_of_rows_and_how_words_are_kept_are_immaterial(found: Topology, tmp_path: Path) -> None:
    path = kept(found, tmp_path) / "pairs.parquet"
    table = pq.read_table(path).take([2, 0, 3, 1])
    words = [name for name in table.column_names if pa.types.is_dictionary(table.schema.field(name).type)]
    for name in words:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    pq.write_table(table, path)
    assert same(read_stored(tmp_path)[0].pairs, found.pairs)


def test_all_that_is_wrong_with_both_folders_is_told_at_once(found: Topology, tmp_path: Path) -> None:
    one, other = kept(found, tmp_path / "one"), kept(found, tmp_path / "other")
    (one / "places.parquet").unlink()
    path = other / "pairs.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(StoredError) as failure:
        read_stored(one, other, tmp_path / "none")
    told = str(failure.value).splitlines()
    assert "one/places.parquet: there is no such file" in told[0]
    assert "other: 3 rows are not 2 regions × 2 sites" in told[1]
    assert [line.split(":")[0] for line in told[2:]] == [
        str(tmp_path / "none" / name) for name in ("pairs.parquet", "places.parquet", "findings.parquet")
    ]
    path.write_bytes(b"no parquet")
    with pytest.raises(StoredError, match="is no Parquet file"):
        read_stored(other)


def test_a_window_ends_with_its_day_and_has_as_many_days_as_it_says() -> None:
    assert window_ending(date(2025, 12, 31), 1) == Window(date(2025, 12, 31), date(2025, 12, 31))
    assert window_ending(date(2025, 12, 31), 7) == Window(date(2025, 12, 25), date(2025, 12, 31))
    assert window_ending(date(2025, 12, 31), 0.5) == Window(date(2025, 12, 31), date(2025, 12, 31))
    assert window_ending(date(2025, 12, 31), None) == Window(None, date(2025, 12, 31))


@pytest.mark.parametrize(("days", "seen"), [(1, (30,)), (2, (29, 30)), (None, (29, 30))])
def test_a_day_sees_its_window_and_nothing_after_it(tmp_path: Path, days: float | None, seen: tuple[int, ...]) -> None:
    whole = scenario_of(tmp_path / "whole", 29, 30, 31)
    part = scenario_of(tmp_path / "part", *seen)
    assert same(topology_of(whole, window_ending(date(2025, 12, 30), days)).pairs, build_pairs(part).pairs)


def test_the_last_day_of_a_window_is_what_a_plan_of_that_night_sees(tmp_path: Path) -> None:
    """A plan for 1 January with max_age_days = 2 counts the 30th and the 31st."""
    scenario = scenario_of(tmp_path, 29, 30, 31, more="[limits]\nmax_age_days = 2\n")
    assert scenario.document.planning_date == date(2026, 1, 1)
    of_day = topology_of(scenario, window_ending(date(2025, 12, 31), scenario.document.limits.max_age_days))
    assert same(of_day.pairs, build_pairs(scenario).pairs)
    newest = datetime.fromtimestamp(np.nanmax(of_day.pairs.observed_at_s), UTC)
    assert newest == datetime(2025, 12, 31, 23, 59, tzinfo=UTC)


def test_a_day_without_any_record_is_named_with_those_that_have_some(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, 29, 30)
    with pytest.raises(NoRecordsError, match="2026-02-01 alone: records are from 2025-12-29 to 2025-12-30"):
        topology_of(scenario, window_ending(date(2026, 2, 1), 1), window_ending(date(2025, 12, 30), 1))
    with pytest.raises(NoRecordsError) as failure:
        topology_of(scenario, *(window_ending(date(2026, month, 1), 1) for month in (2, 3)))
    assert len(str(failure.value).splitlines()) == 2


def test_findings_that_begin_are_told_of_their_pairs_and_those_that_go_on_are_not(tmp_path: Path) -> None:
    # r5 is 445 km from s1: light needs 3.4 ms at least there and back
    wide, table = regions("r1", "r2", "r3", "r4", "r5"), endpoints(("probe", "host", "r4", "", None))
    honest, wrong = record("r5", "s1", 9.0), record("r5", "s1", 0.5)
    other = [record("probe", "s1", 0.5), record("nobody", "s1", 0.5)]
    worlds = ([honest, *other], [wrong, *other], [wrong, honest, *other])
    one, two, three = (findings(topology(rows, regions=wide, endpoints=table), table) for rows in worlds)
    assert one[["gate", "region", "site"]].to_numpy().tolist() == [["light", "r4", "s1"]]
    begun = newly(one, two)
    assert list(reasons(begun)) == [("r5", "s1")]
    assert reasons(begun)["r5", "s1"].startswith("light: r5 to s1 took 0.5 ms")
    assert newly(two, three).empty and newly(two, two).empty
    write_findings(two, tmp_path / "findings.parquet")
    assert findings_of(pq.read_table(tmp_path / "findings.parquet")).equals(two)
