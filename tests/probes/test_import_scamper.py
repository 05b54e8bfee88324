"""scamper's JSON: whose answer it is, what was lost, and what a trace says of its destination."""

import json
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

START = {"sec": 1_740_787_200, "usec": 250_000}
DST, ROUTER = "198.51.100.9", "192.0.2.1"
COUNTS = ("sent", "received", "rtt_ms")


def answer(seq: int | None, rtt: Any, sender: str = DST, **more: Any) -> dict[str, Any]:
    numbered = {} if seq is None else {"seq": seq}
    return {"from": sender, **numbered, "rtt": rtt} | (more or {"icmp_type": 0, "icmp_code": 0})


def ping(*answers: dict[str, Any], sent: int = 4, **more: Any) -> dict[str, Any]:
    ends = {"src": "203.0.113.5", "dst": DST}
    return {"type": "ping", "version": "0.4", **ends, "start": START, "ping_sent": sent, "responses": [*answers]} | more


def hop(ttl: int, probe: int, rtt: float, sender: str = ROUTER, kind: int = 11, code: int = 0) -> dict[str, Any]:
    return {"addr": sender, "probe_ttl": ttl, "probe_id": probe, "rtt": rtt, "icmp_type": kind, "icmp_code": code}


def trace(*hops: dict[str, Any], **more: Any) -> dict[str, Any]:
    ends = {"src": "203.0.113.5", "dst": DST, "start": START}
    return {
        "type": "trace",
        "version": "0.1",
        **ends,
        "attempts": 3,
        "stop_reason": "COMPLETED",
        "hops": [*hops],
    } | more


def read(folder: Path, *results: Any) -> ImportResult:
    path = folder / "scamper.json"
    path.write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in results))
    return import_file(path, "scamper", on_error="skip")


def only(result: ImportResult) -> dict[str, Any]:
    assert result.table.num_rows == 1
    return result.table.to_pylist()[0]  # type: ignore[no-any-return]


def counts(result: ImportResult) -> tuple[Any, ...]:
    row = only(result)
    return tuple(row[name] for name in COUNTS)


def test_a_ping_counts_each_packet_once_and_its_loss(tmp_path: Path) -> None:
    result = read(tmp_path, ping(answer(0, 5.5), answer(2, 6.5), answer(2, 9.9), statistics={"replies": 2, "ndups": 1}))
    assert counts(result) == (4, 2, [5.5, 6.5])
    row = only(result)
    assert (row["source"], row["target"], row["family"], row["method"]) == ("203.0.113.5", DST, 4, "imported:scamper")
    assert row["observed_at"].isoformat() == "2025-03-01T00:00:00.250000+00:00"
    assert result.lost == 2
    assert result.bad == ()


def test_an_error_of_a_router_is_no_answer(tmp_path: Path) -> None:
    errors = [answer(1, 1.5, ROUTER, icmp_type=11, icmp_code=0), answer(2, 2.5, ROUTER, icmp_type=3, icmp_code=1)]
    row = only(read(tmp_path, ping(answer(0, 5.5), *errors)))
    assert (row["received"], row["rtt_ms"]) == (1, [5.5])
    assert row["error"] == f"ICMP 11/0 from {ROUTER}; ICMP 3/1 from {ROUTER}"


@pytest.mark.parametrize(
    ("dst", "more"),
    [
        (DST, {"icmp_type": 3, "icmp_code": 3}),  # to UDP
        (DST, {"icmp_type": 14, "icmp_code": 0}),  # time stamp
        (DST, {"reply_proto": "tcp", "tcp_flags": 18}),
        (DST, {"reply_proto": 6}),
        ("2001:db8::9", {"icmp_type": 129, "icmp_code": 0}),
        ("2001:db8::9", {"icmp_type": 1, "icmp_code": 4}),
        ("2001:db8::9", {"reply_proto": "udp"}),
    ],
)
def test_every_method_knows_an_answer_of_the_destination(tmp_path: Path, dst: str, more: dict[str, Any]) -> None:
    assert counts(read(tmp_path, ping(answer(0, 5.5, dst, **more), sent=1, dst=dst))) == (1, 1, [5.5])


def test_type_3_is_an_error_in_ipv4_and_type_1_in_ipv6(tmp_path: Path) -> None:
    odd = answer(0, 5.5, "2001:db8::1", icmp_type=3, icmp_code=3)  # ICMPv6 time exceeded
    assert counts(read(tmp_path, ping(odd, dst="2001:db8::9"))) == (4, 0, None)
    assert counts(read(tmp_path, ping(answer(0, 5.5, icmp_type=1, icmp_code=4)))) == (4, 0, None)


