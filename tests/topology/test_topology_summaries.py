"""Records to summaries: quantiles, losses, jitter, windows and repeats worked out by hand."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from topology_world import NOON, record

from placement.topology.summaries import summarise, window_start
from probes.record import Record
from probes.table import to_table


def row(*records: Record, known: tuple[str, ...] = ()) -> dict[str, float]:
    frame = summarise(to_table(records), known).frame
    assert len(frame) == 1
    return dict(frame.iloc[0])


def test_p95_of_twenty_one_samples_is_the_twentieth() -> None:
    # 21 samples 1..21 have 20 gaps: the 0.95 quantile lies 19 gaps above the least.
    found = row(record("a", "b", *[float(v) for v in range(21, 0, -1)]))
    assert (found["rtt_base_ms"], found["rtt_p50_ms"], found["rtt_p95_ms"]) == (1.0, 11.0, 20.0)
    assert found["samples"] == 21


def test_samples_of_several_records_are_pooled() -> None:
    found = row(record("a", "b", 1.0, 2.0), record("a", "b", 3.0), at_later())
    assert (found["rtt_p50_ms"], found["samples"], found["records"]) == (2.5, 4, 3)
    assert found["rtt_p95_ms"] == pytest.approx(3.85)  # 2.85 gaps above 1


def at_later() -> Record:
    return record("a", "b", 4.0, at=NOON + timedelta(days=1))


def test_a_lost_packet_is_counted_and_never_a_zero() -> None:
    found = row(record("a", "b", 8.0, 9.0, sent=4, received=2), record("a", "b", sent=4, received=0))
    assert found["loss"] == 0.75
    assert (found["rtt_base_ms"], found["samples"], found["sent"], found["received"]) == (8.0, 2, 8, 2)


def test_when_all_is_lost_there_is_no_latency() -> None:
    found = row(record("a", "b", sent=3, received=0))
    assert found["loss"] == 1.0
    assert np.isnan([found["rtt_base_ms"], found["rtt_p50_ms"], found["rtt_p95_ms"], found["jitter_ms"]]).all()


def test_loss_is_unknown_where_nothing_says_what_was_sent() -> None:
    assert np.isnan(row(record("a", "b", 5.0, sent=None, received=1))["loss"])


def test_jitter_is_the_mean_step_within_a_record_not_between_records() -> None:
    # Steps 2, 1 and 6; the step from 11 to 100 is between two records.
    found = row(record("a", "b", 10.0, 12.0, 11.0), record("a", "b", 100.0, 106.0))
    assert found["jitter_ms"] == 3.0


def test_the_p95_over_windows_is_the_weighted_quantile_of_theirs_and_no_mean() -> None:
    windows = [
        record("a", "b", sent=n, received=n, rtt_min_ms=1.0, rtt_p50_ms=p50, rtt_p95_ms=p95)
        for n, p50, p95 in ((96, 2.0, 10.0), (4, 3.0, 500.0))
    ]
    found = row(*windows)
    assert (found["rtt_p50_ms"], found["rtt_p95_ms"]) == (2.0, 10.0)
    heavier = row(*windows, record("a", "b", sent=4, received=4, rtt_min_ms=1.0, rtt_p50_ms=3.0, rtt_p95_ms=500.0))
    assert heavier["rtt_p95_ms"] == 500.0  # 8 of 104 is more than a twentieth


def test_an_average_gives_no_percentile() -> None:
    found = row(record("a", "b", sent=20, received=20, rtt_min_ms=3.0, rtt_avg_ms=9.0, rtt_std_ms=2.0))
    assert (found["rtt_base_ms"], found["rtt_avg_ms"], found["rtt_std_ms"]) == (3.0, 9.0, 2.0)
    assert np.isnan([found["rtt_p50_ms"], found["rtt_p95_ms"]]).all()


def test_averages_are_weighted_by_what_was_received() -> None:
    found = row(
        record("a", "b", sent=30, received=30, rtt_avg_ms=10.0), record("a", "b", sent=10, received=10, rtt_avg_ms=50.0)
    )
    assert found["rtt_avg_ms"] == 20.0


def test_times_under_load_or_by_a_clock_that_moved_are_no_latency_but_count_as_sent() -> None:
    found = row(record("a", "b", 10.0), record("a", "b", 300.0, loaded=True), record("a", "b", 0.001, clock_ok=False))
    assert (found["rtt_base_ms"], found["rtt_p95_ms"], found["samples"]) == (10.0, 10.0, 1)
    assert (found["sent"], found["loss"]) == (3, 0.0)


def test_packets_that_loaded_the_path_are_no_loss_of_its_pings() -> None:
    ping = record("a", "b", 5.0, 6.0, sent=4)
    flood = record("a", "b", sent=1000, received=80, mbps=90.0, direction="up", loaded=True)
    found = row(ping, flood)
    assert (found["sent"], found["received"], found["loss"]) == (1004, 82, 0.5)
    assert (found["rtt_base_ms"], found["mbps_up"]) == (5.0, 90.0)


def test_bandwidth_keeps_its_direction() -> None:
    up = [record("a", "b", method="train", mbps=v, direction="up") for v in (90.0, 100.0, 500.0)]
    down = [record("a", "b", method="train", mbps=7.0, direction="down")]
    found = row(*up, *down)
    assert (found["mbps_up"], found["mbps_down"]) == (100.0, 7.0)


def test_a_record_delivered_twice_counts_once() -> None:
    once = record("a", "b", 5.0, 6.0, agent="x", boot_id="1", seq=1)
    other = record("a", "b", 7.0, agent="x", boot_id="1", seq=2)
    unkeyed = record("a", "b", 8.0)
    found = row(once, other, once, unkeyed, unkeyed)
    assert (found["records"], found["samples"]) == (4, 5)


def test_an_alias_stands_in_only_for_a_name_nobody_knows() -> None:
    records = [
        record("10.0.0.1", "b", 5.0, source_alias="probe-7"),
        record("known", "b", 6.0, source_alias="probe-7"),
        record("stranger", "b", 7.0, source_alias="other-stranger"),
    ]
    frame = summarise(to_table(records), ["probe-7", "known", "b"]).frame
    assert list(frame["source"]) == ["known", "probe-7", "stranger"]


def test_records_before_the_window_are_counted_by_their_ends() -> None:
    start = window_start(date(2026, 3, 31), 30)
    assert start == date(2026, 3, 1)
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    records = [
        record("a", "b", 5.0, at=midnight),
        record("a", "b", 9.0, at=midnight - timedelta(microseconds=1)),
        record("c", "d", 9.0, at=midnight - timedelta(days=90)),
        record("c", "d", 9.0, at=midnight - timedelta(days=91)),
    ]
    found = summarise(to_table(records), (), start)
    assert found.stale == {"a → b": 1, "c → d": 2}
    assert list(found.frame["rtt_p95_ms"]) == [5.0]


def test_without_a_limit_of_age_every_record_counts() -> None:
    assert window_start(None, 30) is None
    assert window_start(date(2026, 1, 1), None) is None


def test_namibia_is_a_source_and_not_an_absent_value() -> None:
    frame = summarise(to_table([record("NA", "NO", 5.0)])).frame
    assert (frame["source"][0], frame["target"][0]) == ("NA", "NO")


def test_many_values_are_summarised_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    records = to_table([record(f"a{i % 7}", f"b{i % 3}", float(i + 1), float(2 * i + 1)) for i in range(100)])
    whole = summarise(records).frame
    monkeypatch.setattr("placement.topology.summaries.gather.ROWS_AT_ONCE", 9)
    monkeypatch.setattr("placement.topology.summaries.state.MOST_VALUES", 30)
    monkeypatch.setattr("placement.topology.summaries.merge.BUCKETS_AT_ONCE", 30)
    assert summarise(records).frame.equals(whole)
    assert len(whole) == 21


def test_a_sample_that_is_no_time_is_passed_over() -> None:
    table = pa.table(
        {
            "observed_at": pa.array([NOON], pa.timestamp("ns", tz="UTC")),
            "source": ["a"], "target": ["b"], "method": ["icmp"], "sent": [6], "received": [6],
            "rtt_ms": pa.array([[4.0, float("nan"), float("inf"), 0.0, -1.0, None]], pa.list_(pa.float64())),
        }
    )  # fmt: skip
    found = dict(summarise(table).frame.iloc[0])
    assert (found["rtt_base_ms"], found["rtt_p95_ms"], found["samples"]) == (4.0, 4.0, 1)
