"""iperf3's JSON: whose figure, which direction, which unit."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

WHEN = datetime(2025, 3, 1, tzinfo=UTC)


def run(**test: Any) -> dict[str, Any]:
    """A client's TCP run: 100 Mbit/s sent, 94 received over 10 s, RTT 12.5 to 30 ms."""
    sent, received = 125_000_000, 117_500_000
    stream = {
        "sender": {
            "bytes": sent, "bits_per_second": 1e8, "seconds": 10.0, "max_rtt": 30_000, "min_rtt": 12_500,
            "mean_rtt": 20_000, "sender": True,
        },
        "receiver": {"bytes": received, "bits_per_second": 9.4e7, "seconds": 10.0, "sender": True},
    }  # fmt: skip
    return {
        "start": {
            "connected": [{"local_host": "10.0.0.2", "remote_host": "198.51.100.9", "remote_port": 5201}],
            "timestamp": {"timesecs": 1_740_787_200},
            "connecting_to": {"host": "pop.example", "port": 5201},
            "test_start": {"protocol": "TCP", "reverse": 0, "duration": 10} | test,
        },
        "intervals": [
            {"sum": {"seconds": 1.0, "bytes": 50_000_000, "bits_per_second": 4e8, "omitted": True}},
            {"sum": {"seconds": 1.0, "bytes": 12_000_000, "bits_per_second": 9.6e7, "omitted": False}},
            {"sum": {"seconds": 1.0, "bytes": 11_000_000, "bits_per_second": 8.8e7, "omitted": False}},
        ],
        "end": {
            "streams": [stream],
            "sum_sent": {"bytes": sent, "bits_per_second": 1e8, "seconds": 10.0},
            "sum_received": {"bytes": received, "bits_per_second": 9.4e7, "seconds": 10.0},
        },
    }


def read(folder: Path, content: object) -> ImportResult:
    path = folder / "iperf.json"
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
    return import_file(path, "iperf3", on_error="skip")


def only(result: ImportResult) -> dict[str, Any]:
    assert result.table.num_rows == 1
    return result.table.to_pylist()[0]  # type: ignore[no-any-return]


def test_the_rate_is_the_receivers_in_mbit_and_the_times_are_ms_under_load(tmp_path: Path) -> None:
    row = only(read(tmp_path, run()))
    assert (row["mbps"], row["bytes"], row["direction"], row["loaded"]) == (94.0, 117_500_000, "up", True)
    assert (row["rtt_min_ms"], row["rtt_avg_ms"], row["rtt_max_ms"]) == (12.5, 20.0, 30.0)
    assert (row["source"], row["target"], row["target_alias"]) == ("10.0.0.2", "198.51.100.9", "pop.example")
    assert (row["sent"], row["received"], row["family"], row["error"]) == (None, None, 4, None)
    assert row["observed_at"].to_pydatetime() == WHEN


def test_reverse_is_down_from_the_target_to_the_source(tmp_path: Path) -> None:
    row = only(read(tmp_path, run(reverse=1)))
    assert (row["direction"], row["mbps"], row["source"]) == ("down", 94.0, "10.0.0.2")


def test_a_servers_file_names_the_client_as_the_source(tmp_path: Path) -> None:
    server = run()
    del server["start"]["connecting_to"]
    server["start"]["accepted_connection"] = {"host": "::ffff:203.0.113.5", "port": 40_000}
    server["start"]["connected"] = [{"local_host": "::ffff:198.51.100.9", "remote_host": "::ffff:203.0.113.5"}]
    row = only(read(tmp_path, server))
    assert (row["source"], row["target"], row["direction"], row["family"]) == ("203.0.113.5", "198.51.100.9", "up", 4)
    assert row["mbps"] == 94.0


@pytest.mark.parametrize("test", [{"bidir": 1}, {}])
def test_both_directions_at_once_are_two_records_with_their_own_figures(tmp_path: Path, test: dict[str, int]) -> None:
    both = run(**test)
    both["end"]["sum_received_bidir_reverse"] = {"bytes": 25_000_000, "bits_per_second": 2e7, "seconds": 10.0}
    own = {"sender": False, "min_rtt": 2, "mean_rtt": 2, "max_rtt": 2}  # of the client, which only receives here
    both["end"]["streams"].append({"sender": own, "receiver": {}})
    rows = read(tmp_path, both).table.to_pylist()
    assert [(row["direction"], row["mbps"]) for row in rows] == [("up", 94.0), ("down", 20.0)]
    assert [row["rtt_min_ms"] for row in rows] == [12.5, None]


def test_udp_counts_datagrams_and_its_rate_is_what_arrived(tmp_path: Path) -> None:
    udp = run(protocol="UDP")
    sums = {"bytes": 10_000_000, "bits_per_second": 8e6, "packets": 1000, "lost_packets": 250, "lost_percent": 25.0}
    udp["end"] = {"streams": [{"udp": sums}], "sum": sums}
    result = read(tmp_path, udp)
    row = only(result)
    assert (row["sent"], row["received"], row["mbps"], row["bytes"]) == (1000, 750, 6.0, 7_500_000)
    assert result.lost == 250
    udp["end"]["sum_received"] = {"bytes": 7_400_000, "bits_per_second": 5.9e6, "seconds": 10.0}
    assert only(read(tmp_path, udp))["mbps"] == 5.9


