"""NDT7: whose bytes, which unit, which direction, and tests that failed."""

import json
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data


def info(elapsed: int, size: int, **more: Any) -> dict[str, Any]:
    """One measurement of the server: 25 ms at least, 40 ms just now, twice as much sent as has arrived."""
    tcp = {
        "ElapsedTime": elapsed,
        "MinRTT": 25_000,
        "RTT": 40_000,
        "BytesAcked": size,
        "BytesReceived": size,
        "BytesSent": 2 * size,
    }
    return {"BBRInfo": {"MaxBandwidth": 10**12, "ElapsedTime": elapsed}, "TCPInfo": tcp | more}


def result(name: str = "Download", *measured: dict[str, Any], **more: Any) -> dict[str, Any]:
    measured = measured or (info(250_000, 1_000_000), info(10_000_000, 125_000_000, RTT=60_000))
    test = {
        "StartTime": "2020-03-18T00:13:52.496385765Z",
        "ServerMeasurements": [*measured],
        "ClientMeasurements": None,
    }
    ends = {"ServerIP": "203.0.113.1", "ClientIP": "192.0.2.7", "StartTime": "2020-03-18T00:13:52Z"}
    return {**ends, name: test | more}


def read(folder: Path, *values: Any) -> ImportResult:
    path = folder / "ndt7.json"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in values))
    return import_file(path, "ndt7", on_error="skip")


def only(found: ImportResult) -> dict[str, Any]:
    assert found.table.num_rows == 1
    return found.table.to_pylist()[0]  # type: ignore[no-any-return]


def test_a_download_is_what_was_acknowledged_in_the_time_since_the_test_began(tmp_path: Path) -> None:
    row = only(read(tmp_path, result()))
    assert (row["mbps"], row["bytes"], row["direction"], row["loaded"]) == (100.0, 125_000_000, "down", True)
    assert (row["rtt_min_ms"], row["rtt_avg_ms"], row["rtt_max_ms"]) == (25.0, 50.0, 60.0)
    assert (row["source"], row["target"], row["family"]) == ("192.0.2.7", "203.0.113.1", 4)
    assert row["error"] is None
    assert row["observed_at"].value == 1_584_490_432_496_385_765


def test_an_upload_is_what_the_server_received(tmp_path: Path) -> None:
    row = only(read(tmp_path, result("Upload", info(10_000_000, 12_500_000, BytesAcked=9))))
    assert (row["mbps"], row["direction"]) == (10.0, "up")
    assert only(read(tmp_path, result("Download", info(10_000_000, 12_500_000, BytesReceived=9))))["mbps"] == 10.0


def test_the_last_measurement_counts_in_whatever_order(tmp_path: Path) -> None:
    late, early = info(10_000_000, 125_000_000), info(5_000_000, 10)
    assert only(read(tmp_path, result("Download", late, early)))["mbps"] == 100.0
    no_tcp = {"BBRInfo": {"ElapsedTime": 11_000_000}}
    assert only(read(tmp_path, result("Download", late, no_tcp)))["mbps"] == 100.0


@pytest.mark.parametrize("unknown", [0, -1, 2**32 - 1, None, "x"])
def test_an_unknown_minimum_is_no_time(tmp_path: Path, unknown: Any) -> None:
    row = only(read(tmp_path, result("Download", info(10_000_000, 125_000_000, MinRTT=unknown))))
    assert (row["rtt_min_ms"], row["mbps"]) == (None, 100.0)


@pytest.mark.parametrize("measured", [None, [], [{"BBRInfo": {}}], [{"TCPInfo": None}]])
def test_a_test_without_measurements_is_a_record_of_its_failure(tmp_path: Path, measured: Any) -> None:
    row = only(read(tmp_path, result(ServerMeasurements=measured)))
    assert (row["mbps"], row["rtt_min_ms"], row["direction"]) == (None, None, "down")
    assert row["error"] == "the test has no measurement of its server"


def test_a_download_that_only_the_client_measured_has_the_clients_rate(tmp_path: Path) -> None:
    client = [{"AppInfo": {"NumBytes": 125_000_000, "ElapsedTime": 10_000_000}}]
    assert only(read(tmp_path, result(ServerMeasurements=None, ClientMeasurements=client)))["mbps"] == 100.0
    upload = result("Upload", ServerMeasurements=None, ClientMeasurements=client)
    assert only(read(tmp_path, upload))["mbps"] is None  # what a client sent has not arrived


