"""What was measured and is not yet at the collector: bounded, the oldest dropped first, every loss counted.

Records go to the database (`spool_file`). What the disk does not take (full, input/output error) waits in memory, is
tried again with every round, and is delivered from there too; beyond `HELD_BYTES` its oldest go and are counted. A
database that is none, or a broken one, is moved aside, and a new one begun.
"""

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from probes.agent.spool_file import ROW_BYTES, SEQ_BITS, Row, SpoolFile, Totals, move_aside, no_room, unsound
from probes.record import Record

LEAST_BYTES: Final = 1 << 20
HELD_BYTES: Final = 4 << 20
LARGEST_BODY: Final = 1 << 15
UNFORGOTTEN: Final = 50_000
"""Acknowledged rows that a full disk may keep; with more, `pending` waits for the disk."""
_KEY: Final = ("agent", "boot_id", "seq")
_BODY: Final = tuple(field.name for field in fields(Record) if field.name not in _KEY)
Value = TypeVar("Value")
Tell = Callable[..., None]


class SpoolLockedError(RuntimeError):
    """Another process has this spool."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the spool holds now, and what it gave up over all starts of the agent.

    depth: records that wait, `held` of them in memory for want of disk. bytes: what they take. dropped: the oldest,
    given up for the bound. lost: not taken by the disk and not kept in memory, or in an unsound database, or too
    large. moved_aside: unsound databases. writing: whether the last transaction went through.
    """

    depth: int
    bytes: int
    held: int
    dropped: int
    lost: int
    moved_aside: int
    writing: bool


