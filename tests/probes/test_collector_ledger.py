"""The ledger against a set kept by hand: every record is taken once, whatever comes in whatever order."""

import random
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.probing.collector_process import records_of
from probes.collector import ledger as ledger_module
from probes.collector.config import Limits
from probes.collector.ingest import checked
from probes.collector.ledger import Arrival, Ledger, LedgerError, Outcome
from probes.collector.ranges import contained, ranges_of, union
from probes.collector.writer import finish
from probes.record import Record
from probes.store import read_folder
from probes.table import unchecked_table
from probes.transport import Batch, decode, encode

numbers = st.lists(st.integers(0, 60), max_size=30)


def arrival(records: Sequence[Record], agent: str = "fra1") -> Arrival:
    batch = Batch(agent, tuple(range(len(records))), tuple(records), ())
    return Arrival(batch, unchecked_table(records))


def take(ledger: Ledger, records: Sequence[Record]) -> Outcome:
    return ledger.accept([arrival(records)], 1)[0]


def keys(table: object) -> list[tuple[str, str, int]]:
    columns = [table[name].to_pylist() for name in ("agent", "boot_id", "seq")]  # type: ignore[index]
    return sorted(zip(*columns, strict=True))


def everything(ledger: Ledger, folder: Path) -> list[tuple[str, str, int]]:
    while ledger.mark(7) is not None:
        pass
    finish(ledger, folder)
    return keys(read_folder(folder))


@given(numbers, numbers)
def test_ranges_are_sets(one: list[int], other: list[int]) -> None:
    ranges = ranges_of(one)
    assert [n for first, last in ranges for n in range(first, last + 1)] == sorted(set(one))
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
    assert union(ranges, ranges_of(other)) == ranges_of([*one, *other])
    assert contained(other, ranges) == set(one) & set(other)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["b1", "b2"]), st.lists(st.integers(0, 25), min_size=1, max_size=8), st.booleans()),
        max_size=12,
    )
)
def test_each_number_is_taken_once_and_the_first_content_stays(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int], bool]]
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder / "_collector" / "ledger.sqlite")
    first: dict[tuple[str, int], Record] = {}
    waiting: set[tuple[str, int]] = set()
    for step, (boot_id, seqs, written) in enumerate(steps):
        records = [replace(records_of("fra1", seq, 1, boot_id, at_ns=10**18)[0], bytes=step % 2) for seq in seqs]
        new, same, other = 0, 0, 0
        for record in records:
            key = (boot_id, int(record.seq or 0))
            if key not in first:
                first[key], new = record, new + 1
                waiting.add(key)
            elif key in waiting and first[key] != record:
                other += 1
            else:
                same += 1
        outcome = take(ledger, records)
        assert (outcome.accepted, outcome.replayed, outcome.conflicting) == (new, same, other)
        assert len(outcome.refused) == other
        if written:
            everything(ledger, folder)
            waiting.clear()
    expected = sorted(("fra1", boot_id, seq) for boot_id, seq in first)
    assert everything(ledger, folder) == expected
    stored = {
        (row["boot_id"], row["seq"]): row["bytes"] for row in read_folder(folder).drop(["observed_at"]).to_pylist()
    }
    assert stored == {key: record.bytes for key, record in first.items()}
    (seen,) = ledger.agents() if steps else (None,)
    assert seen is None or seen.accepted == len(first)
    ledger.close()


def test_what_waits_survives_a_restart_and_so_does_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    assert take(ledger, records_of("fra1", 0, 10)).accepted == 10
    file = ledger.mark(100)
    assert file is not None
    assert take(ledger, records_of("fra1", 10, 5)).accepted == 5  # after the mark: not of this file
    ledger.close()
    ledger = Ledger(path)
    assert ledger.marked() == [file] and ledger.waiting()[0] == 15
    assert ledger.rows_of(file).num_rows == 10
    assert take(ledger, records_of("fra1", 0, 20)).accepted == 5
    ledger.settle(file)
    assert ledger.waiting()[0] == 10 and ledger.rows_of(file).num_rows == 0
    assert take(ledger, records_of("fra1", 0, 20)).accepted == 0
    ledger.close()


