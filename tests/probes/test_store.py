"""The folder of measurements: idempotent, atomic, by day, and strict about what lies in it."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from probes.reading import BadRecordsError
from probes.record import Record
from probes.store import read_folder, write_records
from probes.table import SCHEMA, RecordError, to_table, unchecked_table

SECOND = 1_000_000_000
MIDNIGHT = 1_740_787_200 * SECOND  # 2025-03-01 00:00:00 UTC
FIRST = Record(observed_at=MIDNIGHT - 1, source="a", target="b", method="icmp", sent=2, received=1, rtt_ms=(7.25,))
SECOND_DAY = replace(FIRST, observed_at=MIDNIGHT, rtt_ms=None, received=0)
RATE = replace(SECOND_DAY, sent=None, received=None, mbps=94.5, direction="down", method="tcp", agent="x", seq=3)
HEADER = "observed_at,source,target,method,sent,received,rtt_ms,family,loaded,error\n"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_records_lie_under_their_utc_day_and_come_back_unchanged(tmp_path: Path) -> None:
    table = to_table([FIRST, SECOND_DAY, RATE])
    written = write_records(tmp_path, table)
    assert [path.parent.name for path in written] == ["day=2025-02-28", "day=2025-03-01"]
    back = read_folder(tmp_path)
    assert back.schema == SCHEMA
    assert sorted(map(str, back.to_pylist())) == sorted(map(str, table.to_pylist()))


def test_the_same_batch_written_twice_in_any_order_is_the_same_bytes_in_one_file(tmp_path: Path) -> None:
    write_records(tmp_path / "one", to_table([FIRST, SECOND_DAY, RATE]))
    write_records(tmp_path / "one", to_table([RATE, SECOND_DAY, FIRST]))
    write_records(tmp_path / "two", to_table([SECOND_DAY, FIRST, RATE]))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 2
    for name in files(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_equal_values_have_one_name_however_they_lie_in_memory(tmp_path: Path) -> None:
    table = to_table([FIRST, SECOND_DAY, RATE])
    in_pieces = pa.concat_tables([table.slice(0, 1), table.slice(1, 2)])
    assert write_records(tmp_path / "one", table) == write_records(tmp_path / "one", in_pieces)


@pytest.mark.parametrize(
    "other",
    [
        replace(FIRST, rtt_ms=(7.26,)),
        replace(FIRST, rtt_ms=None),
        replace(FIRST, error="x"),
        replace(FIRST, source="ab", target=""),
        replace(FIRST, loaded=False),
        replace(FIRST, seq=0),
        replace(FIRST, agent=""),
    ],
)
def test_a_batch_that_differs_in_one_value_has_another_name(tmp_path: Path, other: Record) -> None:
    assert write_records(tmp_path, to_table([FIRST])) != write_records(tmp_path, to_table([other]))


def test_no_temporary_file_stays_behind(tmp_path: Path) -> None:
    write_records(tmp_path, to_table([FIRST]))
    assert all(name.endswith(".parquet") for name in files(tmp_path))


def test_a_table_with_a_broken_record_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="received"):
        write_records(tmp_path, unchecked_table([FIRST, replace(FIRST, received=3)]))
    assert files(tmp_path) == []


def test_no_records_write_no_files_and_an_empty_folder_reads_as_an_empty_table(tmp_path: Path) -> None:
    assert write_records(tmp_path, to_table([])) == ()
    assert read_folder(tmp_path).equals(SCHEMA.empty_table())


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere"):
        read_folder(tmp_path / "nowhere")


def test_csv_plain_parquet_and_partitions_are_read_together(tmp_path: Path) -> None:
    write_records(tmp_path, to_table([SECOND_DAY]))
    write_records(tmp_path / "deeper", to_table([RATE]))
    line = "2025-02-28T23:59:59.999999999Z,NA,NO,icmp,2,1,7.25,4,false,\n"
    (tmp_path / "own.csv").write_text(HEADER + line, encoding="utf-8")
    table = read_folder(tmp_path)
    assert table.num_rows == 3
    row = next(row for row in table.to_pylist() if row["source"] == "NA")
    assert row["observed_at"].value == MIDNIGHT - 1
    assert (row["target"], row["rtt_ms"], row["family"], row["loaded"], row["error"]) == ("NO", [7.25], 4, False, None)


def test_unknown_files_and_bad_rows_are_all_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "results.json").write_text("[]", encoding="utf-8")
    (tmp_path / ".hidden").write_text("x", encoding="utf-8")
    (tmp_path / "_SUCCESS").write_text("", encoding="utf-8")
    (tmp_path / "own.csv").write_text(HEADER + "2025-03-01,a,b,icmp,1,2,,,,\n", encoding="utf-8")
    with pytest.raises(BadRecordsError) as caught:
        read_folder(tmp_path)
    assert [(Path(bad.file).name, bad.row) for bad in caught.value.bad] == [
        ("notes.txt", 0),
        ("own.csv", 2),
        ("results.json", 0),
    ]
    assert "nearserve import" in str(caught.value)