def test_datagrams_lost_below_zero_are_told_and_no_loss_is_claimed(tmp_path: Path) -> None:
    udp = run(protocol="UDP")
    udp["end"]["sum"] = {"packets": 1000, "lost_packets": -3, "bytes": 1, "bits_per_second": 8}
    result = read(tmp_path, udp)
    assert [bad.field for bad in result.bad] == ["lost_packets"]
    assert only(result)["sent"] is None


def test_an_interrupted_sender_has_no_rate_and_says_why(tmp_path: Path) -> None:
    cut = run() | {"error": "interrupt - the client has terminated"}
    cut["end"]["sum_received"] = {"bytes": 0, "bits_per_second": 0, "seconds": 0}
    row = only(read(tmp_path, cut))
    assert (row["mbps"], row["bytes"], row["error"]) == (None, None, "interrupt - the client has terminated")


def test_an_interrupted_receiver_has_the_rate_of_its_intervals_without_the_warm_up(tmp_path: Path) -> None:
    cut = run(reverse=1) | {"end": {}, "error": "interrupt"}
    row = only(read(tmp_path, cut))
    assert (row["mbps"], row["bytes"]) == (92.0, 23_000_000)  # 8 × 23 MB in 2 s


def test_a_receiver_that_was_not_told_is_absent_and_never_zero(tmp_path: Path) -> None:
    silent = run()
    silent["end"]["sum_received"] = {"bytes": 0, "bits_per_second": 0.0}
    row = only(read(tmp_path, silent))
    assert row["mbps"] is None
    assert row["error"] == "the run has no figure of the receiver"


def test_without_a_sum_the_receivers_streams_are_added(tmp_path: Path) -> None:
    old = run()
    del old["end"]["sum_received"]
    old["end"]["streams"] = [copy.deepcopy(old["end"]["streams"][0]) for _ in range(2)]
    assert only(read(tmp_path, old))["mbps"] == 188.0


def test_a_run_that_never_connected_is_a_record_of_its_error(tmp_path: Path) -> None:
    failed = {
        "start": {"connected": [], "version": "iperf 3.0.11", "connecting_to": {"host": "pop.example"}},
        "intervals": [],
        "end": {},
        "error": "error - unable to connect to server: No route to host",
    }
    result = read(tmp_path, failed)
    row = only(result)
    assert (row["target"], row["mbps"], row["direction"]) == ("pop.example", None, None)
    assert row["error"].endswith("No route to host")
    assert result.bad == ()
    assert result.notes


def test_c_nan_and_messages_beside_the_json_are_no_obstacle(tmp_path: Path) -> None:
    text = json.dumps(run(), indent=1).replace('"omitted": true', '"lost_percent":\t-nan, "x": nan,\n"omitted": true')
    result = read(tmp_path, f"warning: this is old\n{text}\niperf3: error - unable to send control message\n")
    assert only(result)["mbps"] == 94.0
    assert result.bad == ()
    assert len(result.notes) == 2


def test_nan_as_the_rate_is_absent(tmp_path: Path) -> None:
    odd = run()
    odd["end"]["sum_received"] = {"bytes": 5, "bits_per_second": float("nan")}
    result = read(tmp_path, odd)
    assert only(result)["mbps"] is None
    assert len(result.bad) == 1


def test_many_runs_in_one_log_or_an_array_are_many_records(tmp_path: Path) -> None:
    log = json.dumps(run(), indent="\t") + "\n" + json.dumps(run(reverse=1)) + json.dumps(run())
    assert read(tmp_path, log).table["direction"].to_pylist() == ["up", "down", "up"]
    assert read(tmp_path, [run(), run(reverse=1)]).table["direction"].to_pylist() == ["up", "down"]


def test_a_stream_of_events_is_the_run_it_reports(tmp_path: Path) -> None:
    whole = run(reverse=1)
    events = [{"event": "start", "data": whole["start"]}]
    events += [{"event": "interval", "data": one} for one in whole["intervals"]]
    lines = "".join(json.dumps(one) + "\n" for one in events)
    end = json.dumps({"event": "end", "data": whole["end"]})
    assert only(read(tmp_path, lines + end))["mbps"] == 94.0
    assert only(read(tmp_path, lines + json.dumps({"event": "error", "data": "interrupt"})))["mbps"] == 92.0


def test_a_truncated_run_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    text = json.dumps(run())
    result = read(tmp_path, text[:300] + "\n" + text)
    assert result.table.num_rows == 1
    assert len(result.bad) == 1
    assert read(tmp_path, text[:-30]).table.num_rows == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "3", "iperf3: error - no", '{"start": 3}', '"x"'])
def test_a_file_without_a_run_is_told(tmp_path: Path, content: str) -> None:
    result = read(tmp_path, content)
    assert result.table.num_rows == 0
    assert len(result.bad) == 1


def test_a_file_of_powershell_is_utf_16_and_read(tmp_path: Path) -> None:
    path = tmp_path / "iperf.json"
    path.write_bytes(json.dumps(run(), indent=1).replace("\n", "\r\n").encode("utf-16"))
    assert only(import_file(path, "iperf3"))["mbps"] == 94.0


def test_the_reference_run_of_version_3_0_reads_the_receivers_934_mbit(tmp_path: Path) -> None:
    row = only(import_file(reference_data() / "measurement_formats/iperf3_json/results.json", "iperf3"))
    assert (row["mbps"], row["bytes"], row["direction"]) == (934.268, 1_518_193_248, "up")
    assert (row["source"], row["target"], row["rtt_min_ms"]) == ("192.168.0.3", "192.168.0.188", None)
    assert row["observed_at"].to_pydatetime() == datetime(2017, 6, 28, 15, 31, 28, tzinfo=UTC)
