"""Native CSV and Parquet: nothing is guessed, everything that is wrong is told."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probes.importers import FORMATS, import_file
from probes.importers.native import parse_time
from probes.reading import BadRecordsError, BadRecordWarning
from probes.record import Record
from probes.table import to_table, unchecked_table

HEADER = "observed_at,source,target,method,sent,received,rtt_ms\n"
GOOD = "2025-03-01T00:00:00Z,a,b,icmp,3,2,1.5;2.5\n"


def write(folder: Path, text: str, name: str = "own.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01 00:00:01", 1_000_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00.5+0000", 500_000_000),
        ("1970-01-02T00:00Z", 86_400_000_000_000),
    ],
)
def test_times_are_read_to_the_nanosecond_and_are_utc_where_no_zone_is_written(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize("text", ["1740787200", "yesterday", "01/03/2025", "2025-13-01T00:00:00Z", "2025-03-01"])
def test_a_time_that_is_not_iso_8601_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


def test_a_byte_order_mark_crlf_blank_lines_and_gzip_are_read_alike(tmp_path: Path) -> None:
    plain = import_file(write(tmp_path, HEADER + GOOD), "native")
    windows = import_file(write(tmp_path, "\ufeff" + (HEADER + "\n" + GOOD).replace("\n", "\r\n"), "w.csv"), "native")
    zipped = tmp_path / "own.csv.gz"
    zipped.write_bytes(gzip.compress((HEADER + GOOD).encode()))
    assert plain.table.equals(windows.table)
    assert plain.table.equals(import_file(zipped, "native").table)
    assert (plain.read, plain.lost, plain.bad) == (1, 1, ())


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2,1.5;-1\n", "rtt_ms"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2,1.5;\n", "rtt_ms"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2,*\n", "rtt_ms"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2,nan\n", "rtt_ms"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2,inf\n", "rtt_ms"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2,0\n", "rtt_ms"),
        ("2025-03-01T00:00:00Z,a,b,icmp,1,2,1.5\n", "received"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3.5,2,1.5\n", "sent"),
        ("2025-03-01T00:00:00Z,a,b,icmp,9999999999999999999999,2,1.5\n", "sent"),
        ("2025-03-01T00:00:00Z,a,b,,3,2,1.5\n", "method"),
        ("1740787200,a,b,icmp,3,2,1.5\n", "observed_at"),
        ("2025-03-01T00:00:00Z,a,b,icmp,3,2\n", "row"),
    ],
)
def test_a_bad_cell_is_told_with_its_line_and_the_sound_rows_are_kept(tmp_path: Path, row: str, field: str) -> None:
    path = write(tmp_path, HEADER + GOOD + row + GOOD)
    result = import_file(path, "native", on_error="skip")
    assert [(bad.row, bad.field) for bad in result.bad] == [(3, field)]
    assert (result.read, result.table.num_rows, result.lost) == (3, 2, 2)


def test_failing_carries_all_bad_records_and_warning_says_how_many(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "x,a,b,icmp,1,1,2\n" + GOOD + "2025-03-01T00:00:00Z,a,b,icmp,1,1,-2\n")
    with pytest.raises(BadRecordsError) as caught:
        import_file(path, "native")
    assert [bad.row for bad in caught.value.bad] == [2, 4]
    with pytest.warns(BadRecordWarning, match="2 bad records"):
        assert import_file(path, "native", on_error="warn").table.num_rows == 1


def test_a_name_that_is_no_utf_8_is_refused_and_not_renamed(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes((HEADER + GOOD).encode() + b"2025-03-01T00:00:00Z,S\xe3o Paulo,b,icmp,1,1,2\n")
    result = import_file(path, "native", on_error="skip")
    assert result.table.num_rows == 1
    assert [bad.field for bad in result.bad] == ["record"]


@pytest.mark.parametrize(
    "header", ["observed_at,source,target\n", HEADER.strip() + ",rtt_m\n", HEADER.strip() + ",sent\n", ""]
)
def test_a_header_that_misses_invents_or_doubles_a_column_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(BadRecordsError):
        import_file(write(tmp_path, header + GOOD), "native")


def test_an_empty_file_is_told_and_gives_no_rows(tmp_path: Path) -> None:
    result = import_file(write(tmp_path, ""), "native", on_error="skip")
    assert result.table.num_rows == 0
    assert len(result.bad) == 1


def test_ends_and_time_given_by_the_person_replace_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + GOOD)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    row = import_file(path, "native", source="home", target="pop", observed_at=when).table.to_pylist()[0]
    assert (row["source"], row["source_alias"], row["target"], row["target_alias"]) == ("home", "a", "pop", "b")
    assert row["observed_at"].to_pydatetime() == when


def test_parquet_with_fewer_columns_and_other_types_is_cast_and_its_bad_rows_are_told(tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    columns = {
        "observed_at": pa.array([datetime(2025, 3, 1), datetime(2025, 3, 2)], pa.timestamp("us")),
        "source": ["a", "b"],
        "target": ["b", "a"],
        "method": ["icmp", "icmp"],
        "sent": pa.array([3, 1], pa.int32()),
        "received": pa.array([2, 2], pa.int32()),
        "rtt_ms": pa.array([[1.5, 2.5], None], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), path)
    result = import_file(path, "native", on_error="skip")
    assert result.table.to_pylist()[0]["rtt_ms"] == [1.5, 2.5]
    assert [(bad.row, bad.field) for bad in result.bad] == [(2, "received")]
    assert (result.read, result.table.num_rows, result.lost) == (2, 1, 1)


def test_parquet_of_something_else_or_cut_short_is_told_and_never_crashes(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"x": [1]}), other)
    record = Record(observed_at=1_740_787_200_000_000_000, source="a", target="b", method="icmp", error="none")
    whole = tmp_path / "whole.parquet"
    pq.write_table(to_table([record]), whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-40])
    for path in (other, cut):
        result = import_file(path, "native", on_error="skip")
        assert result.table.num_rows == 0
        assert result.bad


def test_a_file_of_many_batches_keeps_its_order_and_its_line_numbers(tmp_path: Path) -> None:
    lines = [f"2025-03-01T00:00:00Z,a,b,icmp,1,1,{number + 1}\n" for number in range(45_000)]
    lines[41_000] = "2025-03-01T00:00:00Z,a,b,icmp,1,1,-1\n"
    result = import_file(write(tmp_path, HEADER + "".join(lines)), "native", on_error="skip")
    assert [bad.row for bad in result.bad] == [41_002]
    assert result.table["rtt_ms"].combine_chunks().flatten().to_pylist() == [
        float(n + 1) for n in range(45_000) if n != 41_000
    ]


def test_a_format_or_file_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ripe-atlas"):
        import_file(tmp_path, "guess")
    with pytest.raises(BadRecordsError, match="absent"):
        import_file(tmp_path / "absent.csv", "native", on_error="skip")
    text_formats = {"ping", "fping", "blackbox", "smokeping"}
    json_formats = {"ripe-atlas", "iperf3", "scamper", "perfsonar", "ndt7"}
    assert set(FORMATS) == {"native"} | text_formats | json_formats
    assert all(one.description for one in FORMATS.values())


def test_a_count_too_large_for_its_column_spoils_its_own_record_only() -> None:
    record = Record(observed_at=1_740_787_200_000_000_000, source="a", target="b", method="icmp", sent=1, received=0)
    assert unchecked_table([record]).num_rows == 1
    with pytest.raises(OverflowError):
        unchecked_table([replace(record, sent=10**30)])