def test_several_arrivals_of_one_transaction_know_of_each_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    one, two = arrival(records_of("fra1", 0, 6, at_ns=1)), arrival(records_of("fra1", 3, 6, at_ns=1))
    assert [outcome.accepted for outcome in ledger.accept([one, two], 5)] == [6, 3]
    other = arrival(records_of("ams1", 0, 6, at_ns=1), "ams1")
    assert ledger.accept([other], 9)[0].accepted == 6
    assert [(seen.agent, seen.last_seen_ns, seen.accepted) for seen in ledger.agents()] == [
        ("ams1", 9, 6),
        ("fra1", 5, 9),
    ]
    ledger.close()


def test_a_conflict_names_its_row_and_changes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    records = records_of("fra1", 0, 5, at_ns=10**18)
    assert take(ledger, records).accepted == 5
    changed = [replace(record, received=1, rtt_ms=None) if record.seq == 3 else record for record in records]
    outcome = take(ledger, changed)
    assert (outcome.accepted, outcome.replayed, outcome.conflicting) == (0, 4, 1)
    assert [(refusal.row, refusal.field, refusal.value) for refusal in outcome.refused] == [(3, "seq", "3")]
    file = ledger.mark(100)
    assert file is not None and ledger.rows_of(file)["received"].to_pylist() == [2] * 5
    ledger.close()


def test_gaps_and_boots_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MOST_RANGES", 50)
    monkeypatch.setattr(ledger_module, "MOST_BOOTS", 3)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    sparse = [record for record in records_of("fra1", 0, 200) if (record.seq or 0) % 2 == 0]
    outcome = take(ledger, sparse)
    assert outcome.accepted == 0 and len(outcome.refused) == 100
    assert take(ledger, records_of("fra1", 0, 200)).accepted == 200  # no trace is left of the refused ones
    boots = [take(ledger, records_of("fra1", 0, 1, f"other-{boot}")).accepted for boot in range(5)]
    assert boots == [1, 1, 0, 0, 0]
    ledger.close()


def test_the_largest_numbers_are_numbers_like_others(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    last = 2**63 - 1
    records = [replace(records_of("fra1", 0, 1)[0], seq=seq) for seq in (last, 0, last - 1)]
    assert take(ledger, records).accepted == 3
    assert take(ledger, records).replayed == 3
    ledger.close()


def test_a_full_disk_takes_nothing_of_a_batch_and_recovers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert take(ledger, records_of("fra1", 0, 10)).accepted == 10
    pages = ledger._database.execute("PRAGMA page_count").fetchone()[0]
    ledger._database.execute(f"PRAGMA max_page_count = {pages + 1}")
    noise = random.Random(1)
    big = [
        replace(record, rtt_ms=tuple(noise.uniform(1, 300) for _ in range(300)), received=300, sent=300)
        for record in records_of("fra1", 10, 100)
    ]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        take(ledger, big)
    assert ledger.waiting()[0] == 10
    ledger._database.execute("PRAGMA max_page_count = 1000000")
    assert take(ledger, big).accepted == 100
    assert everything(ledger, tmp_path / "m") == [("fra1", "boot-1", seq) for seq in range(110)]
    ledger.close()


def test_a_foreign_or_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerError, match="no ledger"):
        Ledger(path)
    path.unlink()
    Ledger(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerError, match="version 99"):
        Ledger(path)


def test_rows_that_break_the_rules_or_lie_far_from_now_are_refused_alone() -> None:
    now_ns = 1_790_000_000 * 10**9
    good = records_of("fra1", 0, 6, at_ns=now_ns)
    bad = {
        1: replace(good[1], received=9), 2: replace(good[2], observed_at=now_ns + 2 * 86_400 * 10**9),
        3: replace(good[3], observed_at=now_ns - 500 * 86_400 * 10**9), 4: replace(good[4], observed_at=0),
    }  # fmt: skip
    batch = decode(encode([bad.get(number, record) for number, record in enumerate(good)], "fra1"))
    beside = decode(encode(records_of("ams1", 7, 2, at_ns=now_ns), "ams1"))
    before, found, after = checked([beside, batch, beside], now_ns, Limits())
    assert before.batch == after.batch == beside and before.table.equals(after.table)
    assert before.table["seq"].to_pylist() == [7, 8]
    assert [(refusal.row, refusal.field) for refusal in found.batch.refused] == [
        (1, "received"), (2, "observed_at"), (3, "observed_at"), (4, "observed_at"),
    ]  # fmt: skip
    assert found.batch.rows == (0, 5) and found.table["seq"].to_pylist() == [0, 5]
