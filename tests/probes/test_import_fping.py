"""fping: either stream, every mode and version, counts against what can be read off the text."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

PACKETS = """\
10.0.0.1 : [0], 64 bytes, 12.8 ms (12.8 avg, 0% loss)
10.0.0.20 : [0], timed out (NaN avg, 100% loss)
10.0.0.1 : [1], timed out (12.8 avg, 50% loss)
10.0.0.20 : [1], 64 bytes, 1.5 ms (1.5 avg, 50% loss)
"""
TOTALS = """\

10.0.0.1  : xmt/rcv/%loss = 2/1/50%, min/avg/max = 12.8/12.8/12.8
10.0.0.20 : xmt/rcv/%loss = 2/1/50%, min/avg/max = 1.50/1.50/1.50
"""


def read(folder: Path, text: str, **options: Any) -> ImportResult:
    path = folder / "fping.txt"
    path.write_bytes(text.encode())
    return import_file(path, "fping", on_error="skip", **options)


def rows(result: ImportResult, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in result.table.to_pylist()]


COUNTS = ("target", "sent", "received", "rtt_ms")


def test_a_list_of_times_has_a_dash_for_each_lost_packet(tmp_path: Path) -> None:
    result = read(tmp_path, "10.78.1.25   : - 105 1.05e+06\n::1 : 0.03\nhost.example : - - -\n")
    assert rows(result, *COUNTS) == [
        ("10.78.1.25", 3, 2, [105.0, 1.05e6]),
        ("::1", 1, 1, [0.03]),
        ("host.example", 3, 0, None),
    ]
    assert rows(result, "family") == [(4,), (6,), (None,)]
    assert result.lost == 4
    assert result.bad == ()


@pytest.mark.parametrize("order", ["packets", "packets then totals", "totals then packets"])
def test_either_stream_or_both_in_any_order_count_once(tmp_path: Path, order: str) -> None:
    # up to fping 4.2 stdout is written at the end, after the statistics of stderr
    texts = {"packets": PACKETS, "packets then totals": PACKETS + TOTALS, "totals then packets": TOTALS + PACKETS}
    result = read(tmp_path, texts[order])
    assert rows(result, *COUNTS) == [("10.0.0.1", 2, 1, [12.8]), ("10.0.0.20", 2, 1, [1.5])]
    assert result.bad == ()


def test_statistics_alone_have_a_minimum_a_mean_and_a_maximum(tmp_path: Path) -> None:
    text = "a : xmt/rcv/%loss = 5/4/20%, outage(ms) = 100, min/avg/max = 0.02/0.03/0.04\nb : xmt/rcv/%loss = 5/0/100%\n"
    result = read(tmp_path, text)
    names = ("target", "sent", "received", "rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "rtt_ms")
    assert rows(result, *names) == [("a", 5, 4, 0.02, 0.03, 0.04, None), ("b", 5, 0, None, None, None, None)]


def test_packets_without_a_line_are_lost_up_to_version_4(tmp_path: Path) -> None:
    text = "a : [1], 84 bytes, 7.10 ms (7.10 avg, 50% loss)\na : [4], 84 bytes, 7.30 ms (7.20 avg, 60% loss)\n"
    assert rows(read(tmp_path, text), *COUNTS) == [("a", 5, 2, [7.1, 7.3])]
    cut = "a : [57], 84 bytes, 7.10 ms (6.90 avg, 0% loss)\na : [58], 84 bytes, 7.30 ms (6.91 avg, 0% loss)\n"
    assert rows(read(tmp_path, cut), *COUNTS) == [("a", 2, 2, [7.1, 7.3])]  # a log that begins in the middle


def test_runs_appended_to_one_log_are_told_apart(tmp_path: Path) -> None:
    again = PACKETS.replace("12.8", "13.1").replace("1.5", "1.6")
    for text in (PACKETS + again, PACKETS + TOTALS + again + TOTALS.replace("12.8", "13.1").replace("1.50", "1.60")):
        result = read(tmp_path, text)
        assert sorted(rows(result, "target", "sent", "rtt_ms")) == [
            ("10.0.0.1", 2, [12.8]), ("10.0.0.1", 2, [13.1]), ("10.0.0.20", 2, [1.5]), ("10.0.0.20", 2, [1.6]),
        ]  # fmt: skip
        assert result.bad == ()


def test_a_host_that_is_listed_twice_is_two_records(tmp_path: Path) -> None:
    text = (
        "l (127.0.0.1) : [0], 64 bytes, 0.01 ms (0.01 avg, 0% loss)\n"
        "l (127.0.0.1) : [0], 64 bytes, 0.02 ms (0.02 avg, 0% loss)\n\n"
        "l (127.0.0.1) : xmt/rcv/%loss = 1/1/0%, min/avg/max = 0.01/0.01/0.01\n"
        "l (127.0.0.1) : xmt/rcv/%loss = 1/1/0%, min/avg/max = 0.02/0.02/0.02\n"
    )
    result = read(tmp_path, text)
    assert rows(result, "target", "target_alias", "rtt_ms") == [("127.0.0.1", "l", [0.01]), ("127.0.0.1", "l", [0.02])]
    assert result.bad == ()


def test_an_endless_loop_is_cut_into_records_that_count_every_packet(tmp_path: Path) -> None:
    count = 10_000
    kept = [n for n in range(count) if n % 10 != 3 and n != count - 1] + [count - 1]
    lines = [f"[{1700000000 + n}.12345] a : [{n}], 64 bytes, {n + 1} ms (5.0 avg, 10% loss)\n" for n in kept]
    result = read(tmp_path, "".join(lines))
    assert result.table.num_rows > 5
    assert sum(result.table["sent"].to_pylist()) == count
    assert result.lost == 1000
    times = [time for row in result.table["rtt_ms"].to_pylist() for time in row]
    assert times == [n + 1 for n in kept]
    first = result.table["observed_at"].to_pylist()
    assert first[0] == datetime(2023, 11, 14, 22, 13, 20, 123450, tzinfo=UTC)
    assert first == sorted(first)


def test_lines_that_are_missing_are_no_loss(tmp_path: Path) -> None:
    text = "a : [0], 64 bytes, 5.0 ms (5.0 avg, 0% loss)\na : [900000], 64 bytes, 5.0 ms (5.1 avg, 0% loss)\n"
    result = read(tmp_path, text)
    assert rows(result, "sent", "received") == [(1, 1), (1, 1)]
    assert [bad.field for bad in result.bad] == ["index"]


def test_statistics_that_contradict_the_lines_are_told(tmp_path: Path) -> None:
    result = read(tmp_path, PACKETS + TOTALS.replace("2/1/50%, min/avg/max = 12.8", "9/8/50%, min/avg/max = 12.8"))
    assert rows(result, *COUNTS)[0] == ("10.0.0.1", 9, 8, [12.8])
    assert [(bad.field, bad.value) for bad in result.bad] == [("received", "8")]


def test_intervals_and_the_statistics_of_the_whole_count_once(tmp_path: Path) -> None:
    line = "a : xmt/rcv/%loss = {0}/{1}/0%, min/avg/max = 0.{2}/0.{3}/0.{4}\n"
    apart = "[09:33:32]\n" + line.format(4, 4, 33, 41, 45) + "[09:33:33]\n" + line.format(4, 3, 30, 41, 46)
    result = read(tmp_path, apart + line.format(9, 8, 30, 43, 47))
    assert rows(result, "sent", "received", "rtt_min_ms") == [(4, 4, 0.33), (4, 3, 0.3), (1, 1, None)]
    growing = "[09:33:32]\n" + line.format(4, 4, 33, 41, 45) + "[09:33:33]\n" + line.format(8, 7, 30, 41, 46)
    result = read(tmp_path, growing + line.format(9, 8, 30, 43, 47))
    assert rows(result, "sent", "received", "rtt_max_ms") == [(9, 8, 0.47)]


def test_more_answers_than_packets_are_not_more_than_all(tmp_path: Path) -> None:
    result = read(tmp_path, "a : xmt/rcv/%return = 3/4/133%, min/avg/max = 0.1/0.2/0.3\n")
    assert rows(result, "sent", "received") == [(3, 3)]
    assert any("more answers" in note for note in result.notes)


def test_alive_and_unreachable_count_one_packet_and_its_errors(tmp_path: Path) -> None:
    text = (
        "a is alive (0.93 ms)\nb is alive\nICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to c\n"
        "ICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to c\nc is unreachable\nd (1.5 ms)\n"
        "e.invalid: Name or service not known\nf address not found\n\n       4 targets\n       2 alive\n"
        " 0.93 ms (min round trip time)\n        0.001 sec (elapsed real time)\n"
    )
    result = read(tmp_path, text)
    assert rows(result, *COUNTS) == [
        ("a", 1, 1, [0.93]), ("b", 1, 1, None), ("c", 1, 0, None), ("d", 1, 1, [1.5]),
        ("e.invalid", 0, 0, None), ("f", 0, 0, None),
    ]  # fmt: skip
    assert result.table["error"].to_pylist()[2] == "ICMP Host Unreachable from 10.0.0.9"
    assert result.bad == ()


def test_names_alone_do_not_say_alive_or_not(tmp_path: Path) -> None:
    result = read(tmp_path, "10.0.0.1\n10.0.0.2\n")
    assert result.table.num_rows == 0
    assert "-a" in result.bad[1].mend


def test_duplicates_and_foreign_answers_do_not_count(tmp_path: Path) -> None:
    text = "a : duplicate for [0], 64 bytes, 0.05 ms [<- 10.0.0.9]\n [<- 10.0.0.9] [<- 10.0.0.9]\na : 0.04 -\n"
    result = read(tmp_path, text)
    assert rows(result, *COUNTS) == [("a", 2, 1, [0.04])]
    assert result.bad == ()
    front = read(tmp_path, " [<- 10.0.0.9]a : [0], 64 bytes, 0.05 ms (0.05 avg, 0% loss)\n")
    assert rows(front, *COUNTS) == [("a", 1, 1, [0.05])]


@pytest.mark.parametrize(
    "stamp", ["[Sun Nov 22 09:33:31 2026] ", "[2026-11-22 09:33:31] ", "[2026-11-22T09:33:31+0100] "]
)
def test_stamps_of_every_format_are_cut_off_and_used_where_they_have_a_zone(tmp_path: Path, stamp: str) -> None:
    when = datetime(2025, 1, 1, tzinfo=UTC)
    text = f"{stamp}a : [0], 64 bytes, 0.05 ms (0.05 avg, 0% loss)\n"
    result = read(tmp_path, text)
    assert rows(result, *COUNTS) == [("a", 1, 1, [0.05])]
    if "T" in stamp:
        assert rows(result, "observed_at")[0][0] == datetime(2026, 11, 22, 8, 33, 31, tzinfo=UTC)
    assert rows(read(tmp_path, text, observed_at=when), "observed_at")[0][0] == when


@pytest.mark.parametrize("bad", ["0.00", "-0.05"])
def test_a_time_that_is_none_is_told_and_its_answer_counted(tmp_path: Path, bad: str) -> None:
    for text in (f"a : {bad} 0.04\n", f"a : [0], 84 bytes, {bad} ms ({bad} avg, 0% loss)\na : 0.04\n"):
        result = read(tmp_path, text)
        assert (result.bad[0].field, result.bad[0].value) == ("time", bad)
        assert all(time > 0 for row in result.table["rtt_ms"].to_pylist() for time in row or [])
    assert rows(read(tmp_path, f"a : {bad} 0.04\n"), *COUNTS) == [("a", 2, 2, [0.04])]


def test_json_is_the_same_run_of_lines_lists_and_intervals(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        {"resp": {"timestamp": "1700000000.50000", "host": "a", "seq": 0, "size": 64, "rtt": 5.12}},
        {"timeout": {"host": "a", "seq": 1}},
        {"summary": {"host": "a", "xmt": 2, "rcv": 1, "loss": 50, "rttMin": 5.12, "rttAvg": 5.12, "rttMax": 5.12}},
        {"vSum": {"host": "b", "values": [0.5, None, 0.25]}},
        {"intSum": {"time": 1700000100, "host": "c", "xmt": 3, "rcv": 2, "rttMin": 0.1, "rttAvg": 0.2, "rttMax": 0.3}},
        {"stats": {"targets": 3}},
    ]
    texts = ["\n".join(map(json.dumps, events)), "\n".join(json.dumps(one, indent=2) for one in events)]
    for text in [*texts, json.dumps(events, indent=1), "\ufeff" + texts[0].replace("\n", "\r\n")]:
        result = read(tmp_path, text + "\nICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to d\n")
        assert sorted(rows(result, *COUNTS), key=str) == [
            ("a", 2, 1, [5.12]), ("b", 3, 2, [0.5, 0.25]), ("c", 3, 2, None), ("d", 1, 0, None),
        ]  # fmt: skip
        assert result.bad == ()
    assert datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC) in result.table["observed_at"].to_pylist()


@pytest.mark.parametrize(("unit", "value"), [("10 1000", 1250), ("1 1000000", 12_500_000)])
def test_charts_for_netdata_have_the_unit_that_they_declare(tmp_path: Path, unit: str, value: int) -> None:
    chart = "CHART fping.a_b_{0} '' 'FPing' {0} 'a.b' fping.{0} line 110020 1\n"
    begin = chart + "BEGIN fping.a_b_{0}\n"
    dimension = f"DIMENSION min minimum absolute {unit}\n"
    text = (
        chart.format("packets") + "DIMENSION xmt sent absolute 1 1\n"
        + "BEGIN fping.a_b_packets\nSET xmt = 4\nSET rcv = 3\nEND\n"
        + begin.format("quality") + "SET returned = 75\nEND\n" + chart.format("latency") + dimension
        + f"BEGIN fping.a_b_latency\nSET min = {value}\nSET avg = {2 * value}\nSET max = {4 * value}\nEND\n"
        + "BEGIN fping.a_b_packets\nSET xmt = 4\nSET rcv = 0\nEND\nBEGIN fping.a_b_latency\nEND\n"
    )  # fmt: skip
    result = read(tmp_path, text)
    names = ("target", "sent", "received", "rtt_min_ms", "rtt_avg_ms", "rtt_max_ms")
    assert rows(result, *names) == [("a.b", 4, 3, 12.5, 25.0, 50.0), ("a.b", 4, 0, None, None, None)]
    assert result.bad == ()


def test_a_damaged_line_costs_itself_only(tmp_path: Path) -> None:
    result = read(
        tmp_path, '{"resp": {"host": "a", "se\n{"vSum": {"host": "b", "values": [0.5]}}\nrubbish here\na : 0.5\n'
    )
    assert rows(result, *COUNTS) == [("b", 1, 1, [0.5]), ("a", 1, 1, [0.5])]
    assert [bad.row for bad in result.bad] == [1, 3]


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    assert [bad.row for bad in read(tmp_path, "").bad] == [0]


def test_the_reference_run_counts_what_its_text_shows() -> None:
    path = reference_data() / "measurement_formats/fping/own_run_fping51_C3.txt"
    result = import_file(path, "fping")
    lines = path.read_text().splitlines()
    assert result.table["target"].to_pylist() == [line.split()[0] for line in lines]
    items = [line.split(":", 1)[1].split() for line in lines]
    assert result.lost == sum(one.count("-") for one in items) == 2
    shown = [[float(item) for item in one if item != "-"] for one in items]
    assert result.table["rtt_ms"].to_pylist() == shown


@pytest.mark.skipif(not shutil.which("fping"), reason="a bonus where fping is installed")
@pytest.mark.parametrize(
    "options", [["-c3"], ["-c3", "-D"], ["-C3"], ["-C3", "-q"], ["-c3", "-q"], ["-c3", "-A", "-n", "-o"]]
)
def test_fping_itself_is_read_as_it_counts(tmp_path: Path, options: list[str]) -> None:
    command = ["fping", *options, "-p20", "127.0.0.1", "127.0.0.2"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
    if "an't" in done.stdout:
        pytest.skip(f"fping may not send here: {done.stdout[:80]}")
    result = read(tmp_path, done.stdout)
    assert result.bad == ()
    assert rows(result, "target", "sent", "received") == [("127.0.0.1", 3, 3), ("127.0.0.2", 3, 3)]
    shown = re.findall(r"bytes, ([\d.]+) ms", done.stdout) or re.findall(r" ([\d.]+)(?= |$)", done.stdout, re.MULTILINE)
    times = [time for row in result.table["rtt_ms"].to_pylist() for time in row or []]
    if "-q" not in options or "-C3" in options:
        assert sorted(times) == sorted(map(float, shown))