def test_nobody_answered_and_never_zero(tmp_path: Path) -> None:
    silent = ping(statistics={"replies": 0, "loss": 1}, no_responses=[{"seq": 0}])
    assert counts(read(tmp_path, silent)) == (4, 0, None)


@pytest.mark.parametrize("rtt", [0, -1, "x", None, float("nan")])
def test_a_time_that_is_none_is_told_and_its_answer_counted(tmp_path: Path, rtt: Any) -> None:
    result = read(tmp_path, ping(answer(0, rtt), answer(1, "5.5")))
    assert counts(result) == (4, 2, [5.5])
    assert [bad.field for bad in result.bad] == ["rtt"]


def test_statistics_stand_in_for_answers_that_were_left_out_and_check_the_others(tmp_path: Path) -> None:
    said = {"replies": 3, "loss": 0.25, "min": 1.5, "max": 3.5, "avg": 2.5}
    row = only(read(tmp_path, ping(statistics=said)))
    assert [row[name] for name in ("sent", "received", "rtt_min_ms", "rtt_avg_ms", "rtt_max_ms")] == [
        4,
        3,
        1.5,
        2.5,
        3.5,
    ]
    assert [bad.field for bad in read(tmp_path, ping(answer(0, 5.5), statistics=said)).bad] == ["replies"]


def test_a_trace_counts_what_the_destination_answered_and_never_a_hop(tmp_path: Path) -> None:
    here = [hop(7, 2, 20.5, DST, 3, 3), hop(7, 3, 21.5, DST, 3, 3), hop(7, 3, 99.0, DST, 3, 3)]
    result = read(tmp_path, trace(hop(1, 1, 0.5), hop(6, 1, 19.0, DST), *here))
    assert counts(result) == (3, 2, [20.5, 21.5])  # packet 1 of that hop was not answered
    assert only(result)["method"] == "imported:scamper-trace"
    listed = trace(*here, no_hops=[{"probe_ttl": 7, "probe_id": 1}, {"probe_ttl": 2, "probe_id": 1}])
    assert counts(read(tmp_path, listed)) == (3, 2, [20.5, 21.5])


def test_a_trace_that_did_not_arrive_is_a_loss_with_its_reason(tmp_path: Path) -> None:
    row = only(read(tmp_path, trace(hop(1, 1, 0.5), hop(2, 1, 0.9), stop_reason="GAPLIMIT")))
    assert (row["sent"], row["received"], row["rtt_ms"], row["error"]) == (3, 0, None, "stopped: GAPLIMIT")
    empty = trace()
    del empty["hops"]
    assert only(read(tmp_path, empty))["error"] == "the destination did not answer"


def test_a_refusal_of_the_destination_itself_is_a_round_trip_of_a_trace(tmp_path: Path) -> None:
    assert counts(read(tmp_path, trace(hop(3, 1, 8.5, DST, 3, 13)))) == (1, 1, [8.5])
    assert counts(read(tmp_path, trace(hop(3, 1, 8.5, ROUTER, 3, 13)))) == (3, 0, None)


def test_marks_metadata_and_other_kinds_are_passed_over_with_a_count(tmp_path: Path) -> None:
    others = [
        {"type": "cycle-start", "id": 1},
        {"UUID": "x", "CachedResult": False},
        {"type": "tracelb"},
        {"type": "tracelb"},
    ]
    result = read(tmp_path, *others, ping(answer(0, 5.5), dst="::ffff:198.51.100.9"), {"type": "dealias"})
    assert result.read == 1
    assert only(result)["target"] == DST
    assert any("1 of dealias, 2 of tracelb" in note for note in result.notes)
    assert result.bad == ()


def test_damaged_results_are_told_with_their_line_and_cost_themselves_only(tmp_path: Path) -> None:
    good = ping(answer(0, 5.5))
    odd = [good | {"dst": ""}, good | {"start": {"sec": -1}}, good | {"ping_sent": "many"}, good | {"responses": 3}]
    result = read(tmp_path, good, '{"type":"ping", "dst"\n', *odd, good | {"ping_sent": 0}, good)
    assert result.table.num_rows == 2
    fields = [(bad.row, bad.field) for bad in result.bad]
    assert fields == [(2, "result"), (3, "dst"), (4, "start"), (5, "ping_sent"), (6, "responses"), (7, "ping_sent")]


@pytest.mark.parametrize("content", ["", "\n", "warts"])
def test_a_file_without_a_result_is_told(tmp_path: Path, content: str) -> None:
    assert len(read(tmp_path, content).bad) == 1


def test_the_reference_traces_of_m_lab_are_multipath_and_hold_no_record() -> None:
    for path in sorted((reference_data() / "measurement_formats/scamper_json").glob("*.jsonl")):
        result = import_file(path, "scamper")
        assert result.table.num_rows == 0
        assert any("1 of tracelb" in note for note in result.notes)
