"""RIPE Atlas results: small ones written by hand, and the reference samples with figures counted by hand."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

PING: dict[str, Any] = {
    "type": "ping",
    "fw": 5080,
    "af": 4,
    "prb_id": 7,
    "from": "192.0.2.1",
    "dst_addr": "198.51.100.9",
    "dst_name": "pop.example",
    "timestamp": 1_740_787_200,
    "sent": 3,
    "rcvd": 3,
    "result": [{"rtt": 10.5}, {"rtt": 11.5, "ttl": 50}, {"rtt": 9.25}],
}
TRACE: dict[str, Any] = PING | {"type": "traceroute", "proto": "ICMP"}


def read(folder: Path, content: object, name: str = "atlas.json") -> ImportResult:
    path = folder / name
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
    return import_file(path, "ripe-atlas", on_error="skip")


def only(result: ImportResult) -> dict[str, Any]:
    assert result.table.num_rows == 1
    return result.table.to_pylist()[0]  # type: ignore[no-any-return]


def hop(number: int, *packets: dict[str, Any]) -> dict[str, Any]:
    return {"hop": number, "result": list(packets)}


def test_a_ping_keeps_its_samples_its_probe_and_both_names_of_its_ends(tmp_path: Path) -> None:
    row = only(read(tmp_path, PING))
    assert row["rtt_ms"] == [10.5, 11.5, 9.25]
    assert (row["source"], row["source_alias"]) == ("7", "192.0.2.1")
    assert (row["target"], row["target_alias"]) == ("198.51.100.9", "pop.example")
    assert (row["sent"], row["received"], row["family"], row["method"]) == (3, 3, 4, "imported:ripe-atlas")
    assert row["observed_at"].isoformat() == "2025-03-01T00:00:00+00:00"
    assert row["rtt_min_ms"] is None


@pytest.mark.parametrize("text", ["array", "lines", "pages", "pretty", "pretty array", "crlf", "bom", "page", "stream"])
def test_every_shape_of_file_gives_the_same_records(tmp_path: Path, text: str) -> None:
    other = PING | {"prb_id": 8}
    lines = f"{json.dumps(PING)}\n{json.dumps(other)}\n"
    shapes = {
        "array": json.dumps([PING, other]),
        "lines": lines,
        "pages": json.dumps([PING]) + "\n" + json.dumps([other]),
        "pretty": json.dumps(PING, indent=2) + "\n" + json.dumps(other, indent=4) + "\n",
        "pretty array": json.dumps([PING, other], indent=1),
        "crlf": lines.replace("\n", "\r\n\r\n"),
        "bom": "\ufeff" + lines,
        "page": json.dumps({"count": 2, "next": None, "results": [PING, other]}),
        "stream": f"{json.dumps(['atlas_result', PING])}\n{json.dumps(['atlas_result', other])}\n",
    }
    result = read(tmp_path, shapes[text])
    assert result.bad == ()
    assert result.read == 2
    assert result.table["source"].to_pylist() == ["7", "8"]


def test_a_lost_ping_is_null_and_never_zero(tmp_path: Path) -> None:
    lost = PING | {"rcvd": 0, "min": -1, "avg": -1, "max": -1, "result": [{"x": "*"}, {"x": "*"}, {"x": "*"}]}
    result = read(tmp_path, lost)
    row = only(result)
    assert (row["sent"], row["received"], row["rtt_ms"], row["rtt_min_ms"]) == (3, 0, None, None)
    assert (result.lost, result.bad) == (3, ())


def test_duplicates_and_late_answers_are_neither_sent_nor_received(tmp_path: Path) -> None:
    packets = [{"x": "*"}, {"rtt": 1500.0, "dup": 1}, {"rtt": 1900.0, "late": 1}, {"rtt": 20.0}]
    row = only(read(tmp_path, PING | {"sent": 2, "rcvd": 1, "dup": 1, "result": packets}))
    assert (row["sent"], row["received"], row["rtt_ms"]) == (2, 1, [20.0])


@pytest.mark.parametrize("rtt", [0, -1, "fast", None, "NaN", 1e400, True, [1]])
def test_a_time_that_is_none_is_told_and_its_answer_counts_without_a_sample(tmp_path: Path, rtt: object) -> None:
    result = read(tmp_path, PING | {"result": [{"rtt": rtt}, {"rtt": 5.0}, {"x": "*"}]})
    row = only(result)
    assert (row["sent"], row["received"], row["rtt_ms"]) == (3, 2, [5.0])
    assert [bad.field for bad in result.bad] == ["rtt"]


def test_a_name_that_was_not_found_is_a_record_with_its_error_and_nothing_sent(tmp_path: Path) -> None:
    failed = PING | {"sent": 0, "rcvd": 0, "result": [{"error": "dns resolution failed: no data"}]}
    del failed["dst_addr"]
    row = only(read(tmp_path, failed))
    assert (row["target"], row["sent"], row["received"]) == ("pop.example", 0, 0)
    assert row["error"] == "dns resolution failed: no data"


def test_figures_written_as_text_and_a_summary_without_packets_are_read(tmp_path: Path) -> None:
    old = {
        "fw": 0, "prb_id": 7, "timestamp": 1_328_019_792, "addr": "198.51.100.9", "name": "pop.example",
        "sent": "3", "rcvd": "2", "min": "57.876", "avg": "58.042", "max": "58.272", "src_addr": "10.0.0.2",
    }  # fmt: skip
    row = only(read(tmp_path, old))
    assert (row["rtt_min_ms"], row["rtt_avg_ms"], row["rtt_max_ms"]) == (57.876, 58.042, 58.272)
    assert (row["sent"], row["received"], row["rtt_ms"], row["source_alias"]) == (3, 2, None, "10.0.0.2")


def test_an_empty_list_of_packets_beside_a_summary_is_read_by_the_summary(tmp_path: Path) -> None:
    row = only(read(tmp_path, PING | {"min": 9.25, "avg": 10.5, "max": 11.5, "result": []}))
    assert (row["sent"], row["received"], row["rtt_avg_ms"]) == (3, 3, 10.5)
    none = read(tmp_path, PING | {"rcvd": 0, "min": -1, "avg": -1, "max": -1, "result": []})
    assert (only(none)["sent"], only(none)["received"], none.bad) == (3, 0, ())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": 1_740_787_200_000}, "timestamp"),
        ({"timestamp": 0}, "timestamp"),
        ({"timestamp": 10}, "observed_at"),
        ({"prb_id": "x"}, "prb_id"),
        ({"type": "dns"}, "type"),
        ({"sent": 1}, "sent"),
        ({"sent": "many"}, "sent"),
        ({"result": "none"}, "result"),
        ({"dst_addr": None, "dst_name": ""}, "dst_addr"),
    ],
)
def test_a_result_that_cannot_be_a_record_is_told_and_the_next_is_read(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    result = read(tmp_path, [PING | changes, PING])
    assert [(bad.row, bad.field) for bad in result.bad] == [(1, field)]
    assert (result.read, result.table.num_rows) == (2, 1)


def test_a_traceroute_gives_the_times_of_the_destination_alone(tmp_path: Path) -> None:
    near = hop(1, {"from": "10.0.0.1", "rtt": 0.5}, {"from": "10.0.0.1", "rtt": 0.6}, {"x": "*"})
    far = hop(2, {"from": "198.51.100.9", "rtt": 30.5}, {"x": "*"}, {"from": "198.51.100.9", "rtt": 31.5, "err": "p"})
    row = only(read(tmp_path, TRACE | {"result": [near, far]}))
    assert (row["sent"], row["received"], row["rtt_ms"]) == (3, 2, [30.5, 31.5])


@pytest.mark.parametrize(
    "last",
    [
        hop(2, {"from": "203.0.113.1", "rtt": 30.5}, {"from": "203.0.113.1", "rtt": 30.6}, {"x": "*"}),
        hop(255, {"x": "*"}, {"x": "*"}, {"x": "*"}),
        hop(2, *[{"from": "198.51.100.9", "rtt": 3000.0, "err": "H"}] * 3),
        hop(255, {"late": 16, "from": "198.51.100.9"}, {"x": "*"}, {"x": "*"}, {"x": "*"}),
    ],
)
def test_a_traceroute_that_did_not_reach_its_destination_is_a_loss(tmp_path: Path, last: dict[str, Any]) -> None:
    result = read(tmp_path, TRACE | {"result": [hop(1, {"from": "10.0.0.1", "rtt": 0.5}), last]})
    row = only(result)
    assert (row["sent"], row["received"], row["rtt_ms"], result.lost) == (3, 0, None, 3)
    assert row["method"] == "imported:ripe-atlas-traceroute"


def test_an_ipv6_destination_is_known_in_either_spelling(tmp_path: Path) -> None:
    trace = TRACE | {"af": 6, "dst_addr": "2001:6b0:e:3::1", "dst_name": "2001:6b0:e:3:0:0:0:1"}
    row = only(read(tmp_path, trace | {"result": [hop(3, {"from": "2001:06b0:e:3:0:0:0:1", "rtt": 8.5})]}))
    assert (row["rtt_ms"], row["family"], row["target_alias"]) == ([8.5], 6, None)


def test_an_unreachable_network_is_an_error_with_nothing_sent(tmp_path: Path) -> None:
    row = only(read(tmp_path, TRACE | {"result": [{"hop": 1, "error": "connect failed: Network is unreachable"}]}))
    assert (row["sent"], row["received"], row["error"]) == (0, 0, "connect failed: Network is unreachable")


def test_a_traceroute_of_firmware_1_is_the_output_of_the_command(tmp_path: Path) -> None:
    text = (
        "traceroute to 198.51.100.9 (198.51.100.9), 32 hops max, 16 byte packets\n"
        " 1  10.0.0.1  0.645 ms  0.579 ms  0.555 ms\n"
        " 2  *  *  *\n"
        " 3  198.51.100.9  12.645 ms  *  12.555 ms\n"
    )
    old = {"fw": 1, "prb_id": 7, "timestamp": 1_328_019_792, "result": text}
    row = only(read(tmp_path, old))
    assert (row["target"], row["sent"], row["received"], row["rtt_ms"]) == ("198.51.100.9", 3, 2, [12.645, 12.555])


def test_broken_json_costs_its_own_record_only(tmp_path: Path) -> None:
    good = json.dumps(PING)
    lines = [good, good[: len(good) // 2], good, "not json at all", "[1, 2", good, good[:-1]]
    result = read(tmp_path, "\n".join(lines))
    assert result.table.num_rows == 3
    assert [bad.row for bad in result.bad] == [2, 4, 7]
    array = read(tmp_path, f"[{good},\n{good[:40]},\n{good},\n{good[:-20]}")
    assert array.table.num_rows == 2
    assert len(array.bad) == 2


@pytest.mark.parametrize("packing", [gzip, bz2, lzma])
def test_a_compressed_file_is_read_and_one_cut_off_keeps_its_head(tmp_path: Path, packing: ModuleType) -> None:
    many = [json.dumps(PING | {"prb_id": number, "note": f"{number * 7919 % 10_007}"}) for number in range(20_000)]
    packed = packing.compress("\n".join(many).encode())
    path = tmp_path / "atlas.packed"
    path.write_bytes(packed)
    assert import_file(path, "ripe-atlas").table.num_rows == 20_000
    path.write_bytes(packed[: len(packed) // 2])
    result = import_file(path, "ripe-atlas", on_error="skip")
    if packing is not bz2:  # a block of bzip2 is all or nothing
        assert 5_000 < result.table.num_rows < 15_000
    assert "compression is broken" in result.bad[0].message


def test_nested_brackets_without_end_are_told_and_end(tmp_path: Path) -> None:
    result = read(tmp_path, "[" * 200_000)
    assert result.table.num_rows == 0
    assert result.bad
    assert read(tmp_path, '{"a":' * 100_000 + json.dumps(PING)).table.num_rows <= 1


def test_values_larger_than_a_reading_step_are_joined(tmp_path: Path) -> None:
    padded = [PING | {"padding": "x" * 700_000, "prb_id": number} for number in range(6)]
    result = read(tmp_path, padded)
    assert result.bad == ()
    assert result.table["source"].to_pylist() == [str(number) for number in range(6)]


def test_no_results_are_no_error_but_no_content_is(tmp_path: Path) -> None:
    assert read(tmp_path, "[]").bad == ()
    assert read(tmp_path, "[]").table.num_rows == 0
    assert [bad.message for bad in read(tmp_path, "").bad] == ["is empty"]


def test_the_reference_pings_of_every_firmware_add_up(tmp_path: Path) -> None:
    """15 results: 13 of three packets, one of two and one of one; four packets lost in three of them."""
    result = import_file(reference_data() / "measurement_formats/ripe_atlas/atlas_ping.jsonl", "ripe-atlas")
    rows = result.table.to_pylist()
    assert (result.read, len(rows), result.lost) == (15, 15, 4)
    assert sum(row["sent"] for row in rows) == 42
    assert [row["source"] for row in rows[:2]] == ["677", "165"]
    assert rows[0]["rtt_min_ms"] == 57.876
    assert [(r["sent"], r["received"], r["rtt_ms"]) for r in rows if r["sent"] != r["received"]] == [
        (3, 1, [27.301]),
        (2, 1, [27.768]),
        (1, 0, None),
    ]
    assert rows[-1]["rtt_ms"] == [70.265, 54.584, 52.875]


def test_the_reference_traceroutes_reach_their_destination_twice(tmp_path: Path) -> None:
    result = import_file(reference_data() / "measurement_formats/ripe_atlas/atlas_traceroute.jsonl", "ripe-atlas")
    reached = {row["target"]: row["rtt_ms"] for row in result.table.to_pylist() if row["received"]}
    assert result.read == 19
    assert reached == {
        "220.226.205.30": [221.541, 217.103, 216.443],
        "2a02:d28:667::2": [90.458, 91.408, 85.785],
    }
    assert [row["error"] for row in result.table.to_pylist() if row["error"]] == [
        "connect failed: Network is unreachable"
    ]
