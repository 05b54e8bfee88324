"""The spool's database: rows in order, bounded in pages, counts in the same transactions as what they count.

Write-ahead logging, so that a kill at any point leaves the last commit. `synchronous` is FULL: a commit comes once a
round, so that its fsync costs nothing that counts, and with NORMAL a power cut would take the rounds since the last
checkpoint. Nothing is scanned at start: the counts stand in a table of their own.

A row's number is (start of the agent << 40 | seq), so its order is that of time, and its key needs no index.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

PAGE_BYTES: Final = 4096
SEQ_BITS: Final = 40
ROW_BYTES: Final = 24
"""What SQLite adds to a row: its number, its lengths, its place in the page."""
_UNSOUND: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_AT_ONCE: Final = 32
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS starts (start INTEGER PRIMARY KEY, agent TEXT NOT NULL, boot_id TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)
Value = TypeVar("Value")


class Row(NamedTuple):
    """One record as it lies in the file."""

    number: int
    body: bytes
    agent: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted over all starts. depth: rows that wait. dropped: the oldest, given up for the bound.

    lost: records that the disk never took, or that lay in an unsound database. moved_aside: unsound databases.
    """

    depth: int = 0
    dropped: int = 0
    lost: int = 0
    moved_aside: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class SpoolFile:
    """An open database; every method is one transaction. Raises sqlite3.Error and OSError; `totals` stay true."""

    def __init__(self, path: Path, max_bytes: int, agent: str, boot_id: str) -> None:
        self.path = path
        self.log_bytes = min(4 << 20, max_bytes // 4)
        self._max_pages = (max_bytes - self.log_bytes) // PAGE_BYTES
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # the log takes over its mode
        self._connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            self._start, self.totals = self._transaction(lambda: self._enrol(agent, boot_id))
            self._inode = path.stat().st_ino
        except BaseException:
            self._connection.close()
            raise

    def write(self, rows: Sequence[tuple[int, bytes]], counted: Totals) -> None:
        """Adds rows (seq, body) and what was counted since; drops the oldest where there is no room."""
        base = self._start << SEQ_BITS

        def work() -> Totals:
            dropped = self._drop_oldest(_most_pages(rows))
            added = self._changed(
                "INSERT OR IGNORE INTO records VALUES (?, ?)", [(base | seq, body) for seq, body in rows]
            )
            return self._counted(counted + Totals(depth=added - dropped, dropped=dropped))

        self.totals = self._transaction(work)

    def read(self, limit: int, after: int = -1) -> list[Row]:
        """The oldest rows whose number is above `after`, in order."""
        query = (
            "SELECT number, body, agent, boot_id FROM records JOIN starts ON start = number >> 40"
            " WHERE number > ? ORDER BY number LIMIT ?"
        )
        return [Row(*row) for row in self._connection.execute(query, (after, limit)).fetchall()]

    def numbers(self, keys: Iterable[tuple[str | None, int | None]]) -> list[int]:
        """The numbers of keys (boot_id, seq); keys of starts that it does not know are passed over."""
        starts = dict(self._connection.execute("SELECT boot_id, start FROM starts").fetchall())
        return [starts[boot] << SEQ_BITS | seq for boot, seq in keys if boot in starts and seq is not None]

    def forget(self, numbers: Iterable[int], counted: Totals) -> None:
        """Deletes rows; numbers that are gone already are passed over."""

        def work() -> Totals:
            gone = self._changed("DELETE FROM records WHERE number = ?", [(number,) for number in numbers])
            return self._counted(counted + Totals(depth=-gone))

        self.totals = self._transaction(work)

    def bytes(self) -> int:
        """Bytes of pages in use; free pages of the file are not counted, nor is the log."""
        return (self._pragma("page_count") - self._pragma("freelist_count")) * PAGE_BYTES

    def moved(self) -> bool:
        """Whether someone deleted or replaced the file under us."""
        try:
            return self.path.stat().st_ino != self._inode
        except OSError:
            return True

    def close(self) -> None:
        """Lets go of the file; SQLite empties its log into it, where it can."""
        self._connection.close()

    def _prepare(self) -> None:
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = OFF",  # some builds overwrite what is deleted, by way of the log
            "cache_size = -1024",
            f"wal_autocheckpoint = {self.log_bytes // PAGE_BYTES // 4}",
            f"max_page_count = {self._max_pages}",
        ):
            self._connection.execute(f"PRAGMA {pragma}")

    def _enrol(self, agent: str, boot_id: str) -> tuple[int, Totals]:
        """The number of this start, and the totals of those before; starts without records are forgotten."""
        for statement in _SCHEMA:
            self._connection.execute(statement)
        row = self._connection.execute("SELECT start FROM starts WHERE boot_id = ?", (boot_id,)).fetchone()
        if row is None:
            latest = self._connection.execute("SELECT max(start) FROM starts").fetchone()[0] or 0
            used = "EXISTS (SELECT 1 FROM records WHERE number >= start << 40 AND number < (start + 1) << 40)"
            self._connection.execute(f"DELETE FROM starts WHERE NOT {used}")
            row = (latest + 1,)
            self._connection.execute("INSERT INTO starts VALUES (?, ?, ?)", (row[0], agent, boot_id))
        known = dict(self._connection.execute("SELECT name, value FROM counts").fetchall())
        return row[0], Totals(**{field.name: known.get(field.name, 0) for field in fields(Totals)})

    def _drop_oldest(self, pages: int) -> int:
        """Deletes the oldest rows until so many pages are free; how many rows went."""
        dropped = 0
        while self._max_pages - self._pragma("page_count") + self._pragma("freelist_count") < pages:
            oldest = self._connection.execute(f"SELECT number FROM records ORDER BY number LIMIT {_AT_ONCE}").fetchall()
            if not oldest:
                break
            self._connection.execute("DELETE FROM records WHERE number <= ?", oldest[-1])
            dropped += len(oldest)
        return dropped

    def _counted(self, change: Totals) -> Totals:
        totals = self.totals + change
        rows = [(field.name, getattr(totals, field.name)) for field in fields(Totals)]
        self._connection.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", rows)
        return totals

    def _changed(self, statement: str, values: Sequence[tuple[Any, ...]]) -> int:
        before = self._connection.total_changes
        self._connection.executemany(statement, values)
        return self._connection.total_changes - before

    def _transaction(self, work: Callable[[], Value]) -> Value:
        with self._connection:  # commits, or rolls back
            self._connection.execute("BEGIN IMMEDIATE")
            return work()

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def unsound(error: Exception) -> bool:
    """Whether the file is no database, or a broken one; anything else may pass by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNSOUND


def no_room(error: Exception) -> bool:
    """Whether the disk did not take it: the connection is still good for reading."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM


def move_aside(path: Path) -> Path:
    """Renames an unsound database, the log first: a log beside another database would be taken for its own.

    The one before it is overwritten, so that broken disks do not fill up with them.
    """
    aside = path.with_name(path.name + ".unsound")
    for suffix in ("-wal", "-shm", ""):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(aside.with_name(aside.name + suffix))
        else:
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)
    return aside


def _most_pages(rows: Sequence[tuple[int, bytes]]) -> int:
    """Pages that rows can take at worst: two neighbouring pages hold more than one page of rows between them."""
    return 2 * sum(len(body) + ROW_BYTES for _, body in rows) // PAGE_BYTES + 8
