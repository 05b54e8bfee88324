"""blackbox_exporter: which of its seconds are a round trip, and what a failed probe's zeros mean."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

ICMP = """\
# HELP probe_duration_seconds Returns how long the probe took to complete in seconds
# TYPE probe_duration_seconds gauge
probe_duration_seconds 0.5
probe_icmp_duration_seconds{phase="resolve"} 0.4
probe_icmp_duration_seconds{phase="rtt"} 0.0125
probe_icmp_duration_seconds{phase="setup"} 0.001
probe_ip_protocol 6
probe_success 1
"""
HTTP = """\
probe_http_duration_seconds{instance="https://web.example:8443/x",phase="connect"} 0.025
probe_http_duration_seconds{instance="https://web.example:8443/x",phase="processing"} 0.2
probe_http_redirects{instance="https://web.example:8443/x"} 0
probe_http_status_code{instance="https://web.example:8443/x"} 200
probe_success{instance="https://web.example:8443/x"} 1
"""
COUNTS = ("sent", "received", "rtt_ms", "error")


def read(folder: Path, text: str, **options: Any) -> ImportResult:
    path = folder / "scrape.prom"
    path.write_text(text)
    return import_file(path, "blackbox", on_error="skip", **options)


def rows(result: ImportResult, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in result.table.to_pylist()]


def test_an_echo_is_the_phase_rtt_in_milliseconds(tmp_path: Path) -> None:
    result = read(tmp_path, ICMP, target="pop.example", source="fra1")
    names = ("source", "target", "family", "method", *COUNTS)
    assert rows(result, *names) == [("fra1", "pop.example", 6, "imported:blackbox", 1, 1, [12.5], None)]
    assert result.bad == ()


def test_a_failed_echo_is_a_loss_and_its_zeros_are_no_times(tmp_path: Path) -> None:
    for rtt in ("0", "0.0125"):
        failed = ICMP.replace("success 1", "success 0").replace("0.0125", rtt)
        assert rows(read(tmp_path, failed), *COUNTS) == [(1, 0, None, "probe_success 0")]


@pytest.mark.parametrize("rtt", ["0", "-1", "NaN", "+Inf"])
def test_a_time_that_is_none_is_told(tmp_path: Path, rtt: str) -> None:
    result = read(tmp_path, ICMP.replace("0.0125", rtt))
    assert rows(result, *COUNTS) == [(1, 1, None, None)]
    assert len(result.bad) == 1


def test_a_handshake_is_the_round_trip_of_http_whatever_was_answered(tmp_path: Path) -> None:
    ok = read(tmp_path, HTTP)
    assert rows(ok, "target", "target_alias", "method", *COUNTS) == [
        ("web.example", "https://web.example:8443/x", "imported:blackbox-http", 1, 1, [25.0], None)
    ]
    refused = HTTP.replace('x"} 200', 'x"} 503').replace('x"} 1\n', 'x"} 0\n')
    assert rows(read(tmp_path, refused), *COUNTS) == [(1, 1, [25.0], "probe_success 0, HTTP status 503")]
    dead = refused.replace("503", "0").replace("0.025", "0")
    assert rows(read(tmp_path, dead), *COUNTS) == [(1, 0, None, "probe_success 0")]


def test_after_a_redirect_the_sum_of_handshakes_is_no_round_trip(tmp_path: Path) -> None:
    result = read(tmp_path, HTTP.replace('redirects{instance="https://web.example:8443/x"} 0', "redirects 2"))
    assert rows(result, "rtt_ms")[0] == ([25.0],)  # a redirect of another probe
    result = read(
        tmp_path,
        HTTP.replace(
            'redirects{instance="https://web.example:8443/x"} 0', 'redirects{instance="https://web.example:8443/x"} 2'
        ),
    )
    assert rows(result, *COUNTS) == [(1, 1, None, None)]


def test_the_duration_of_a_tcp_probe_is_no_round_trip(tmp_path: Path) -> None:
    result = read(tmp_path, 'probe_duration_seconds{instance="a:22"} 0.5\nprobe_success{instance="a:22"} 1\n')
    assert rows(result, "target", "method", *COUNTS) == [("a", "imported:blackbox-tcp", 1, 1, None, None)]


def test_a_federation_keeps_targets_and_times_apart(tmp_path: Path) -> None:
    line = (
        'probe_success{{instance="{0}",job="b"}} {1} {2}\n'
        'probe_icmp_duration_seconds{{instance="{0}",job="b",phase="rtt"}} {3} {2}\n'
    )
    text = line.format("10.0.0.1", 1, 1_700_000_000_000, 0.01) + line.format("[2001:db8::1]:9", 0, 1_700_000_000_500, 0)
    text += line.format("10.0.0.1", 1, 1_700_000_060_000, 0.02)
    result = read(tmp_path, text)
    assert rows(result, "target", "family", "received", "rtt_ms") == [
        ("10.0.0.1", 4, 1, [10.0]), ("2001:db8::1", 6, 0, None), ("10.0.0.1", 4, 1, [20.0]),
    ]  # fmt: skip
    assert [time[0].timestamp() for time in rows(result, "observed_at")] == [1.7e9, 1.7e9 + 0.5, 1.7e9 + 60]
    assert not any("last written" in note for note in result.notes)


def test_openmetrics_has_seconds_exemplars_and_an_end(tmp_path: Path) -> None:
    text = (
        'probe_success{target="a"} 1.0 1700000000.25 # {trace="x # y"} 1.0\n'
        'probe_icmp_duration_seconds{target="a",phase="rtt"} 0.01 1700000000.25\n# EOF\n'
    )
    result = read(tmp_path, text)
    assert rows(result, "target", "rtt_ms") == [("a", [10.0])]
    assert rows(result, "observed_at")[0][0] == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)
    assert result.bad == ()


def test_scrapes_one_after_another_are_so_many_probes(tmp_path: Path) -> None:
    assert rows(read(tmp_path, ICMP + ICMP.replace("0.0125", "0.025")), "rtt_ms") == [([12.5],), ([25.0],)]


def test_a_debug_page_tells_its_target_and_its_time(tmp_path: Path) -> None:
    page = (
        "Logs for the probe:\nts=2022-05-23T08:12:20.117Z caller=main.go:304 module=icmp target=10.80.1.1 level=info\n"
        "\n\n\nMetrics that would have been returned:\n"
        + ICMP
        + "\n\n\nModule configuration:\nprober: icmp\ntimeout: 5s\n"
    )
    result = read(tmp_path, page * 2)
    assert rows(result, "target", "rtt_ms") == [("10.80.1.1", [12.5])] * 2
    assert rows(result, "observed_at")[0][0] == datetime(2022, 5, 23, 8, 12, 20, 117_000, tzinfo=UTC)
    assert result.bad == ()


def test_damaged_lines_cost_themselves_only(tmp_path: Path) -> None:
    text = ICMP.replace("probe_ip_protocol 6", 'probe_ip_protocol{a="b 6\nnonsense\nprobe_x 1 2 3')
    result = read(tmp_path, text)
    assert rows(result, *COUNTS) == [(1, 1, [12.5], None)]
    assert [bad.row for bad in result.bad] == [7, 8, 9]


@pytest.mark.parametrize("value", ["2", "NaN", "-1"])
def test_a_success_that_is_neither_is_told(tmp_path: Path, value: str) -> None:
    result = read(tmp_path, ICMP.replace("success 1", f"success {value}"))
    assert [bad.field for bad in result.bad] == ["probe_success"]
    assert result.table.num_rows == 0


def test_a_scrape_that_was_cut_off_keeps_the_time_that_it_has(tmp_path: Path) -> None:
    assert rows(read(tmp_path, ICMP.replace("probe_success 1\n", "")), *COUNTS) == [(1, 1, [12.5], None)]
    cut = read(tmp_path, 'probe_icmp_duration_seconds{phase="resolve"} 0.4\nprobe_ip_protocol 4\n')
    assert cut.table.num_rows == 0
    assert [bad.field for bad in cut.bad] == ["probe_success"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "go_threads 5\n"])
def test_a_file_without_a_probe_is_told(tmp_path: Path, text: str) -> None:
    assert any(bad.row == 0 for bad in read(tmp_path, text).bad)


def test_the_reference_scrape_is_66_microseconds_at_the_time_of_its_header(tmp_path: Path) -> None:
    path = reference_data() / "measurement_formats/blackbox_exporter/own_run_0.23_icmp.prom"
    packed = tmp_path / "scrape.prom.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for one in (path, packed):
        row = import_file(one, "blackbox").table.to_pylist()[0]
        assert row["rtt_ms"] == [pytest.approx(0.066328)]
        assert row["observed_at"].to_pydatetime() == datetime(2026, 11, 21, 19, 18, 40, tzinfo=UTC)
