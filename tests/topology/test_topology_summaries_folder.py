"""A folder of measurements, a day at a time: what is summarised, cached, delivered twice, bad, or moved meanwhile."""

import os
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from topology_world import NOON, record

from placement.topology.summaries import Summaries, days_of_folder, summarise
from placement.topology.summaries import gather as gather_module
from probes import folder as folder_module
from probes.folder import standing_files
from probes.reading import BadRecordsError
from probes.record import Record
from probes.store import read_folder, write_day, write_records
from probes.table import to_table

PLAIN = ("source", "target", "method", "family", "records", "samples", "rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms")


def day(number: int, *more: Record, agent: str = "x") -> list[Record]:
    """Forty keyed records of one day, of ten pairs."""
    at = NOON + timedelta(days=number)
    return [
        record(
            f"r{i % 5}", f"s{i % 2}", 10.0 + i, 20.0 + number, at=at + timedelta(seconds=i), agent=agent, boot_id="b",
            seq=100 * number + i,
        )
        for i in range(40)
    ] + list(more)  # fmt: skip


def summaries(folder: Path, cache: Path, **more: Any) -> Summaries:
    with days_of_folder(folder, cache=cache, **more) as days:
        return days.summaries()


@pytest.fixture(autouse=True)
def all_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather_module, "CACHED_ROWS", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of records."""
    for number in range(3):
        write_records(tmp_path / "measurements", to_table(day(number)))
    return tmp_path / "measurements"


def made(cache: Path) -> set[Path]:
    return set((cache / "summaries").glob("*/*"))


def test_a_folder_is_summarised_as_the_table_of_its_records(folder: Path, tmp_path: Path) -> None:
    (folder / "more.csv").write_text(
        "observed_at,source,target,method,sent,received,rtt_ms\n2026-03-02T00:00:00Z,r0,s0,icmp,2,1,3.5\n", "utf-8"
    )
    found = summaries(folder, tmp_path / "cache")
    expected = summarise(read_folder(folder))
    pd.testing.assert_frame_equal(found.frame, expected.frame, check_exact=True)
    assert found.frame["records"].sum() == 121
    assert found.frame["rtt_base_ms"].min() == 3.5


def test_cached_or_not_the_figures_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = summaries(folder, tmp_path / "cache").frame
    assert len(made(tmp_path / "cache")) == 3
    again = summaries(folder, tmp_path / "cache").frame
    (tmp_path / "file").write_text("")
    without = summaries(folder, tmp_path / "file" / "cache").frame  # nothing can be written there
    for other in (again, without):
        pd.testing.assert_frame_equal(first, other, check_exact=True)
    assert sorted(path.name for path in folder.iterdir()) == ["day=2026-03-01", "day=2026-03-02", "day=2026-03-03"]


@pytest.mark.parametrize("name", ["o'brien", 'a "b"', "[x]", "*", "dépôt 1"])
def test_a_cache_may_have_any_name(folder: Path, tmp_path: Path, name: str) -> None:
    first = summaries(folder, tmp_path / name).frame
    pd.testing.assert_frame_equal(first, summaries(folder, tmp_path / name).frame, check_exact=True)
    assert first["records"].sum() == 120


def test_a_new_day_touches_only_itself(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summaries(folder, tmp_path / "cache")
    write_records(folder, to_table(day(5, record("new", "s0", 7.0, at=NOON + timedelta(days=5)))))
    read: list[Path] = []

    def noted(file: Any, rows: int) -> Iterator[Any]:
        read.append(file.path.parent)
        return folder_module.tables(file, rows)

    monkeypatch.setattr(gather_module, "tables", noted)
    found = summaries(folder, tmp_path / "cache").frame
    assert {path.name for path in read} == {"day=2026-03-06"}
    pd.testing.assert_frame_equal(found, summarise(read_folder(folder)).frame, check_exact=True)


@pytest.mark.parametrize("file", ["days.parquet", "sketch.parquet", "ends.parquet", "whole.json"])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_broken_cache_is_made_anew(
    folder: Path, tmp_path: Path, file: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = summaries(folder, tmp_path / "cache").frame
    for path in (tmp_path / "cache").rglob(file):
        whole = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            middle = len(whole) // 2
            path.write_bytes(whole[:middle] if how == "cut" else whole[:middle] + b"#" + whole[middle + 1 :])
    pd.testing.assert_frame_equal(summaries(folder, tmp_path / "cache").frame, first, check_exact=True)
    monkeypatch.setattr(gather_module, "tables", None)
    pd.testing.assert_frame_equal(summaries(folder, tmp_path / "cache").frame, first, check_exact=True)


def test_a_file_that_changed_is_read_again(folder: Path, tmp_path: Path) -> None:
    summaries(folder, tmp_path / "cache")
    shutil.rmtree(folder / "day=2026-03-02")
    write_records(folder, to_table(day(1)[:7]))
    assert summaries(folder, tmp_path / "cache").frame["records"].sum() == 87


def test_a_file_of_the_same_size_and_time_with_other_figures_is_read_again(tmp_path: Path) -> None:
    """As a copy that keeps times, or an edit within the same tick, leaves it."""
    path = tmp_path / "day" / "one.parquet"
    path.parent.mkdir()

    def p50_after(rtt_ms: float, modified_ns: int | None) -> tuple[float, os.stat_result]:
        table = to_table([record("a", f"s{i}", rtt_ms) for i in range(40)])
        pq.write_table(table, path, compression="none", use_dictionary=False)
        if modified_ns is not None:
            os.utime(path, ns=(modified_ns, modified_ns))
        return float(summaries(path.parent, tmp_path / "cache").frame["rtt_p50_ms"].max()), path.stat()

    first, before = p50_after(10.0, None)
    second, after = p50_after(20.0, before.st_mtime_ns)
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    assert (first, second) == (10.0, 20.0)


def test_a_record_delivered_twice_counts_once_in_whatever_files_it_came(folder: Path, tmp_path: Path) -> None:
    again = day(1)[:9]
    unkeyed = [record("r0", "s0", 30.0, at=NOON + timedelta(days=1))] * 2
    differs = [record("r0", "s0", 99.0, at=NOON + timedelta(days=1), agent="x", boot_id="b", seq=100)]
    write_records(folder, to_table(again + unkeyed + differs))
    pq.write_table(to_table([*day(1)[5:20], *day(2)[:3]]), folder / "by hand.parquet")
    found = summaries(folder, tmp_path / "cache").frame
    # A key that comes again with other values is another record, and records without a key all count.
    assert found["records"].sum() == 120 + 2 + 1
    pd.testing.assert_frame_equal(found, summarise(read_folder(folder)).frame, check_exact=True)


def test_keys_are_compared_share_by_share_with_the_same_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(folder, to_table(day(1)[:9]))
    monkeypatch.setattr("placement.topology.summaries.once.MARKS_AT_ONCE", 7)
    monkeypatch.setattr(gather_module, "ROWS_AT_ONCE", 4)
    assert summaries(folder, tmp_path / "cache").frame["records"].sum() == 120


def test_the_rows_of_a_superseded_file_count_once(folder: Path, tmp_path: Path) -> None:
    (old,) = (folder / "day=2026-03-01").glob("*.parquet")
    write_day(folder / "day=2026-03-01", to_table([*day(0), *day(0, agent="y")]), [old.name])
    assert old.exists()
    assert summaries(folder, tmp_path / "cache").frame["records"].sum() == 160


def test_a_day_that_is_compacted_while_it_is_read_is_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = (folder / "day=2026-03-02").glob("*.parquet")

    def compacting(file: Any, rows: int) -> Iterator[Any]:
        if file.path == old and old.exists():
            write_day(old.parent, to_table([*day(1), *day(1, agent="y")]), [old.name])
            old.unlink()
        return folder_module.tables(file, rows)

    monkeypatch.setattr(gather_module, "tables", compacting)
    assert summaries(folder, tmp_path / "cache").frame["records"].sum() == 160


def test_every_bad_record_of_every_file_is_named_and_nothing_is_cached(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("hello", encoding="utf-8")
    (folder / "own.csv").write_text("observed_at,source,target,method,sent\nyesterday,a,b,icmp,1\n", encoding="utf-8")
    (folder / "day=2026-03-02" / "cut.parquet").write_bytes(b"PAR1 and no more")
    sound = to_table(day(7)).to_pandas()
    sound.loc[[3, 8], "received"] = 9
    table = pa.Table.from_pandas(sound, to_table(day(7)).schema, preserve_index=False)
    pq.write_table(table, folder / "z.parquet")
    with pytest.raises(BadRecordsError) as caught:
        summaries(folder, tmp_path / "cache")
    with pytest.raises(BadRecordsError) as expected:
        read_folder(folder)
    assert sorted(map(str, caught.value.bad)) == sorted(map(str, expected.value.bad))
    assert [(Path(one.file).name, one.row) for one in caught.value.bad] == [
        ("cut.parquet", 0), ("notes.txt", 0), ("own.csv", 2), ("z.parquet", 4), ("z.parquet", 9),
    ]  # fmt: skip


def test_days_before_the_window_are_counted_as_stale(folder: Path, tmp_path: Path) -> None:
    found = summaries(folder, tmp_path / "cache", newer_than=date(2026, 3, 3))
    assert found.frame["records"].sum() == 40
    assert found.stale == {f"r{i} → s{j}": 8 for i in range(5) for j in range(2)}


def test_an_alias_is_taken_when_the_scenario_knows_it_though_the_cache_does_not(tmp_path: Path) -> None:
    folder, cache = tmp_path / "measurements", tmp_path / "cache"
    write_records(folder, to_table([record("10.0.0.1", "b", 5.0, source_alias="probe"), record("probe", "b", 9.0)]))
    assert list(summaries(folder, cache).frame["source"]) == ["10.0.0.1", "probe"]
    found = summaries(folder, cache, known={"probe"}).frame
    assert (list(found["source"]), list(found["records"]), list(found["rtt_p50_ms"])) == (["probe"], [2], [7.0])


def test_a_judge_sees_every_day_of_a_series_and_what_it_leaves_out_is_not_merged(tmp_path: Path) -> None:
    later = NOON + timedelta(days=2)
    write_records(tmp_path / "m", to_table([
        record("a", "b", 4.0, 4.0), record("a", "b", 4.0, 5.0, at=later), record("a", "b", 6.0, at=later, family=6),
        record("a", "b", sent=9, received=7, rtt_min_ms=1.0, rtt_avg_ms=3.0, at=NOON + timedelta(days=1)),
        record("a", "b", 7.0, at=later, clock_ok=False),
    ]))  # fmt: skip
    with days_of_folder(tmp_path / "m", cache=tmp_path / "cache") as days:
        seen: list[pd.DataFrame] = []

        def judge(part: pd.DataFrame) -> pd.DataFrame:
            seen.append(part)
            return part.iloc[[2]][["source", "target", "method", "family", "day"]]

        without = days.summaries(judge).frame
        everything = days.summaries().frame
        judged = days.summaries(lambda part: part.iloc[:0]).frame
    (found,) = seen
    pd.testing.assert_frame_equal(judged, everything, check_exact=True)
    first = (NOON.date() - date(1970, 1, 1)).days
    by_day = found[["family", "day", "records", "sent", "samples", "distinct", "clock_bad"]]
    assert by_day.fillna(0).to_numpy().tolist() == [
        [6, first + 2, 1, 1, 1, 1, 0], [0, first, 1, 2, 2, 1, 0], [0, first + 1, 1, 9, 7, 0, 0],
        [0, first + 2, 2, 3, 2, 2, 1],
    ]  # fmt: skip
    assert found["day"].dtype == np.int32
    assert found["rtt_base_ms"].tolist() == [6.0, 4.0, 1.0, 4.0]
    assert found["rtt_p50_ms"].tolist()[1::2] == [4.0, 4.5]
    assert found["rtt_avg_ms"].tolist() == [6.0, 4.0, 3.0, 4.5]
    assert everything["records"].tolist() == [1, 4]
    assert without[["records", "samples", "rtt_base_ms", "rtt_p95_ms"]].to_numpy().tolist() == [
        [1, 1, 6.0, 6.0], [3, 4, 4.0, 4.85],
    ]  # fmt: skip


def test_an_empty_folder_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert len(summaries(tmp_path / "m", tmp_path / "cache").frame) == 0
    with pytest.raises(NotADirectoryError, match="nowhere"):
        summaries(tmp_path / "nowhere", tmp_path / "cache")


def test_files_tell_their_days_and_whether_they_have_keys(folder: Path) -> None:
    pq.write_table(
        to_table([record("a", "b", 5.0), record("a", "b", 5.0, at=NOON + timedelta(days=9))]), folder / "p.parquet"
    )
    files = standing_files(folder).files
    first = (NOON.date() - date(1970, 1, 1)).days
    assert [file.days for file in files] == [*((first + i, first + i) for i in range(3)), (first, first + 9)]
    assert [(file.rows, file.keyed) for file in files] == [*[(40, True)] * 3, (2, False)]
