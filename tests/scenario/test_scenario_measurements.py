"""What check says of measurements: ends that map nowhere, times that beat light, records that cannot be."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_scenario import PINGS, findings, only, put

from placement.scenario import inspect
from probes.table import SCHEMA

HEADER = PINGS.splitlines()[0] + "\n"


def ping(source: str, target: str, times: str) -> str:
    return f"2025-12-30T10:00:00Z,{source},{target},icmp,{times.count(';') + 1},{times.count(';') + 1},{times}\n"


def put_pings(folder: Path, *lines: str) -> None:
    put(folder, "measurements/pings.csv", HEADER + "".join(lines))


def put_parquet(folder: Path, rows: list[dict[str, object]]) -> None:
    moment = datetime(2025, 12, 30, 10, tzinfo=UTC)
    filled = [{"observed_at": moment, "method": "icmp", **row} for row in rows]
    columns = [pa.array([row.get(field.name) for row in filled], field.type) for field in SCHEMA]
    (folder / "measurements" / "day=2025-12-30").mkdir()
    pq.write_table(pa.table(columns, schema=SCHEMA), folder / "measurements" / "day=2025-12-30" / "a.parquet")


def test_an_rtt_below_light_in_fibre_is_named_with_the_floor(folder: Path) -> None:
    # Berlin to Windhoek is about 8,330 km (great circle), so 83 ms; half of Germany and slack taken off.
    put_pings(folder, ping("berlin", "fra", "9;10"), ping("berlin", "whk", "20;21"))
    finding = only(folder, "faster-than-light")
    assert finding.severity == "error"
    assert "berlin → whk took 20 ms" in finding.message
    floor = float(finding.message.split("at least ")[1].split(" ms")[0])
    assert 70 < floor < 83.3


def test_one_impossible_record_among_sound_ones_of_a_pair_is_only_doubted(folder: Path) -> None:
    put_pings(folder, ping("berlin", "whk", "20;21"), ping("berlin", "whk", "170"), ping("berlin", "whk", "171"))
    finding = only(folder, "faster-than-light")
    assert finding.severity == "warning"
    assert "1 of its 3 records" in finding.message


def test_a_region_that_is_nearer_than_its_point_is_only_doubted(folder: Path) -> None:
    # Berlin to Frankfurt is 424 km: 4.2 ms between the points, yet Germany has users in Frankfurt.
    put_pings(folder, ping("berlin", "fra", "1.5"))
    finding = only(folder, "faster-than-light")
    assert finding.severity == "warning"
    assert "berlin → fra 1.5 ms" in finding.message


def test_two_sites_are_held_to_their_points(folder: Path) -> None:
    put_pings(folder, ping("fra", "lis", "15"))  # 1,890 km
    assert only(folder, "faster-than-light").severity == "error"
    put_pings(folder, ping("fra", "lis", "19"))
    assert findings(folder) == ()


def test_times_in_seconds_are_suspected_when_most_are_impossible(folder: Path) -> None:
    put_pings(folder, *[ping("fra", "whk", f"0.{n}") for n in range(150, 180)], ping("berlin", "fra", "9"))
    finding = only(folder, "faster-than-light")
    assert "seconds" in finding.message


def test_parquet_is_judged_like_csv(folder: Path) -> None:
    (folder / "measurements" / "pings.csv").unlink()
    rows: list[dict[str, object]] = [
        {"source": "fra", "target": "lis", "sent": 2, "received": 2, "rtt_ms": [40.0, 15.0]},
        {"source": "fra", "target": "whk", "sent": 2, "received": 0},
        {"source": "fra", "target": "whk", "sent": 9, "received": 9, "rtt_min_ms": 160.0, "rtt_p50_ms": 170.0},
    ]
    put_parquet(folder, rows)
    finding = only(folder, "faster-than-light")
    assert "fra → lis took 15 ms" in finding.message


def test_endpoints_decide_where_an_address_is(folder: Path) -> None:
    put_pings(folder, ping("10.1.0.1", "10.2.0.1", "150"))
    assert only(folder, "unmapped-endpoint").severity == "error"  # nothing maps anywhere
    put(
        folder,
        "endpoints.csv",
        "endpoint,kind,region,site\n10.1.0.1,address,berlin,\n10.2.0.1,address,,whk\n10.3.0.1,host,porto,\n",
    )
    assert findings(folder) == ()
    put_pings(folder, ping("10.1.0.1", "10.2.0.1", "15"))
    assert "10.1.0.1 → 10.2.0.1" in only(folder, "faster-than-light").message


def test_an_alias_is_tried_where_the_name_is_not_known(folder: Path) -> None:
    (folder / "measurements" / "pings.csv").unlink()
    row: dict[str, object] = {"source": "10.9.9.9", "source_alias": "berlin", "target": "fra"}
    put_parquet(folder, [{**row, "sent": 1, "received": 1, "rtt_ms": [9.0]}])
    assert findings(folder) == ()


def test_an_endpoint_of_several_places_is_held_to_the_nearest(folder: Path) -> None:
    put(folder, "endpoints.csv", "endpoint,kind,region,site\nany,host,,lis\nany,host,,whk\n")
    put_pings(folder, ping("fra", "any", "19"))
    assert findings(folder) == ()


def test_countries_are_no_points_and_are_not_held_to_light(folder: Path) -> None:
    put(folder, "endpoints.csv", "endpoint,kind,region,site\nDE,country,berlin,\nNA,country,,whk\n")
    put_pings(folder, ping("DE", "NA", "1"))
    assert findings(folder) == ()


def test_ends_that_map_nowhere_are_counted_and_the_commonest_named(folder: Path) -> None:
    strangers = [ping("berlin", f"probe{n}", "30") for n in range(7)] + [ping("probe6", "fra", "30")]
    put_pings(folder, ping("berlin", "fra", "9"), *strangers)
    finding = only(folder, "unmapped-endpoint")
    assert finding.severity == "warning"
    assert finding.message.startswith(
        "7 endpoints map to no region and no site (8 ends of records): probe6 (2 records)"
    )
    assert "and 2 more" in finding.message


@pytest.mark.parametrize("value", ["-1", "0", "inf", "nan", "1,5", "fast"])
def test_a_record_that_cannot_be_is_named_with_its_line(folder: Path, value: str) -> None:
    quoted = f'"{value}"'
    put_pings(folder, ping("berlin", "fra", "9"), ping("berlin", "fra", quoted))
    found = [f for f in findings(folder) if f.rule == "bad-record"]
    assert found
    assert all((f.file, f.row, f.severity) == ("measurements/pings.csv", 3, "error") for f in found)


def test_a_parquet_file_with_impossible_times_is_named_with_its_first_row(folder: Path) -> None:
    (folder / "measurements" / "pings.csv").unlink()
    sound: dict[str, object] = {"source": "berlin", "target": "fra", "sent": 1, "received": 1, "rtt_ms": [9.0]}
    put_parquet(folder, [sound, {**sound, "rtt_ms": [-1.0]}, {**sound, "rtt_ms": [float("inf")]}])
    finding = only(folder, "bad-record")
    assert (finding.row, finding.column, finding.value) == (2, "rtt_ms", "-1.0")
    assert finding.message.startswith("2 times")


def test_files_that_are_no_records_are_named(folder: Path) -> None:
    (folder / "measurements" / "trace.json").write_text("[]", encoding="utf-8")
    (folder / "measurements" / "broken.parquet").write_bytes(b"PAR1 junk PAR1")
    (folder / "measurements" / "empty.csv").write_bytes(b"")
    pq.write_table(pa.table({"source": ["a"], "rtt": [1.0]}), folder / "measurements" / "other.parquet")
    found = {(f.rule, f.file) for f in inspect(folder).findings if f.severity == "error"}
    assert found == {
        ("unreadable", "measurements/trace.json"),
        ("unreadable", "measurements/broken.parquet"),
        ("bad-record", "measurements/empty.csv"),
        ("missing-column", "measurements/other.parquet"),
    }


@pytest.mark.parametrize("source", [[["berlin"]], [{"a": 1}], [b"\xff\xfe"], [1.5]])
def test_columns_of_other_types_are_findings_and_not_crashes(folder: Path, source: list[object]) -> None:
    columns = {"observed_at": ["x"], "source": source, "target": ["fra"], "method": ["icmp"], "rtt_min_ms": ["9.5"]}
    pq.write_table(pa.table(columns), folder / "measurements" / "odd.parquet")
    found = [f for f in findings(folder) if f.rule in ("unreadable", "unmapped-endpoint")]
    assert [f.file for f in found] in (["measurements/odd.parquet"], ["measurements"])
