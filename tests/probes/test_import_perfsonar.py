"""perfSONAR: esmond's points and pScheduler's results; a one-way delay is never a round trip."""

import json
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.importers.pscheduler import milliseconds
from probes.reading import ImportResult
from tests.reference import reference_data

WHEN = {"start": "2016-11-30T00:13:00-05:00", "duration": "PT11S"}
COUNTS = ("sent", "received", "rtt_ms")


def run(kind: str, result: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """What an archiver is given of a test that succeeded."""
    test = {"type": kind, "spec": {"schema": 1, "dest": "pop.example"} | spec}
    return {
        "test": test,
        "schedule": WHEN,
        "participants": ["fra1.example", "pop.example"],
        "result": {"succeeded": True} | result,
    }


def trip(seq: int, rtt: str | None, **more: Any) -> dict[str, Any]:
    return {"seq": seq} | ({} if rtt is None else {"ip": "198.51.100.9", "rtt": rtt, "ttl": 60, "length": 64}) | more


def point(event: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "source": "192.0.2.1",
        "destination": "198.51.100.9",
        "event-type": event,
        "ts": 1_397_421_672,
        "val": value,
    } | more


def read(folder: Path, *values: Any, **options: Any) -> ImportResult:
    path = folder / "perfsonar.json"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in values))
    return import_file(path, "perfsonar", on_error="skip", **options)


def rows(result: ImportResult, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in result.table.to_pylist()]


def only(result: ImportResult) -> dict[str, Any]:
    assert result.table.num_rows == 1
    return result.table.to_pylist()[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("PT0.000333S", 0.333), ("PT1M2.5S", 62_500.0), ("P1DT1H", 90_000_000.0), ("PT3E-2S", 30.0), ("PT0,02S", 20.0)],
)
def test_durations_are_milliseconds(text: str, expected: float) -> None:
    assert milliseconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "P", "PT", "PT-1S", "0.2", "PT1X", 5, None])
def test_what_is_no_duration_is_none(text: Any) -> None:
    assert milliseconds(text) is None


def test_round_trips_keep_their_times_and_their_losses(tmp_path: Path) -> None:
    trips = [
        trip(1, "PT0.0125S"),
        trip(2, None),
        trip(3, "PT0.013S"),
        trip(3, "PT0.099S"),
        trip(4, None, error="net-unreachable"),
    ]
    result = read(tmp_path, run("rtt", {"sent": 5, "received": 2, "lost": 3, "roundtrips": trips, "min": "PT0.0125S"}))
    row = only(result)
    assert [row[name] for name in COUNTS] == [5, 2, [12.5, 13.0]]
    assert (row["source"], row["target"], row["target_alias"]) == ("fra1.example", "198.51.100.9", "pop.example")
    assert (row["method"], row["error"], row["family"]) == ("imported:perfsonar", "net-unreachable", 4)
    assert row["observed_at"].isoformat() == "2016-11-30T05:13:00+00:00"
    assert result.lost == 3


def test_a_round_trip_of_no_time_is_told_and_counted(tmp_path: Path) -> None:
    result = read(tmp_path, run("rtt", {"sent": 2, "roundtrips": [trip(1, "PT0S"), trip(2, "PT0.01S")]}))
    assert rows(result, *COUNTS) == [(2, 2, [10.0])]
    assert [bad.field for bad in result.bad] == ["rtt"]


def test_a_summary_stands_in_for_round_trips_that_were_left_out(tmp_path: Path) -> None:
    sums = {"sent": 5, "received": 4, "min": "PT0.01S", "mean": "PT0.02S", "max": "PT0.03S", "roundtrips": []}
    names = ("sent", "received", "rtt_min_ms", "rtt_avg_ms", "rtt_max_ms")
    assert rows(read(tmp_path, run("rtt", sums)), *names) == [(5, 4, 10.0, 20.0, 30.0)]
    assert rows(read(tmp_path, run("rtt", {"sent": 5, "received": 0, "roundtrips": []})), *names) == [
        (5, 0, None, None, None)
    ]


def test_one_way_delays_count_packets_and_are_no_round_trips(tmp_path: Path) -> None:
    owamp = {"packets-sent": 600, "packets-received": 597, "packets-lost": 3, "histogram-latency": {"2.72": 597}}
    for kind in ("latency", "latencybg"):
        result = read(tmp_path, run(kind, owamp, source="fra1.example"))
        assert rows(result, *COUNTS, "rtt_p50_ms", "direction") == [(600, 597, None, None, "up")]
        assert rows(result, "method") == [("imported:perfsonar-oneway",)]
    assert read(tmp_path, run("latency", owamp | {"packets-lost": 700})).bad[0].field == "packets-lost"


