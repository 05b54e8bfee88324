"""smokeping_prober: counters that go on, buckets that are upper ends, and requests that were lost."""

from pathlib import Path
from typing import Any

import pytest

from probes.importers import import_file
from probes.reading import ImportResult
from tests.reference import reference_data

NAMES = ("sent", "received", "rtt_avg_ms", "rtt_p50_ms", "rtt_p95_ms")


def scrape(
    sent: int, buckets: list[int], seconds: float, stamp: str = "", labels: str = 'host="a",ip="192.0.2.1"'
) -> str:
    """Counters with the buckets 0.1 s, 0.2 s and without an end."""
    name = "smokeping_response_duration_seconds"
    lines = [f"smokeping_requests_total{{{labels}}} {sent}"]
    lines += [
        f'{name}_bucket{{{labels},le="{end}"}} {count}'
        for end, count in zip(("0.1", "0.2", "+Inf"), buckets, strict=True)
    ]
    lines += [f"{name}_sum{{{labels}}} {seconds}", f"{name}_count{{{labels}}} {buckets[-1]}"]
    return "".join(f"{line} {stamp}".rstrip() + "\n" for line in lines)


def read(folder: Path, text: str) -> ImportResult:
    path = folder / "scrape.prom"
    path.write_text(text)
    return import_file(path, "smokeping", on_error="skip")


def rows(result: ImportResult, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in result.table.to_pylist()]


def test_one_scrape_counts_what_was_lost_and_where_its_percentiles_end(tmp_path: Path) -> None:
    result = read(tmp_path, scrape(20, [10, 16, 16], 1.6))
    assert rows(result, *NAMES) == [(20, 16, 100.0, 100.0, 200.0)]
    assert rows(result, "target", "target_alias", "family", "rtt_ms") == [("192.0.2.1", "a", 4, None)]
    assert result.lost == 4
    assert any("since the prober was started" in note for note in result.notes)
    assert result.bad == ()


def test_a_percentile_without_an_end_is_unknown(tmp_path: Path) -> None:
    assert rows(read(tmp_path, scrape(20, [4, 16, 20], 4.0)), *NAMES) == [(20, 20, 200.0, 200.0, None)]


def test_a_target_that_never_answered_has_no_time(tmp_path: Path) -> None:
    assert rows(read(tmp_path, scrape(20, [0, 0, 0], 0)), *NAMES) == [(20, 0, None, None, None)]


def test_scrapes_of_one_target_are_differences_and_count_once(tmp_path: Path) -> None:
    series = [scrape(20, [10, 15, 15], 1.5), scrape(30, [10, 25, 25], 3.5), scrape(30, [10, 25, 25], 3.5)]
    series.append(scrape(5, [5, 5, 5], 0.25))  # the prober was started anew
    result = read(tmp_path, "".join(series))
    # the second scrape counts 10 requests and 10 answers, all of them between 100 and 200 ms; the third has none
    assert rows(result, *NAMES) == [
        (20, 15, 100.0, 100.0, 200.0),
        (10, 10, 200.0, 200.0, 200.0),
        (5, 5, 50.0, 100.0, 100.0),
    ]
    assert any("anew" in note for note in result.notes)


def test_an_answer_that_comes_after_its_scrape_is_not_lost_twice(tmp_path: Path) -> None:
    result = read(tmp_path, scrape(10, [9, 9, 9], 0.9) + scrape(20, [20, 20, 20], 2.0) + scrape(30, [30, 30, 30], 3.0))
    assert rows(result, "sent", "received") == [(10, 9), (10, 10), (10, 10)]


def test_series_by_series_as_tsdb_dump_writes_is_ordered_by_time(tmp_path: Path) -> None:
    early, late = scrape(10, [9, 10, 10], 0.9, "1700000000000"), scrape(30, [9, 28, 28], 3.0, "1700000060000")
    mixed = "".join(a + b for a, b in zip(late.splitlines(True), early.splitlines(True), strict=True))
    result = read(tmp_path, mixed)
    assert rows(result, "sent", "received") == [(10, 10), (20, 18)]
    assert [time[0].timestamp() for time in rows(result, "observed_at")] == [1.7e9, 1.7e9 + 60]


def test_labels_name_the_ends_and_keep_targets_apart(tmp_path: Path) -> None:
    labels = 'host="a",ip="192.0.2.1",source="203.0.113.5",instance="fra1:9374"'
    result = read(
        tmp_path, scrape(2, [2, 2, 2], 0.1, labels=labels) + scrape(4, [1, 1, 1], 0.1, labels='host="b",ip="::1"')
    )
    names = ("source", "source_alias", "target", "sent", "received")
    assert rows(result, *names) == [("203.0.113.5", "fra1", "192.0.2.1", 2, 2), ("", None, "::1", 4, 1)]


def test_more_answers_than_requests_are_all_of_them(tmp_path: Path) -> None:
    assert rows(read(tmp_path, scrape(10, [12, 12, 12], 1.2)), "sent", "received") == [(10, 10)]


@pytest.mark.parametrize("value", ["NaN", "-1", "1.5", "+Inf"])
def test_a_count_that_is_none_is_told(tmp_path: Path, value: str) -> None:
    text = scrape(20, [10, 15, 15], 1.5)
    result = read(tmp_path, text.replace('"} 20', f'"}} {value}'))
    assert result.table.num_rows == 0
    assert [bad.field for bad in result.bad] == ["smokeping_requests_total"]


def test_a_damaged_histogram_has_counts_and_no_percentiles(tmp_path: Path) -> None:
    for buckets in ([16, 10, 15], [10, 11, 15]):
        text = scrape(20, buckets, 1.5)
        text = text if buckets == [16, 10, 15] else text.replace('le="+Inf"} 15', 'le="+Inf"} 14')
        result = read(tmp_path, text)
        assert rows(result, *NAMES) == [(20, 15, 100.0, None, None)]
        assert len(result.bad) == 1


def test_a_histogram_without_buckets_is_a_native_one_and_has_a_mean(tmp_path: Path) -> None:
    text = "".join(line for line in scrape(20, [10, 15, 15], 1.5).splitlines(True) if "_bucket" not in line)
    result = read(tmp_path, text)
    assert rows(result, *NAMES) == [(20, 15, 100.0, None, None)]
    assert result.bad == ()


def test_a_scrape_that_was_cut_off_is_told(tmp_path: Path) -> None:
    result = read(tmp_path, 'smokeping_requests_total{host="a"} 5\nsmokeping_response_dur')
    assert result.table.num_rows == 0
    assert [bad.row for bad in result.bad] == [1, 2]


def test_the_reference_scrape_lost_3_of_18(tmp_path: Path) -> None:
    result = import_file(reference_data() / "measurement_formats/smokeping_prober/own_run_0.6.1.prom", "smokeping")
    # 8 of 15 answers are below 0.1024 s, 14 below 0.4096 s, all below 0.8192 s; the sum is 2.027 s
    assert rows(result, *NAMES) == [(18, 15, pytest.approx(2.027237217 / 15 * 1000), 102.4, 819.2)]
    assert result.lost == 3
