"""What the collector answers for: which records it has taken, and those that are not yet in a Parquet file.

One SQLite file. `taken` holds, for each (agent, boot_id), the ranges of `seq` that were ever accepted, so that a replay
is recognised however late it comes; `batches` holds accepted rows (Arrow, compressed) until a file holds them. Both
change in one transaction, and a batch is acknowledged after its commit has reached the disk.

A batch's way to a file: `mark` gives it a file number; `rows_of` gives the marked rows, and always the same; after the
files stand, `settle` forgets the rows. Whoever stops in between does it again: the same rows make the same files.
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from probes.collector.ranges import Range, contained, ranges_of, union
from probes.store import sync_folder
from probes.table import SCHEMA
from probes.transport import Batch, Refusal

VERSION: Final = 1
MOST_RANGES: Final = 10_000
"""Gaps in the numbers of one (agent, boot_id); an agent leaves one where its spool had to drop records."""
MOST_BOOTS: Final = 100_000
_LAST: Final = 2**63 - 1
_WORTH_PACKING: Final = 64  # fewer rows are small beside the schema that stands with them
_TABLES: Final = """
CREATE TABLE origins (
    origin INTEGER PRIMARY KEY, agent TEXT NOT NULL, boot_id TEXT NOT NULL, ranges INTEGER NOT NULL DEFAULT 0,
    UNIQUE (agent, boot_id));
CREATE TABLE taken (
    origin INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (origin, first)) WITHOUT ROWID;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY AUTOINCREMENT, arrived_ns INTEGER NOT NULL, file INTEGER, count INTEGER NOT NULL,
    size INTEGER NOT NULL, content BLOB NOT NULL);
CREATE INDEX batches_by_file ON batches (file);
CREATE TABLE parts (
    origin INTEGER NOT NULL, last INTEGER NOT NULL, batch INTEGER NOT NULL, first INTEGER NOT NULL,
    PRIMARY KEY (origin, last, batch)) WITHOUT ROWID;
CREATE INDEX parts_by_batch ON parts (batch);
CREATE TABLE agents (
    agent TEXT PRIMARY KEY, first_seen_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL, last_observed_ns INTEGER,
    next_in_s REAL, accepted INTEGER NOT NULL, replayed INTEGER NOT NULL, conflicting INTEGER NOT NULL,
    refused INTEGER NOT NULL) WITHOUT ROWID;
"""


class LedgerError(Exception):
    """The ledger cannot be used: another version's, or damaged. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch whose rows keep the rules of the record, with those rows as a Table of SCHEMA in the same order."""

    batch: Batch
    table: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch's rows: taken now, known already, or refused (the conflicting ones among them)."""

    accepted: int
    replayed: int
    conflicting: int
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """An agent as the collector has seen it; times in nanoseconds since 1970 UTC, counts of rows."""

    agent: str
    first_seen_ns: int
    last_seen_ns: int
    last_observed_ns: int | None
    next_in_s: float | None
    accepted: int
    replayed: int
    conflicting: int
    refused: int