class Spool:
    """The spool of one running agent; used from any thread. `tell(event, **facts)` hears of trouble.

    Raises SpoolLockedError where another process has it, OSError where its folder takes no file. A full disk is no
    error, not even at start.
    """

    def __init__(
        self, path: Path, max_bytes: int, agent: str, boot_id: str, tell: Tell = lambda *_, **__: None
    ) -> None:
        if max_bytes < LEAST_BYTES:
            raise ValueError(f"a spool of {max_bytes} bytes is too small; give it at least {LEAST_BYTES}")
        self.path, self.max_bytes, self.agent, self.boot_id, self._tell = path, max_bytes, agent, boot_id, tell
        self._lock = threading.RLock()
        self._file: SpoolFile | None = None
        self._seq = 0
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0
        self._unsaved = Totals()  # counted, and not in the file yet
        self._known = Totals()  # what the file said last
        self._unforgotten: set[int] = set()
        self._failing = self._closed = False
        self._guard = _exclusive(path.with_name(path.name + ".lock"))
        self._attempt(lambda _: None)

    def append(self, records: Iterable[Record]) -> None:
        """Keeps records under this start's next numbers; never raises for a disk that is full."""
        with self._lock:
            for record in records:
                body = _encoded(record)
                if len(body) > LARGEST_BODY:
                    self._lose(1, "record_too_large", bytes=len(body), target=record.target)
                else:
                    self._held[self._seq] = body
                    self._held_bytes += len(body)
                self._seq += 1
            self.flush()

    def flush(self) -> bool:
        """Tries to write what is held in memory; True when all of it is on disk."""
        with self._lock:
            while self._held or self._unsaved != Totals():
                if not self._attempt(self._write_some, writes=True):
                    self._shed()
                    return False
            if self._unforgotten:
                self._attempt(self._forget, writes=True)
            return True

    def pending(self, limit: int = 1000) -> list[Record]:
        """The oldest records that are not acknowledged, at most `limit`, in order of (start, seq)."""
        with self._lock:
            if len(self._unforgotten) > UNFORGOTTEN:
                self._attempt(self._forget, writes=True)
                return []
            rows = self._attempt(lambda file: self._read(file, limit)) or []
            held = islice(self._held.items(), limit - len(rows))
            mine = [Row(seq, body, self.agent, self.boot_id) for seq, body in held]
            records = [_decoded(row) for row in [*rows, *mine]]
            unreadable = [row.number for row, record in zip(rows, records, strict=False) if record is None]
            if unreadable:
                self._unforgotten.update(unreadable)
                self._lose(len(unreadable), "records_unreadable")
                self._attempt(self._forget, writes=True)
            return [record for record in records if record is not None]

    def acknowledge(self, records: Iterable[Record]) -> None:
        """Forgets records that `pending` gave and the collector keeps; other keys are passed over."""
        with self._lock:
            keys = [(record.boot_id, record.seq) for record in records]
            for boot_id, seq in keys:
                if boot_id == self.boot_id and seq in self._held:
                    self._held_bytes -= len(self._held.pop(seq))
            self._unforgotten.update(self._attempt(lambda file: file.numbers(keys)) or ())
            if self._unforgotten:
                self._attempt(self._forget, writes=True)

    def counts(self) -> Counts:
        """What it holds and gave up, this instant."""
        with self._lock:
            totals = self._known + self._unsaved
            used = self._attempt(lambda file: file.bytes()) or 0
            held = len(self._held)
            return Counts(
                depth=totals.depth - len(self._unforgotten) + held,
                bytes=used + self._held_bytes,
                held=held,
                dropped=totals.dropped,
                lost=totals.lost,
                moved_aside=totals.moved_aside,
                writing=not self._failing,
            )

    def close(self) -> None:
        """Writes what is held, if the disk takes it, and lets go of the file. What it does not take is told."""
        with self._lock:
            if not self.flush():
                self._tell("spool_not_flushed", records=len(self._held))
            self._disconnect()
            self._closed = True  # an uplink that was left behind does not open it again, as another agent may have it
            os.close(self._guard)

    def _write_some(self, file: SpoolFile) -> bool:
        """One transaction: as much of what is held as the log takes."""
        rows: list[tuple[int, bytes]] = []
        room = file.log_bytes // 4
        for seq, body in self._held.items():
            room -= len(body) + ROW_BYTES
            if rows and room < 0:
                break
            rows.append((seq, body))
        file.write(rows, self._unsaved)
        self._unsaved = Totals()
        for seq, body in rows:
            del self._held[seq]
            self._held_bytes -= len(body)
        return True

    def _read(self, file: SpoolFile, limit: int) -> list[Row]:
        found: list[Row] = []
        after = -1
        while len(found) < limit:
            rows = file.read(limit, after)
            found += [row for row in rows if row.number not in self._unforgotten]
            if len(rows) < limit:
                break
            after = rows[-1].number
        return found[:limit]

    def _forget(self, file: SpoolFile) -> None:
        file.forget(self._unforgotten, self._unsaved)
        self._unsaved = Totals()
        self._unforgotten.clear()

    def _shed(self) -> None:
        """Gives up the oldest of what is held in memory, beyond `HELD_BYTES`."""
        shed = 0
        while self._held_bytes > HELD_BYTES:
            self._held_bytes -= len(self._held.pop(next(iter(self._held))))
            shed += 1
        if shed:
            self._lose(shed, "records_lost", why="the disk does not take them and memory is full")

    def _lose(self, records: int, event: str, **facts: Any) -> None:
        self._unsaved += Totals(lost=records)
        self._tell(event, records=records, **facts)

    def _attempt(self, work: Callable[[SpoolFile], Value], writes: bool = False) -> Value | None:
        """The work's result; None where the disk would not have it, or after `close`.

        An unsound file gets one successor at once.
        """
        if self._closed:
            return None
        for again in (True, False):
            try:
                value = work(self._opened())
            except (sqlite3.Error, OSError) as error:
                if unsound(error) and again and self._move_aside(error):
                    continue
                self._fail(error)
                return None
            self._known = self._opened().totals
            if self._failing and writes:
                self._failing = False
                self._tell("spool_writes_again", held=len(self._held))
            return value
        return None

    def _opened(self) -> SpoolFile:
        if self._file is not None and self._file.moved():
            self._tell("spool_deleted", path=str(self.path), records=self._known.depth)
            self._give_up_file()
        if self._file is None:
            self._file = SpoolFile(self.path, self.max_bytes, self.agent, self.boot_id)
            self._known = self._file.totals
        return self._file

    def _move_aside(self, error: Exception) -> bool:
        self._give_up_file()
        try:
            aside = move_aside(self.path)
        except OSError as refused:
            self._tell("spool_unsound", error=str(error), move=str(refused), path=str(self.path))
            return False
        self._unsaved += Totals(moved_aside=1)
        self._tell("spool_moved_aside", error=str(error), to=str(aside))
        return True

    def _give_up_file(self) -> None:
        """Its records are lost to us, its counts go on in the next file."""
        self._disconnect()
        self._unsaved += replace(self._known, depth=0, lost=self._known.lost + self._known.depth)
        self._known = Totals()
        self._unforgotten.clear()

    def _fail(self, error: Exception) -> None:
        if not no_room(error):
            self._disconnect()
        if not self._failing:
            self._failing = True
            self._tell("spool_cannot_write", error=str(error), path=str(self.path), held=len(self._held))

    def _disconnect(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except sqlite3.Error as error:
                self._tell("spool_cannot_close", error=str(error))
            self._file = None


def _encoded(record: Record) -> bytes:
    values = {name: value for name in _BODY if (value := getattr(record, name)) is not None}
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _decoded(row: Row) -> Record | None:
    """The record of a row; None where its body is not what was written."""
    try:
        values = json.loads(row.body)
        if values.get("rtt_ms") is not None:
            values["rtt_ms"] = tuple(values["rtt_ms"])
        return Record(**values, agent=row.agent, boot_id=row.boot_id, seq=row.number & ((1 << SEQ_BITS) - 1))
    except (ValueError, TypeError, AttributeError):
        return None


def _exclusive(path: Path) -> int:
    """A file that one process holds; SpoolLockedError where another does."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise SpoolLockedError(f"{path}: another agent holds this spool; stop it, or give each its own") from error
    return handle
