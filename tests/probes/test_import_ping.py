"""The text of ping on five systems: runs written by hand after each program's format, and the reference samples."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

WHEN = datetime(2025, 3, 1, tzinfo=UTC)

LINUX = """\
PING pop.example (198.51.100.9) from 10.0.0.5 eth0: 56(84) bytes of data.
From 10.0.0.1 icmp_seq=1 Destination Host Unreachable
From gw.example (10.0.0.1) icmp_seq=2 Time to live exceeded
no answer yet for icmp_seq=3
64 bytes from 198.51.100.9: icmp_seq=4 ttl=59 time=12.5 ms
64 bytes from 198.51.100.9: icmp_seq=4 ttl=59 time=14.5 ms (DUP!)
64 bytes from pop.example (198.51.100.9): icmp_seq=5 ttl=59 time=212 ms

--- pop.example ping statistics ---
5 packets transmitted, 2 received, +1 duplicates, +2 errors, 60% packet loss, time 4060ms
pipe 3
rtt min/avg/max/mdev = 12.500/79.666/212.000/91.111 ms, pipe 3
"""
MACOS = """\
PING pop.example (198.51.100.9): 56 data bytes
64 bytes from 198.51.100.9: icmp_seq=0 ttl=117 time=10.123 ms
Request timeout for icmp_seq 1
92 bytes from 10.0.0.1: Destination Host Unreachable
Vr HL TOS  Len   ID Flg  off TTL Pro  cks      Src      Dst
 4  5  00 5400 3f2a   0 0000  3f  01 27a1 10.0.0.5  198.51.100.9

64 bytes from 198.51.100.9: icmp_seq=2 ttl=117 time=11.500 ms
^C
--- pop.example ping statistics ---
3 packets transmitted, 2 packets received, 33.3% packet loss
round-trip min/avg/max/stddev = 10.123/10.811/11.500/0.689 ms
"""
MACOS_6 = """\
PING6(56=40+8+8 bytes) 2001:db8::1 --> 2001:db8::2
16 bytes from 2001:db8::2, icmp_seq=0 hlim=64 time=0.153 ms

--- 2001:db8::2 ping6 statistics ---
2 packets transmitted, 1 packets received, 50.0% packet loss
round-trip min/avg/max/std-dev = 0.153/0.153/0.153/0.000 ms
"""
BUSYBOX = """\
PING pop.example (198.51.100.9): 56 data bytes
64 bytes from 198.51.100.9: seq=0 ttl=116 time=3.012 ms
64 bytes from 198.51.100.9: seq=1 ttl=116 time=3.044 ms

--- pop.example ping statistics ---
2 packets transmitted, 2 packets received, 0% packet loss
round-trip min/avg/max = 3.012/3.028/3.044 ms
"""
WINDOWS = """\

Pinging pop.example [198.51.100.9] with 32 bytes of data:
Reply from 198.51.100.9: bytes=32 time=92ms TTL=56
Request timed out.
Reply from 192.168.1.1: Destination host unreachable.
Reply from 198.51.100.9: bytes=32 time<1ms TTL=56

Ping statistics for 198.51.100.9:
    Packets: Sent = 4, Received = 3, Lost = 1 (25% loss),
Approximate round trip times in milli-seconds:
    Minimum = 0ms, Maximum = 92ms, Average = 46ms
