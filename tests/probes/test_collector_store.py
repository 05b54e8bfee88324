"""Accepted rows on their way into files: killed at any step, compacted under readers' eyes, each is there once."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.probing.collector_process import records_of
from probes import store
from probes.collector.compaction import Compacted, Compactor
from probes.store import read_folder, write_records
from probes.table import unchecked_table

ROOT = Path(__file__).resolve().parents[2]
DAY_NS = 86_400 * 10**9
AT_NS = 1_790_000_000 * 10**9


def write(folder: Path, first: int, count: int = 10, days_ago: int = 0) -> Path:
    table = unchecked_table(records_of("fra1", first, count, at_ns=AT_NS - days_ago * DAY_NS))
    (path,) = write_records(folder, table)
    return path


def numbers(folder: Path) -> list[int]:
    return sorted(read_folder(folder)["seq"].to_pylist())


def test_killed_at_any_step_every_acknowledged_record_is_there_once(tmp_path: Path) -> None:
    script = ROOT / "tests/probes/collector_crash.py"
    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "7"], capture_output=True, text=True, check=True,
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    trials = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [trial["code"] for trial in trials[:-1]] == [-9] * (len(trials) - 1) and len(trials) > 5
    assert trials[-1]["code"] == 0 and trials[-1]["acknowledged"] == [0, 1, 2, 3]
    for trial in trials:
        acknowledged = {seq for number in trial["acknowledged"] for seq in range(number * 10, number * 10 + 12)}
        assert trial["mend_code"] == 0
        assert acknowledged <= set(trial["first"]), trial
        assert len(set(trial["first"])) == len(trial["first"]), trial
        assert trial["again"] == list(range(42)), trial


def test_small_files_of_a_day_become_one_and_late_rows_go_to_their_day(tmp_path: Path) -> None:
    for first in range(0, 50, 10):
        write(tmp_path, first)
    write(tmp_path, 50, days_ago=40)
    compactor = Compactor(tmp_path, 1000)
    assert compactor.compact(6) == Compacted()
    assert compactor.compact(5) == Compacted(merged=5, written=1, removed=5)
    assert numbers(tmp_path) == list(range(60))
    assert sorted(len(list(day.iterdir())) for day in tmp_path.iterdir()) == [1, 1]
    late = write(tmp_path, 60, days_ago=40)
    assert late.parent.name == "day=2026-08-12"
    assert compactor.compact(2).merged == 2
    assert numbers(tmp_path) == list(range(70))
    assert Compactor(tmp_path, 1000).compact(2) == Compacted()


def test_no_file_grows_past_its_size_and_large_ones_are_left(tmp_path: Path) -> None:
    big = write(tmp_path, 1000, 400)
    for first in range(0, 1000, 50):
        write(tmp_path, first, 50)
    assert Compactor(tmp_path, 400).compact(2).merged == 20
    rows = sorted(store.import_file(path, "native").table.num_rows for path in big.parent.iterdir())
    assert rows == [200, 400, 400, 400] and big.exists()
    assert numbers(tmp_path) == list(range(1400))


def test_an_old_file_beside_its_successor_is_passed_over_and_then_removed(tmp_path: Path) -> None:
    kept = {path: path.read_bytes() for path in (write(tmp_path, 0), write(tmp_path, 10), write(tmp_path, 20))}
    assert Compactor(tmp_path, 1000).compact(2).removed == 3
    for path, content in kept.items():  # as after a crash between the new name and the last unlink
        path.write_bytes(content)
    assert numbers(tmp_path) == list(range(30))
    write(tmp_path, 30)
    assert Compactor(tmp_path, 1000).compact(2) == Compacted(merged=2, written=1, removed=5)
    again = write(tmp_path, 10)  # the same batch is written again, two compactions later
    assert again in kept and numbers(tmp_path) == list(range(40))
    assert Compactor(tmp_path, 1000).compact(2).removed == 1 and not again.exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    day = write(tmp_path, 0).parent
    write(tmp_path, 10)
    mine = day / "mine.parquet"
    write(tmp_path / "elsewhere", 20).rename(mine)
    (day / ("0" * 32 + ".parquet")).write_bytes(b"no parquet")
    old = day / ".abandoned.tmp"
    old.write_bytes(b"")
    compacted = Compactor(tmp_path, 1000).compact(2)
    assert compacted == Compacted(merged=2, written=1, removed=2)
    assert mine.exists() and (day / ("0" * 32 + ".parquet")).exists() and old.exists()
    os.utime(old, (1, 1))
    Compactor(tmp_path, 1000).compact(2)
    assert not old.exists()


def test_files_that_go_while_they_are_read_are_read_where_they_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in range(0, 40, 10):
        write(tmp_path, first)
    read = store.import_file
    calls = []

    def compacting(path: Path, kind: str) -> Any:
        calls.append(path)
        if len(calls) == 3:
            assert Compactor(tmp_path, 1000).compact(2).removed == 4
        return read(path, kind)

    monkeypatch.setattr(store, "import_file", compacting)
    assert numbers(tmp_path) == list(range(40))
    assert len(calls) == 5


def test_a_listing_torn_by_a_compaction_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = [write(tmp_path, 0), write(tmp_path, 10)]
    listing = store.files_below
    calls = 0

    def torn(root: Path) -> Iterator[Path]:
        nonlocal calls
        calls += 1
        if calls > 1:
            yield from listing(root)
            return
        Compactor(tmp_path, 1000).compact(2)
        yield old[0]  # seen before it went; the other one was gone and the new one not there yet

    monkeypatch.setattr(store, "files_below", torn)
    assert numbers(tmp_path) == list(range(20))


def test_files_that_never_stand_still_are_an_error_and_no_wrong_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = store.files_below
    made = iter(range(0, 10_000, 10))

    def growing(root: Path) -> Iterator[Path]:
        write(tmp_path, next(made))
        yield from listing(root)

    monkeypatch.setattr(store, "files_below", growing)
    monkeypatch.setattr(store, "_LOOKS", 10)
    with pytest.raises(TimeoutError, match="came and went"):
        read_folder(tmp_path)


def test_readers_beside_a_writer_and_a_compactor_see_each_row_once(tmp_path: Path) -> None:
    written = 0
    stop = threading.Event()
    failures: list[str] = []
    reads = 0

    def reading() -> None:
        nonlocal reads
        while not stop.is_set():
            least = written
            found = numbers(tmp_path)
            if len(set(found)) != len(found) or found != list(range(len(found))) or len(found) < least:
                failures.append(f"{least} rows were written, {len(found)} seen, {len(set(found))} of them different")
                return
            reads += 1

    write(tmp_path, 0)
    written = 10
    reader = threading.Thread(target=reading)
    reader.start()
    compactor = Compactor(tmp_path, 200)
    for first in range(10, 1000, 10):
        write(tmp_path, first)
        written = first + 10
        if first % 40 == 0:
            compactor.compact(3)
    stop.set()
    reader.join()
    assert not failures and reads > 3
    assert numbers(tmp_path) == list(range(1000))
    assert len(list(next(tmp_path.iterdir()).iterdir())) < 20