class Ledger:
    """The ledger of one folder; safe to share between threads, one at a time is served.

    Raises LedgerError on opening. Any method raises sqlite3.Error when the disk is full or broken; then nothing of that
    call has happened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            self._prepare(path)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, path: Path) -> None:
        try:
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise LedgerError(
                    f"{path} is of version {version}, and this nearserve reads {VERSION}: use a newer one"
                )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA journal_size_limit = 67108864")
            sound = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise LedgerError(
                    f"{path} cannot be opened ({error}): see to the disk and who may write there"
                ) from error
            raise LedgerError(f"{path} is no ledger ({error}): bring it back from a backup") from error
        if sound != "ok":
            raise LedgerError(f"{path} is damaged ({sound}): bring it back from a backup")
        if version == 0:
            with self._transaction():
                for statement in _TABLES.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {VERSION}")
            for folder in (path.parent, *list(path.parent.parents)[:2]):  # both may be new
                sync_folder(folder)
        rows, size = self._database.execute("SELECT total(count), total(size) FROM batches").fetchone()
        self._rows, self._bytes = int(rows), int(size)

    def close(self) -> None:
        """Close the file; what was committed stays."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; on the disk when it ends without an error."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def accept(self, arrivals: Sequence[Arrival], now_ns: int) -> list[Outcome]:
        """Takes the rows that are new, all arrivals in one transaction; when it returns, they are on the disk."""
        with self._lock:
            with self._transaction() as database:
                before = database.execute("SELECT coalesce(max(batch), 0) FROM batches").fetchone()[0]
                outcomes = [_accept(database, arrival, now_ns) for arrival in arrivals]
                query = "SELECT total(count), total(size) FROM batches WHERE batch > ?"
                rows, size = database.execute(query, (before,)).fetchone()
            self._rows += int(rows)
            self._bytes += int(size)
        return outcomes

    def waiting(self) -> tuple[int, int]:
        """Rows accepted and not yet in a file, and their bytes here; waits for nobody."""
        return self._rows, self._bytes

    def oldest_ns(self) -> int | None:
        """When the oldest batch arrived that is not marked for a file (UTC since 1970); None when there is none."""
        with self._lock:
            query = "SELECT arrived_ns FROM batches WHERE file IS NULL ORDER BY batch LIMIT 1"
            oldest = self._database.execute(query).fetchone()
        return oldest[0] if oldest else None

    def mark(self, rows: int) -> int | None:
        """Marks the oldest batches, up to about so many rows, for one file number; None when nothing waits."""
        with self._transaction() as database:
            last, total = None, 0
            for batch, count in database.execute("SELECT batch, count FROM batches WHERE file IS NULL ORDER BY batch"):
                if last is not None and total + count > rows:
                    break
                last, total = batch, total + count
            if last is not None:
                database.execute("UPDATE batches SET file = ? WHERE file IS NULL AND batch <= ?", (last, last))
            return last

    def marked(self) -> list[int]:
        """File numbers that were marked and not settled."""
        with self._lock:
            found = self._database.execute("SELECT DISTINCT file FROM batches WHERE file IS NOT NULL ORDER BY file")
            return [file for (file,) in found]

    def rows_of(self, file: int) -> Any:
        """The rows marked for a file number, as a Table of SCHEMA."""
        with self._lock:
            found = self._database.execute("SELECT content FROM batches WHERE file = ? ORDER BY batch", (file,))
            contents = [content for (content,) in found]
        return pa.concat_tables([SCHEMA.empty_table(), *map(_unpacked, contents)])

    def settle(self, file: int) -> None:
        """Forgets the rows of a file number: they stand in files that have reached the disk."""
        with self._lock:
            with self._transaction() as database:
                query = "SELECT total(count), total(size) FROM batches WHERE file = ?"
                rows, size = database.execute(query, (file,)).fetchone()
                database.execute("DELETE FROM parts WHERE batch IN (SELECT batch FROM batches WHERE file = ?)", (file,))
                database.execute("DELETE FROM batches WHERE file = ?", (file,))
            self._rows -= int(rows)
            self._bytes -= int(size)

    def agents(self) -> list[Seen]:
        """Every agent that ever sent a batch, by name."""
        with self._lock:
            return agents_in(self._database)


def agents_in(database: sqlite3.Connection) -> list[Seen]:
    """Every agent of an open ledger, by name."""
    columns = ", ".join(Seen.__dataclass_fields__)
    return [Seen(*row) for row in database.execute(f"SELECT {columns} FROM agents ORDER BY agent")]