"""


def read(folder: Path, text: str | bytes) -> ImportResult:
    path = folder / "ping.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_file(path, "ping", on_error="skip", observed_at=WHEN, source="home")


def only(result: ImportResult) -> dict[str, Any]:
    assert result.table.num_rows == 1
    return result.table.to_pylist()[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "sent", "received", "rtt_ms", "target"),
    [
        (LINUX, 5, 2, [12.5, 212.0], "198.51.100.9"),
        (MACOS, 3, 2, [10.123, 11.5], "198.51.100.9"),
        (MACOS_6, 2, 1, [0.153], "2001:db8::2"),
        (BUSYBOX, 2, 2, [3.012, 3.044], "198.51.100.9"),
        (WINDOWS, 4, 2, [92.0, 1.0], "198.51.100.9"),
    ],
)
def test_each_program_gives_its_packets_and_its_times(
    tmp_path: Path, text: str, sent: int, received: int, rtt_ms: list[float], target: str
) -> None:
    for variant in (text, text.replace("\n", "\r\n"), "\ufeff" + text):
        result = read(tmp_path, variant)
        row = only(result)
        assert (row["sent"], row["received"], row["rtt_ms"], row["target"]) == (sent, received, rtt_ms, target)
        assert row["family"] == (6 if ":" in target else 4)
        assert (result.bad, result.read, result.lost) == ((), 1, sent - received)
    assert only(read(tmp_path, text.replace("\n", "\r\n").encode("utf-16")))["rtt_ms"] == rtt_ms


def test_comma_decimals_are_decimals(tmp_path: Path) -> None:
    row = only(read(tmp_path, BUSYBOX.replace("3.0", "3,0")))
    assert row["rtt_ms"] == [3.012, 3.044]


def test_a_quiet_run_has_the_summary_and_no_samples(tmp_path: Path) -> None:
    text = (
        "PING pop.example (198.51.100.9) 56(84) bytes of data.\n\n--- pop.example ping statistics ---\n"
        "60 packets transmitted, 58 received, 3.33333% packet loss, time 59153ms\n"
        "rtt min/avg/max/mdev = 61.425/99.731/212.597/27.566 ms\n"
    )
    row = only(read(tmp_path, text))
    assert (row["sent"], row["received"], row["rtt_ms"]) == (60, 58, None)
    summary = [row[name] for name in ("rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "rtt_std_ms", "rtt_p95_ms")]
    assert summary == [61.425, 99.731, 212.597, 27.566, None]


def test_answers_that_macos_counts_and_does_not_show_are_received(tmp_path: Path) -> None:
    text = (
        "PING 198.51.100.9 (198.51.100.9): 56 data bytes\nRequest timeout for icmp_seq 0\n"
        "--- 198.51.100.9 ping statistics ---\n"
        "2 packets transmitted, 2 packets received, 0.0% packet loss, 2 packets out of wait time\n"
        "round-trip min/avg/max/stddev = 7.013/7.513/8.013/0.500 ms\n"
    )
    result = read(tmp_path, text)
    row = only(result)
    assert (row["sent"], row["received"], row["rtt_min_ms"], result.bad) == (2, 2, 7.013, ())


def test_a_run_that_was_cut_off_counts_what_its_numbers_show_and_is_told(tmp_path: Path) -> None:
    lines = LINUX.splitlines(keepends=True)
    result = read(tmp_path, "".join(lines[:5]))
    row = only(result)
    assert (row["sent"], row["received"], row["rtt_ms"]) == (4, 1, [12.5])
    assert [bad.field for bad in result.bad] == ["statistics"]
    mac = only(read(tmp_path, "".join(MACOS.splitlines(keepends=True)[:3])))
    assert (mac["sent"], mac["received"]) == (2, 1)  # macOS numbers from 0
    windows = only(read(tmp_path, "".join(WINDOWS.splitlines(keepends=True)[:5])))
    assert (windows["sent"], windows["received"]) == (3, 1)


def test_lines_that_are_missing_without_a_reason_are_told(tmp_path: Path) -> None:
    result = read(tmp_path, BUSYBOX.replace("64 bytes from 198.51.100.9: seq=1 ttl=116 time=3.044 ms\n", ""))
    row = only(result)
    assert (row["sent"], row["received"], row["rtt_ms"]) == (2, 1, [3.012])
    assert [bad.field for bad in result.bad] == ["received"]


def test_times_that_contradict_the_statistics_are_told(tmp_path: Path) -> None:
    result = read(tmp_path, BUSYBOX.replace("= 3.012/3.028/3.044", "= 0.003/0.003/0.003"))
    assert [bad.field for bad in result.bad] == ["min", "max"]
    assert only(result)["rtt_ms"] == [3.012, 3.044]


def test_a_time_of_zero_after_a_clock_step_is_no_sample_and_the_run_is_marked(tmp_path: Path) -> None:
    text = (
        "PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.\n"
        "Warning: time of day goes back (-3000us), taking countermeasures\n"
        "64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=0.000 ms\n\n--- 1.1.1.1 ping statistics ---\n"
        "1 packets transmitted, 1 received, 0% packet loss, time 0ms\n"
        "rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms\n"
    )
    result = read(tmp_path, text)
    row = only(result)
    assert (row["received"], row["rtt_ms"], row["clock_ok"]) == (1, None, False)
    assert [(bad.row, bad.field) for bad in result.bad] == [(3, "time")]


def test_packets_too_small_for_a_time_are_received_without_one(tmp_path: Path) -> None:
    text = (
        "PING 1.1.1.1 (1.1.1.1) 8(36) bytes of data.\n16 bytes from 1.1.1.1: icmp_seq=1 ttl=57\n\n"
        "--- 1.1.1.1 ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\n"
    )
    result = read(tmp_path, text)
    assert (only(result)["received"], only(result)["rtt_ms"], result.bad) == (1, None, ())


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("ping: nosuch.example: Name or service not known", "nosuch.example"),
        ("ping: unknown host nosuch.example", "nosuch.example"),
        ("ping: nosuch.example: Temporary failure in name resolution", "nosuch.example"),
        ("ping: connect: Network is unreachable", ""),
        ("ping: socket: Operation not permitted", ""),
        ("ping: cannot resolve nosuch.example: Unknown host", "nosuch.example"),
        ("ping: bad address 'nosuch.example'", "nosuch.example"),
        ("Ping request could not find host nosuch. Please check the name and try again.", "nosuch"),
    ],
)
def test_a_host_that_is_not_found_is_a_record_of_the_error_with_nothing_sent(
    tmp_path: Path, line: str, host: str
) -> None:
    row = only(read(tmp_path, line + "\n"))
    assert (row["target"], row["sent"], row["received"], row["error"]) == (host, 0, 0, line)


def test_lines_of_verbose_and_of_older_programs_are_read(tmp_path: Path) -> None:
    verbose = (
        "ping: sock4.fd: 3 (socktype: SOCK_DGRAM), sock6.fd: 4, hints.ai_family: AF_UNSPEC\n\n"
        "ai->ai_family: AF_INET, ai->ai_canonname: '1.1.1.1'\nPING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.\n"
        "\a64 bytes from 1.1.1.1: icmp_seq=1 ident=7 ttl=57 time=250 usec\n"
    )
    solaris = "PING pop.example: 56 data bytes\n64 bytes from pop.example (1.1.1.1): icmp_seq=0. time=2.5 ms\n"
    result = read(tmp_path, verbose + solaris)
    assert result.table["rtt_ms"].to_pylist() == [[0.25], [2.5]]
    assert result.table["target"].to_pylist() == ["1.1.1.1", "pop.example"]
    assert {bad.field for bad in result.bad} == {"statistics"}


def test_many_runs_of_one_file_are_many_records(tmp_path: Path) -> None:
    result = read(tmp_path, LINUX + "\n" + WINDOWS + "ping: unknown host x\n" + BUSYBOX + MACOS)
    assert result.table["sent"].to_pylist() == [5, 4, 0, 2, 3]
    assert (result.read, result.bad) == (5, ())


def test_sequence_numbers_go_round_after_65535(tmp_path: Path) -> None:
    numbers = [65_534, 65_535, 0, 1, 3]
    lines = "".join(f"64 bytes from 1.1.1.1: icmp_seq={n} ttl=57 time=1.5 ms\n" for n in numbers)
    row = only(read(tmp_path, "PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.\n" + lines))
    assert row["received"] == 5
    assert row["sent"] == 65_539  # 1 … 65539


@pytest.mark.parametrize(
    ("stamp", "when"),
    [
        ("[1594978465.914536] ", datetime(2020, 7, 17, 9, 34, 25, 914_536, UTC)),
        ("2024-05-01T12:00:00+0200 ", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("[2024-05-01 12:00:00.250Z] ", datetime(2024, 5, 1, 12, 0, 0, 250_000, UTC)),
    ],
)
def test_the_time_of_a_run_is_that_of_its_first_stamped_line(tmp_path: Path, stamp: str, when: datetime) -> None:
    path = tmp_path / "ping.txt"
    path.write_text("".join(stamp + line for line in BUSYBOX.splitlines(keepends=True)), encoding="utf-8")
    result = import_file(path, "ping", source="home")
    assert only(result)["observed_at"].to_pydatetime() == when
    assert result.notes == ()


def test_a_run_without_time_or_source_says_what_was_assumed(tmp_path: Path) -> None:
    path = tmp_path / "ping.txt"
    path.write_text("12:00:00.1 " + BUSYBOX, encoding="utf-8")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    result = import_file(path, "ping")
    row = only(result)
    assert row["observed_at"].timestamp() == 1_700_000_000
    assert row["source"] == ""
    assert len(result.notes) == 2


def test_the_interface_that_ping_names_is_the_source_unless_the_person_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "ping.txt"
    path.write_text(LINUX, encoding="utf-8")
    assert only(import_file(path, "ping", observed_at=WHEN))["source"] == "10.0.0.5"
    row = only(read(tmp_path, LINUX))
    assert (row["source"], row["source_alias"], row["target_alias"]) == ("home", "10.0.0.5", "pop.example")


@pytest.mark.parametrize("text", ["", "\n\n", "traceroute to x (1.1.1.1), 30 hops max\n", "\x00\xff\x00"])
def test_a_file_without_a_run_is_told(tmp_path: Path, text: str) -> None:
    result = read(tmp_path, text)
    assert result.table.num_rows == 0
    assert "file" in [bad.field for bad in result.bad]


def test_another_language_is_told_line_by_line_and_not_guessed(tmp_path: Path) -> None:
    text = "Ping wird ausgeführt für 1.1.1.1 mit 32 Bytes Daten:\nAntwort von 1.1.1.1: Bytes=32 Zeit=12ms TTL=57\n"
    result = read(tmp_path, text.encode("cp850"))
    assert [bad.row for bad in result.bad] == [0, 1, 2]
    assert "LC_ALL=C" in result.bad[0].mend


# Counted by hand in the samples: (sent, received, samples, bad lines, sum of the samples' ms where it is short).
REFERENCE = {
    "centos-7.7__ping-hostname-O-D-p-s": (20, 20, 20, 0),
    "centos-7.7__ping-hostname-O-p": (20, 20, 20, 0),
    "centos-7.7__ping-hostname-O": (20, 19, 19, 0),
    "centos-7.7__ping-ip-O-D": (20, 20, 20, 0),
    "centos-7.7__ping-ip-O-unparsedlines": (20, 20, 18, 4),
    "centos-7.7__ping-ip-O": (20, 20, 20, 0),
    "centos-7.7__ping-ip-dup": (2, 2, 2, 0),
    "centos-7.7__ping-missing-hostname": (1, 1, 1, 0),
    "centos-7.7__ping6-hostname-O-D-p-s": (20, 20, 20, 0),
    "centos-7.7__ping6-hostname-O-p": (20, 20, 20, 0),
    "centos-7.7__ping6-ip-O-D-p": (20, 19, 19, 0),
    "centos-7.7__ping6-ip-O-p-unparsable": (20, 19, 18, 2),
    "centos-7.7__ping6-ip-O-p": (20, 19, 19, 0),
    "centos-7.7__ping6-ip-dup": (5, 5, 5, 0),
    "pi__ping-ip-O-D": (5, 0, 0, 0),
    "pi__ping-ip-O": (5, 0, 0, 0),
}


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_the_reference_runs_give_what_a_person_counts_in_them(name: str) -> None:
    path = reference_data() / "measurement_formats/ping_text" / f"{name}.out"
    result = import_file(path, "ping", on_error="skip", observed_at=WHEN)
    row = only(result)
    samples = row["rtt_ms"] or []
    assert (row["sent"], row["received"], len(samples), len(result.bad)) == REFERENCE[name]
    if "dup" in name:
        expected = [0.586, 0.861] if name.endswith("ping-ip-dup") else [0.245, 0.329, 0.592, 0.51, 0.538]
        assert samples == expected


def test_the_reference_samples_of_ping_are_all_counted_here() -> None:
    folder = reference_data() / "measurement_formats/ping_text"
    assert {path.stem for path in folder.glob("*ping*.out")} == set(REFERENCE)


def test_output_of_traceroute_is_no_ping_and_never_crashes() -> None:
    for path in sorted((reference_data() / "measurement_formats/ping_text").glob("*trace*.out")):
        result = import_file(path, "ping", on_error="skip", observed_at=WHEN)
        assert result.table.num_rows == 0
        assert result.bad