def test_a_test_that_was_cut_says_so_unless_the_client_asked_for_it(tmp_path: Path) -> None:
    short = info(2_100_000, 26_250_000)
    assert (only(read(tmp_path, result("Download", short)))["error"]) == "ended after 2.1 s of 10"
    asked = result("Download", short, ClientMetadata=[{"Name": "early_exit", "Value": "250"}])
    row = only(read(tmp_path, asked))
    assert (row["mbps"], row["error"]) == (100.0, None)


def test_nothing_transferred_is_no_rate_and_never_zero(tmp_path: Path) -> None:
    row = only(read(tmp_path, result("Download", info(10_000_000, 0))))
    assert (row["mbps"], row["error"]) == (None, "nothing was transferred")
    odd = read(tmp_path, result("Download", info(10_000_000, -5)))
    assert only(odd)["mbps"] is None
    assert [bad.field for bad in odd.bad] == ["BytesAcked"]


def test_a_test_that_never_began_is_a_record(tmp_path: Path) -> None:
    never = result() | {"Download": None, "Upload": None}
    assert only(read(tmp_path, never))["error"] == "the test never began"


def test_rows_arrays_and_both_tests_of_one_result(tmp_path: Path) -> None:
    both = result() | {"Upload": result("Upload", info(10_000_000, 12_500_000))["Upload"]}
    row = {"date": "2020-03-18", "a": {"MinRTT": 25.0, "MeanThroughputMbps": 1.0}, "raw": both}
    found = read(tmp_path, row, [result()], json.dumps(result(), indent=1))
    assert found.table["mbps"].to_pylist() == [100.0, 10.0, 100.0, 100.0]
    assert found.read == 4
    assert found.bad == ()


def test_figures_as_text_are_figures(tmp_path: Path) -> None:
    assert only(read(tmp_path, result("Download", info("10000000", "125000000"))))["mbps"] == 100.0  # type: ignore[arg-type]


def test_a_clients_summary_has_its_units(tmp_path: Path) -> None:
    old = {
        "ServerFQDN": "ndt.example", "ServerIP": "203.0.113.1", "ClientIP": "192.0.2.7",
        "Download": {"Value": 93.5, "Unit": "Mbit/s"}, "Upload": {"Value": 0.02, "Unit": "Gbit/s"},
        "MinRTT": {"Value": 12.5, "Unit": "ms"},
    }  # fmt: skip
    new = old | {
        "Download": {"Throughput": {"Value": 93.5, "Unit": "Mbit/s"}, "Latency": {"Value": 12_500, "Unit": "us"}}
    }
    for summary in (old, new):
        rows = read(tmp_path, {"Key": "measurement", "Value": {}}, summary).table.to_pylist()
        assert [(row["direction"], row["mbps"]) for row in rows] == [("down", 93.5), ("up", 20.0)]
        assert (rows[0]["rtt_min_ms"], rows[0]["target_alias"]) == (12.5, "ndt.example")


def test_damaged_results_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, '{"ServerIP": "203.0', result(), {"a": {"MinRTT": 3}}, result() | {"Download": 7})
    assert found.table.num_rows == 1
    assert [bad.row for bad in found.bad] == [1, 3, 4]
    timeless = result(StartTime="yesterday") | {"StartTime": "0001-01-01T00:00:00Z"}
    assert [bad.field for bad in read(tmp_path, timeless).bad] == ["StartTime"]


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    assert len(read(tmp_path, "").bad) == 1


def test_the_reference_tests_are_38_7_down_and_2_7_up() -> None:
    folder = reference_data() / "measurement_formats/ndt7_rows"
    rows = [only(import_file(path, "ndt7")) for path in sorted(folder.glob("*.json"))]
    # 48,396,999 bytes acknowledged in 10.000921 s; 3,356,080 bytes received in 10.000111 s
    assert [row["mbps"] for row in rows] == [pytest.approx(38.714, abs=0.001), pytest.approx(2.6848, abs=0.0001)]
    assert [row["rtt_min_ms"] for row in rows] == [285.804, 173.733]
    assert [row["direction"] for row in rows] == ["down", "up"]
    assert rows[0]["observed_at"].isoformat() == "2020-03-18T00:06:57.568560744+00:00"