def _accept(database: sqlite3.Connection, arrival: Arrival, now_ns: int) -> Outcome:
    batch = arrival.batch
    by_boot: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(batch.records):
        by_boot[str(record.boot_id)].append(place)
    fresh: list[int] = []
    refused: list[Refusal] = []
    conflicting = 0
    parts: list[tuple[int, int, int]] = []
    for boot_id, places in by_boot.items():
        origin = _origin(database, batch.agent, boot_id)
        new, clashing = _sorted_out(database, arrival, origin, places)
        conflicting += len(clashing)
        refused += [_refusal(batch, place, "this number was given to another record before") for place in clashing]
        numbers = [_seq(batch, place) for place in new]
        if origin is None or not (numbers and _take(database, origin, numbers)):
            mend = "too many gaps in the numbers, or too many boot_ids: count on from the last number"
            refused += [_refusal(batch, place, mend) for place in new]
            continue
        fresh += new
        parts.append((origin, min(numbers), max(numbers)))
    if fresh:
        every = len(fresh) == len(batch.records)
        _keep(database, arrival.table if every else arrival.table.take(sorted(fresh)), parts, now_ns)
    replayed = len(batch.records) - len(fresh) - len(refused)
    outcome = Outcome(len(fresh), replayed, conflicting, (*batch.refused, *refused))
    _see(database, batch, outcome, now_ns)
    return outcome


def _seq(batch: Batch, place: int) -> int:
    return int(batch.records[place].seq or 0)


def _refusal(batch: Batch, place: int, mend: str) -> Refusal:
    return Refusal(batch.rows[place], "seq", str(_seq(batch, place)), mend)


def _origin(database: sqlite3.Connection, agent: str, boot_id: str) -> int | None:
    """The number of (agent, boot_id), made when it is new; None when the agent has had too many."""
    found = database.execute("SELECT origin FROM origins WHERE agent = ? AND boot_id = ?", (agent, boot_id)).fetchone()
    if found:
        return int(found[0])
    (boots,) = database.execute("SELECT count(*) FROM origins WHERE agent = ?", (agent,)).fetchone()
    if boots >= MOST_BOOTS:
        return None
    return database.execute("INSERT INTO origins (agent, boot_id) VALUES (?, ?)", (agent, boot_id)).lastrowid


