"""The native record: what it refuses, and that absence stays absence."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from probes.record import Record, utc_ns
from probes.table import SCHEMA, RecordError, faults, to_table, unchecked_table

NOON = 1_740_830_400_000_000_000  # 2025-03-01 12:00:00 UTC: 20,148 days and a half
GOOD = Record(observed_at=NOON, source="NA", target="NO", method="icmp", sent=4, received=3, rtt_ms=(1.5, 2.5, 3.5))


def test_the_nanoseconds_of_a_datetime_are_exact_and_in_utc() -> None:
    assert utc_ns(datetime(2025, 3, 1, 12, tzinfo=UTC)) == NOON
    assert utc_ns(datetime(2025, 3, 1, 12)) == NOON
    assert utc_ns(datetime(2025, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == NOON
    assert utc_ns(datetime(2025, 3, 1, 12, 0, 0, 1, tzinfo=UTC)) == NOON + 1000


def test_a_sound_record_becomes_one_row_with_nulls_for_what_is_not_known() -> None:
    table = to_table([GOOD])
    assert table.schema == SCHEMA
    row = table.to_pylist()[0]
    assert (row["source"], row["target"], row["rtt_ms"]) == ("NA", "NO", [1.5, 2.5, 3.5])
    assert row["observed_at"].value == NOON
    assert all(row[name] is None for name in ("mbps", "error", "rtt_min_ms", "clock_ok", "boot_id", "family"))


def test_no_records_make_an_empty_table_of_the_schema() -> None:
    assert to_table([]).schema == SCHEMA
    assert to_table([]).num_rows == 0


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("rtt_ms", {"rtt_ms": (1.0, 0.0)}),
        ("rtt_ms", {"rtt_ms": (1.0, -1.0)}),
        ("rtt_ms", {"rtt_ms": (math.nan,)}),
        ("rtt_ms", {"rtt_ms": (math.inf,)}),
        ("rtt_ms", {"rtt_ms": (None, 1.0)}),
        ("rtt_ms", {"rtt_ms": ()}),
        ("rtt_ms", {"rtt_ms": (1.0, 1.0, 1.0, 1.0)}),
        ("rtt_ms", {"received": None, "sent": None}),
        ("rtt_ms", {"received": None, "sent": None, "rtt_ms": None}),
        ("received", {"received": 5}),
        ("received", {"received": -1, "rtt_ms": None}),
        ("received", {"received": None, "rtt_ms": None}),
        ("sent", {"sent": -1, "received": None, "rtt_ms": None}),
        ("rtt_min_ms", {"rtt_min_ms": -1.0}),
        ("rtt_min_ms", {"rtt_min_ms": 0.0}),
        ("rtt_p50_ms", {"rtt_p50_ms": math.nan}),
        ("rtt_max_ms", {"rtt_max_ms": math.inf}),
        ("rtt_std_ms", {"rtt_std_ms": -0.1}),
        ("rtt_min_ms", {"rtt_min_ms": 9.0, "rtt_avg_ms": 8.0}),
        ("rtt_p50_ms", {"rtt_p50_ms": 9.0, "rtt_p95_ms": 8.0}),
        ("rtt_avg_ms", {"received": 0, "rtt_ms": None, "rtt_avg_ms": 8.0}),
        ("mbps", {"mbps": 0.0, "direction": "up"}),
        ("mbps", {"mbps": math.nan, "direction": "up"}),
        ("direction", {"mbps": 5.0}),
        ("direction", {"direction": "sideways"}),
        ("bytes", {"bytes": -1}),
        ("family", {"family": 5}),
        ("method", {"method": "guess"}),
        ("method", {"method": "imported:"}),
        ("seq", {"seq": -1}),
        ("observed_at", {"observed_at": 1_740_830_400}),  # seconds where nanoseconds belong
        ("observed_at", {"observed_at": 8_000_000_000_000_000_000}),
        ("observed_at", {"observed_at": None}),
        ("source", {"source": None}),
    ],
)
def test_a_value_outside_its_range_is_named(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError) as caught:
        to_table([GOOD, replace(GOOD, **changes), GOOD])
    assert {fault.row for fault in caught.value.faults} == {1}
    assert field in {fault.field for fault in caught.value.faults}


def test_every_fault_is_told_not_the_first_only() -> None:
    broken = replace(GOOD, rtt_ms=(-1.0,), family=7)
    found = faults(unchecked_table([broken, GOOD, replace(GOOD, received=9)]))
    assert [(fault.row, fault.field) for fault in found] == [(0, "family"), (0, "rtt_ms"), (2, "received")]


def test_an_answer_without_a_usable_time_is_received_and_has_no_sample() -> None:
    assert to_table([replace(GOOD, rtt_ms=(2.0,))]).num_rows == 1
    assert to_table([replace(GOOD, rtt_ms=None)]).num_rows == 1


def test_an_aggregate_without_a_count_of_sent_is_sound() -> None:
    record = replace(GOOD, rtt_ms=None, sent=None, received=120, rtt_min_ms=20.0, rtt_avg_ms=31.0, rtt_std_ms=90.0)
    assert to_table([record]).num_rows == 1


def test_an_average_may_stand_outside_the_extremes_by_the_rounding_of_the_tool() -> None:
    assert to_table([replace(GOOD, rtt_min_ms=8.001, rtt_avg_ms=8.0, rtt_max_ms=8.001)]).num_rows == 1