def test_throughput_is_the_receivers_and_reverse_is_down(tmp_path: Path) -> None:
    sums = {"summary": {"summary": {"throughput-bits": 1e8, "receiver-throughput-bits": 9.4e7}, "streams": []}}
    assert rows(read(tmp_path, run("throughput", sums)), "mbps", "direction", "loaded") == [(94.0, "up", True)]
    assert rows(read(tmp_path, run("throughput", sums, reverse=True)), "mbps", "direction") == [(94.0, "down")]
    udp = {"summary": {"summary": {"throughput-bits": 1e8, "sent": 1000, "lost": 250}}}
    assert rows(read(tmp_path, run("throughput", udp)), "mbps", "sent", "received") == [(75.0, 1000, 750)]
    none = {"summary": {"summary": {"throughput-bits": 0}}}
    assert rows(read(tmp_path, run("throughput", none)), "mbps", "error") == [(None, "nothing was transferred")]
    assert read(tmp_path, run("throughput", {"summary": None})).bad[0].field == "summary"


def test_a_trace_is_a_round_trip_where_its_last_hop_is_the_destination(tmp_path: Path) -> None:
    far, near = (
        {"ip": "198.51.100.9", "hostname": "pop.example.", "rtt": "PT0.02S"},
        {"ip": "192.0.2.1", "rtt": "PT0.001S"},
    )
    reached = run("trace", {"paths": [[near, far], [near], [near, {}]]})
    row = only(read(tmp_path, reached))
    assert [row[name] for name in COUNTS] == [3, 1, [20.0]]
    assert (row["method"], row["target"]) == ("imported:perfsonar-trace", "198.51.100.9")
    refused = run("trace", {"paths": [[near, far | {"error": "host-unreachable"}]]})
    assert rows(read(tmp_path, refused), *COUNTS, "error") == [(1, 0, None, "host-unreachable")]


def test_a_test_that_failed_is_a_record_of_its_error(tmp_path: Path) -> None:
    failed = run("rtt", {"succeeded": False, "error": "Process took too long\nand more", "diags": "x"})
    assert rows(read(tmp_path, failed), *COUNTS, "error") == [(None, None, None, "Process took too long")]
    assert rows(read(tmp_path, run("throughput", {"succeeded": False})), "error") == [("the test failed",)]


def test_every_wrapping_gives_the_same_round_trip(tmp_path: Path) -> None:
    whole = run("rtt", {"sent": 1, "roundtrips": [trip(1, "PT0.0125S")]})
    api = {
        "state": "finished",
        "start-time": WHEN["start"],
        "participants": ["fra1.example"],
        "result-merged": whole["result"],
    }
    tool = {"succeeded": True, "diags": "", "error": None, "result": whole["result"]}
    local = api | {"result-merged": None, "result": tool}
    for value in (
        tool,
        local,
        whole,
        {"result": whole, "attempts": 3, "data": {}},
        api,
        whole["result"],
        [whole],
        json.dumps(whole, indent=2),
    ):
        assert rows(read(tmp_path, value), "rtt_ms", "target") == [([12.5], "198.51.100.9")]


def test_other_tests_and_metadata_are_passed_over_with_a_note(tmp_path: Path) -> None:
    result = read(tmp_path, run("dns", {}), run("dns", {}), {"event-types": [], "source": "a"})
    assert result.table.num_rows == 0
    assert result.bad == ()
    assert any("2 tests of dns" in note for note in result.notes)


def test_esmonds_throughput_is_bits_per_second_at_seconds_or_milliseconds(tmp_path: Path) -> None:
    store = {"path": ["ps", "throughput", "KEY"], "is_valid": 1, "ts": 1_397_421_672_000, "val": 7e9}
    command = {
        "source": "a",
        "destination": "b",
        "event_type": "throughput",
        "timestamp": "2014-04-13 20:41:12",
        "value": 7e9,
    }
    result = read(tmp_path, [point("throughput", 7e9), store, command, store | {"is_valid": 0}])
    assert rows(result, "mbps", "direction") == [(7000.0, "up")] * 3
    assert {time[0].isoformat() for time in rows(result, "observed_at")} == {"2014-04-13T20:41:12+00:00"}
    assert rows(result, "source", "target") == [("192.0.2.1", "198.51.100.9"), ("", ""), ("a", "b")]
    assert result.bad == ()


