"""The agent's spool: order, bound, counts over restarts, broken files."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes.agent.spool import LARGEST_BODY, LEAST_BYTES, Spool, SpoolLockedError
from probes.record import Record

EPOCH_NS = 1_750_000_000_000_000_000


def record(number: int, padding: int = 0) -> Record:
    return Record(
        observed_at=EPOCH_NS + number,
        source="fra1",
        target=f"t{number}",
        method="icmp",
        family=4,
        sent=3,
        received=2,
        rtt_ms=(1.5, 0.1 + number),
        error="x" * padding or None,
        clock_ok=True,
    )


def opened(folder: Path, boot: str = "boot-1", size: int = LEAST_BYTES, heard: list[str] | None = None) -> Spool:
    tell = (lambda event, **_: heard.append(event)) if heard is not None else (lambda *_, **__: None)
    return Spool(folder / "spool.sqlite", size, "fra1-a", boot, tell)


LOG_FILLING = [
    0, 0, 1, 320, 1, 3357, 376, 3406, 7989, 7147, 3895, 4110, 1911, 2609, 0, 449, 387, 7936, 0, 188, 0, 0, 0, 667,
]  # fmt: skip


def used_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if ".unsound" not in file.name)


def test_records_come_back_as_they_went_in_with_their_key_and_in_order_over_restarts(tmp_path: Path) -> None:
    first = opened(tmp_path, "boot-z")
    first.append([record(0), record(1)])
    first.close()
    second = opened(tmp_path, "boot-a")
    second.append([record(2)])
    found = second.pending()
    assert [(r.agent, r.boot_id, r.seq) for r in found] == [
        ("fra1-a", "boot-z", 0),
        ("fra1-a", "boot-z", 1),
        ("fra1-a", "boot-a", 0),
    ]
    assert [r.target for r in found] == ["t0", "t1", "t2"]
    assert found[0].rtt_ms == (1.5, 0.1) and found[0].observed_at == EPOCH_NS and found[0].error is None
    assert second.counts().depth == 3


def test_what_is_acknowledged_is_gone_and_the_rest_stays_also_after_a_restart(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(record(n) for n in range(10))
    spool.acknowledge(spool.pending(4)[1:3])
    spool.acknowledge([Record(observed_at=1, source="", target="", method="icmp", boot_id="unknown", seq=0)])
    spool.close()
    again = opened(tmp_path, "boot-2")
    assert [r.seq for r in again.pending()] == [0, 3, 4, 5, 6, 7, 8, 9]
    assert again.counts().depth == 8
    again.acknowledge(again.pending())
    assert again.pending() == [] and again.counts().depth == 0


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=40), repeat=st.integers(1, 12))
@example(sizes=LOG_FILLING, repeat=12)
def test_the_bound_holds_whatever_the_size_of_records_and_the_newest_stay(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], repeat: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = opened(folder)
    total = 0
    for _ in range(repeat):
        spool.append(record(total + n, size) for n, size in enumerate(sizes))
        total += len(sizes)
        assert used_bytes(folder) <= LEAST_BYTES + 64 * 1024  # the index of the log stands beside it
    counts = spool.counts()
    seqs = [r.seq for r in spool.pending(total)]
    assert counts.lost == 0 and counts.held == 0
    assert counts.depth + counts.dropped == total and counts.depth == len(seqs) >= 1
    assert seqs == list(range(total - counts.depth, total))
    spool.close()


def test_what_was_dropped_is_counted_over_restarts(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for base in range(0, 6000, 500):
        spool.append(record(base + n, 300) for n in range(500))
    dropped = spool.counts().dropped
    assert dropped > 1000
    spool.close()
    again = opened(tmp_path, "boot-2")
    assert again.counts().dropped == dropped
    assert again.counts().depth == 6000 - dropped == len(again.pending(6000))


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SpoolLockedError, match="another agent holds this spool"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path).close()


@pytest.mark.parametrize(
    "rubbish", [b"no database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 8000, b"\x00" * 4096]
)
def test_a_file_that_is_no_database_is_moved_aside_and_told(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "spool.sqlite").write_bytes(rubbish)
    heard: list[str] = []
    spool = opened(tmp_path, heard=heard)
    spool.append([record(0)])
    assert heard == ["spool_moved_aside"]
    assert (tmp_path / "spool.sqlite.unsound").read_bytes() == rubbish
    assert [r.target for r in spool.pending()] == ["t0"]
    assert spool.counts().moved_aside == 1 and spool.counts().depth == 1
    spool.close()
    assert opened(tmp_path, "boot-2").counts().moved_aside == 1


def test_pages_that_rot_while_the_agent_runs_cost_the_waiting_records_and_nothing_else(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for base in range(0, 1500, 500):
        first.append(record(base + n) for n in range(500))
    first.close()
    file = tmp_path / "spool.sqlite"
    sound = file.read_bytes()
    file.write_bytes(sound[:8192] + b"\xa5" * (len(sound) - 8192))
    heard: list[str] = []
    spool = opened(tmp_path, "boot-2", heard=heard)
    for n in range(3):
        spool.append([record(5000 + n)])
        spool.pending()
    assert "spool_moved_aside" in heard
    spool.append([record(6000)])
    counts = spool.counts()
    assert counts.moved_aside == 1 and counts.writing
    assert spool.pending()[-1].target == "t6000"
    spool.close()
    assert [r.target for r in opened(tmp_path, "boot-3").pending()][-1] == "t6000"


def test_a_row_that_cannot_be_read_is_counted_and_does_not_stop_the_others(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(record(n) for n in range(3))
    spool.close()
    with sqlite3.connect(tmp_path / "spool.sqlite") as database:
        database.execute("UPDATE records SET body = x'7b80' WHERE number & 7 = 1")
    database.close()
    heard: list[str] = []
    again = opened(tmp_path, "boot-2", heard=heard)
    assert [r.seq for r in again.pending()] == [0, 2]
    assert heard == ["records_unreadable"]
    assert again.counts().lost == 1 and again.counts().depth == 2


def test_a_file_deleted_under_the_agent_is_told_and_begun_anew(tmp_path: Path) -> None:
    heard: list[str] = []
    spool = opened(tmp_path, heard=heard)
    spool.append([record(0), record(1)])
    for name in ("spool.sqlite", "spool.sqlite-wal", "spool.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    spool.append([record(2)])
    assert heard == ["spool_deleted"]
    assert [r.seq for r in spool.pending()] == [2]
    assert spool.counts().lost == 2
    spool.close()
    assert [r.seq for r in opened(tmp_path, "boot-2").pending()] == [2]


def test_a_record_beyond_all_measure_is_counted_and_the_rest_kept(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([record(0), record(1, LARGEST_BODY), record(2)])
    assert [r.seq for r in spool.pending()] == [0, 2]
    assert spool.counts().lost == 1


def test_after_close_nobody_opens_the_file_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append([record(0), record(1)])
    held = first.pending()
    first.close()
    second = opened(tmp_path, "boot-2")
    first.acknowledge(held)  # by an uplink that was left behind in the midst of a request
    assert first.pending() == []
    assert [r.seq for r in second.pending()] == [0, 1] and second.counts().depth == 2


def test_a_spool_smaller_than_it_can_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"at least {LEAST_BYTES}"):
        opened(tmp_path, size=LEAST_BYTES - 1)