def _sorted_out(
    database: sqlite3.Connection, arrival: Arrival, origin: int | None, places: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Places of the rows whose number is new, and of those whose number stands for another record."""
    by_number: dict[int, list[int]] = defaultdict(list)
    for place in places:
        by_number[_seq(arrival.batch, place)].append(place)
    known: set[int] = set()
    if origin is not None:
        known = contained(list(by_number), _near(database, origin, min(by_number), max(by_number)))
    clashing: list[int] = []
    if known:
        clashing += _clashes(database, arrival, int(origin or 0), {number: by_number[number] for number in known})
    new = [(same[0], same[1:]) for number, same in by_number.items() if number not in known]
    for first, repeats in new:
        clashing += [place for place in repeats if _differ(arrival, place, arrival.table, first)]
    return [first for first, _ in new], sorted(clashing)


def _near(database: sqlite3.Connection, origin: int, first: int, last: int) -> list[Range]:
    """The taken ranges that touch [first, last], and perhaps one before them; sorted."""
    before = "SELECT max(first) FROM taken WHERE origin = :origin AND first <= :first"
    query = (
        f"SELECT first, last FROM taken WHERE origin = :origin AND first <= :last AND first >= coalesce(({before}), 0)"
    )
    return database.execute(
        query + " ORDER BY first", {"origin": origin, "first": first, "last": min(last, _LAST - 1) + 1}
    ).fetchall()


def _clashes(database: sqlite3.Connection, arrival: Arrival, origin: int, known: dict[int, list[int]]) -> list[int]:
    """Of rows {number: places} taken before: the places that differ from what still waits under that number."""
    clashing = []
    query = "SELECT batch FROM parts WHERE origin = ? AND last >= ? AND first <= ?"
    spans = ranges_of(known)
    batches = {batch for first, last in spans for (batch,) in database.execute(query, (origin, first, last))}
    for batch in sorted(batches):
        (content,) = database.execute("SELECT content FROM batches WHERE batch = ?", (batch,)).fetchone()
        waiting = _unpacked(content)
        same_boot = pc.equal(waiting["boot_id"], arrival.batch.records[next(iter(known.values()))[0]].boot_id)
        wanted = pc.and_(same_boot, pc.is_in(waiting["seq"], pa.array(list(known), pa.int64())))
        rows = pc.indices_nonzero(wanted).to_pylist()
        pairs = [(place, row) for row in rows for place in known[waiting["seq"][row].as_py()]]
        mine, theirs = [place for place, _ in pairs], [row for _, row in pairs]
        if pairs and not arrival.table.take(mine).equals(waiting.take(theirs)):
            clashing += [place for place, row in pairs if _differ(arrival, place, waiting, row)]
    return clashing


def _differ(arrival: Arrival, place: int, table: Any, row: int) -> bool:
    return not arrival.table.slice(place, 1).equals(table.slice(row, 1))


def _take(database: sqlite3.Connection, origin: int, numbers: Sequence[int]) -> bool:
    """Notes the numbers as taken; False, and nothing noted, when that would leave too many gaps."""
    near = _near(database, origin, min(numbers), max(numbers))
    merged = union(near, ranges_of(numbers))
    (count,) = database.execute("SELECT ranges FROM origins WHERE origin = ?", (origin,)).fetchone()
    count += len(merged) - len(near)
    if count > MOST_RANGES:
        return False
    gone, new = set(near) - set(merged), set(merged) - set(near)
    database.executemany("DELETE FROM taken WHERE origin = ? AND first = ?", [(origin, first) for first, _ in gone])
    database.executemany("INSERT INTO taken VALUES (?, ?, ?)", [(origin, *span) for span in new])
    database.execute("UPDATE origins SET ranges = ? WHERE origin = ?", (count, origin))
    return True


def _keep(database: sqlite3.Connection, rows: Any, parts: Sequence[tuple[int, int, int]], now_ns: int) -> None:
    sink = pa.BufferOutputStream()
    packed = pa.ipc.IpcWriteOptions(compression="zstd" if rows.num_rows >= _WORTH_PACKING else None)
    with pa.ipc.new_stream(sink, SCHEMA, options=packed) as stream:
        stream.write_table(rows.combine_chunks())
    content = sink.getvalue().to_pybytes()
    batch = database.execute(
        "INSERT INTO batches (arrived_ns, count, size, content) VALUES (?, ?, ?, ?)",
        (now_ns, rows.num_rows, len(content), content),
    ).lastrowid
    database.executemany(
        "INSERT INTO parts (batch, origin, first, last) VALUES (?, ?, ?, ?)", [(batch, *part) for part in parts]
    )


def _unpacked(content: bytes) -> Any:
    with pa.ipc.open_stream(content) as stream:
        return stream.read_all()


def _see(database: sqlite3.Connection, batch: Batch, outcome: Outcome, now_ns: int) -> None:
    observed = max((record.observed_at for record in batch.records), default=None)
    counts = (outcome.accepted, outcome.replayed, outcome.conflicting, len(outcome.refused) - outcome.conflicting)
    database.execute(
        "INSERT INTO agents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (agent) DO UPDATE SET "
        "last_seen_ns = excluded.last_seen_ns, next_in_s = excluded.next_in_s, "
        "last_observed_ns = coalesce(max(last_observed_ns, excluded.last_observed_ns), excluded.last_observed_ns, "
        "last_observed_ns), accepted = accepted + excluded.accepted, replayed = replayed + excluded.replayed, "
        "conflicting = conflicting + excluded.conflicting, refused = refused + excluded.refused",
        (batch.agent, now_ns, now_ns, observed, batch.next_in_s, *counts),
    )