def test_esmonds_histogram_of_round_trips_has_percentiles(tmp_path: Path) -> None:
    histogram = {"12.50": 10, "9.00": 9, "100.00": 1}
    names = ("received", "rtt_min_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_max_ms", "rtt_avg_ms", "sent")
    # 20 round trips: the 10th is 12.5, the 19th too; the mean is (81 + 125 + 100) / 20
    assert rows(read(tmp_path, point("histogram-rtt", histogram)), *names) == [(20, 9.0, 12.5, 12.5, 100.0, 15.3, None)]
    tiny = rows(read(tmp_path, point("histogram-rtt", {"0.00": 3})), *names)
    assert tiny == [(3, None, None, None, None, None, None)]
    sums = {
        "minimum": 9.0,
        "median": 12.5,
        "maximum": 100.0,
        "mean": 15.3,
        "percentile-95": 12.5,
        "standard-deviation": 2.0,
    }
    assert rows(read(tmp_path, point("histogram-rtt", sums)), *names[1:6]) == [(9.0, 12.5, 12.5, 100.0, 15.3)]
    assert read(tmp_path, point("histogram-rtt", {"x": 3})).bad[0].field == "histogram-rtt"


def test_esmonds_one_way_delays_give_no_record(tmp_path: Path) -> None:
    result = read(tmp_path, point("histogram-owdelay", {"85": 754_574}), point("histogram_owdelay", {"median": 8}))
    assert result.table.num_rows == 0
    assert result.read == 2
    assert result.bad == ()
    assert any("2 of one-way delays" in note for note in result.notes)


def test_esmonds_losses_are_counted_where_both_counts_are_known(tmp_path: Path) -> None:
    fraction = point("packet-loss-rate-bidir", {"numerator": 1, "denominator": 5})
    halves = [
        point("packet-count-lost", 3),
        point("packet-count-sent", 600),
        point("packet-count-sent", 9, ts=1_397_421_700),
    ]
    result = read(tmp_path, fraction, *halves, point("packet-loss-rate", 0.2))
    assert rows(result, "sent", "received", "method") == [
        (5, 4, "imported:perfsonar"), (600, 597, "imported:perfsonar-oneway"),
    ]  # fmt: skip
    assert any("whose other count is missing" in note for note in result.notes)
    assert read(tmp_path, point("packet-loss-rate", {"numerator": 9, "denominator": 5})).bad != ()


def test_what_pscheduler_writes_to_esmond_counts_once(tmp_path: Path) -> None:
    values = {
        "histogram-rtt": {"0.33": 4}, "packet-loss-rate-bidir": {"numerator": 1, "denominator": 5},
        "packet-count-sent": 5, "packet-count-lost-bidir": 1,
    }  # fmt: skip
    written = {"ts": 1_397_421_672, "val": [{"event-type": name, "val": value} for name, value in values.items()]}
    result = read(tmp_path, written)
    assert rows(result, "sent", "received", "rtt_min_ms") == [(None, 4, 0.33), (5, 4, None)]
    assert result.lost == 1


def test_a_failure_is_its_error_and_a_number_of_nothing_is_told(tmp_path: Path) -> None:
    result = read(tmp_path, point("failures", {"error": "no route"}), {"ts": 1_397_421_672, "val": 5})
    assert rows(result, "error") == [("no route",)]
    assert [bad.field for bad in result.bad] == ["event-type"]


def test_damaged_objects_are_told_with_their_line(tmp_path: Path) -> None:
    result = read(
        tmp_path,
        '{"ts": 5, "val',
        point("throughput", "much"),
        point("throughput", 7e9, ts="never"),
        "3",
        point("throughput", 7e9),
    )
    assert [bad.row for bad in result.bad] == [1, 2, 3, 4]
    assert rows(result, "mbps") == [(7000.0,)]
    assert len(read(tmp_path, "").bad) == 1


def test_the_reference_archive_is_600_rates_and_no_round_trip() -> None:
    folder = reference_data() / "measurement_formats"
    rates = import_file(folder / "esmond_perfsonar/throughput_data.json", "perfsonar", source="lbl", target="chic")
    values = [one["val"] / 1e6 for one in json.loads((folder / "esmond_perfsonar/throughput_data.json").read_text())]
    assert rates.table["mbps"].to_pylist() == values
    assert import_file(folder / "esmond_perfsonar/histogram_owdelay_daily_data.json", "perfsonar").table.num_rows == 0
    trace = import_file(folder / "pscheduler/trace-result.json", "perfsonar", target="207.75.164.248")
    assert rows(trace, *COUNTS, "error") == [(1, 0, None, "communication-administratively-prohibited")]
