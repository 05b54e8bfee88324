"""From a request's body to an answer: unpacked, checked, and on the disk before it is acknowledged.

One thread takes what waits, up to some rows, and commits it in one transaction: the more agents send at once, the fewer
times the disk is waited for.
"""

import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from probes.collector.config import Limits
from probes.collector.counters import Counters
from probes.collector.ledger import Arrival, Ledger, Outcome
from probes.reading import shortened
from probes.table import faults, unchecked_table
from probes.transport import Batch, BatchError, Refusal, decode, without
from probes.transport import Limits as BatchLimits

_TOGETHER_ROWS: Final = 20_000
_TOGETHER_BYTES: Final = 8 << 20  # unpacked; as Python's numbers they take many times that
_TOGETHER_BATCHES: Final = 64
_FREE_CHECK_S: Final = 1.0
_STATUS: Final = {"batch": 400, "version": 400, "too_large": 413}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told: HTTP status, a JSON object, and after how many seconds to come again."""

    status: int
    body: dict[str, Any]
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    body: bytes
    names: frozenset[str]
    answer: "Future[Answer]"


def refusal(status: int, code: str, message: str, retry_after_s: int | None = None) -> Answer:
    """An answer that takes nothing; `code` is for the agent, `message` for people."""
    return Answer(status, {"error": code, "message": message}, retry_after_s)


def checked(batches: Sequence[Batch], now_ns: int, limits: Limits) -> list[Arrival]:
    """The batches without the rows that break the rules of the native record or that lie too far from now."""
    records = [record for batch in batches for record in batch.records]
    table = unchecked_table(records)
    wrong: dict[int, tuple[str, str, str]] = {}
    for fault in faults(table):
        wrong.setdefault(fault.row, (fault.field, shortened(fault.value), fault.mend))
    first, last = now_ns - limits.behind_days * 86_400 * 10**9, now_ns + int(limits.ahead_s * 10**9)
    for place, record in enumerate(records):
        # None is a fault of the rules above
        if place not in wrong and not first <= (record.observed_at or first) <= last:
            mend = "lies too far from the collector's clock: set the agent's clock"
            wrong[place] = ("observed_at", str(record.observed_at), mend)
    arrivals = []
    begin = 0
    for batch in batches:
        rows = table.slice(begin, len(batch.records))
        refused = {place: wrong[begin + place] for place in range(len(batch.records)) if begin + place in wrong}
        begin += len(batch.records)
        if refused:
            kept = [place for place in range(len(batch.records)) if place not in refused]
            rows = rows.take(pa.array(kept, pa.int64()))  # with its type: an empty list has none of its own
            refusals = [Refusal(batch.rows[place], *what) for place, what in refused.items()]
            arrivals.append(Arrival(without(batch, refusals), rows))
        else:
            arrivals.append(Arrival(batch, rows))
    return arrivals


class Ingest:
    """The way in. `submit` may be called by any thread; `close` answers what waits and ends the thread."""

    def __init__(
        self, ledger: Ledger, limits: Limits, counters: Counters, folder: Path, pressed: Callable[[], None]
    ) -> None:
        self._ledger, self._limits, self._counters = ledger, limits, counters
        self._folder, self._pressed = folder, pressed
        self._batch_limits = BatchLimits(unpacked_bytes=limits.unpacked_bytes, rows=limits.batch_rows)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._free_checked = 0.0
        self._disk_full = False
        self._thread = threading.Thread(target=self._work, name="ingest", daemon=True)
        self._thread.start()

    def submit(self, body: bytes, names: frozenset[str]) -> "Future[Answer]":
        """The answer to a body from a sender who may use these names; at once where too much waits already."""
        answer: Future[Answer] = Future()
        answer.set_running_or_notify_cancel()  # a sender that goes away cannot cancel what is under way
        with self._lock:
            busy = self._queued_bytes + len(body) > self._limits.queued_bytes and self._queued_bytes > 0
            if not busy:
                self._queued_bytes += len(body)
        if busy:
            self._counters.refuse("busy")
            answer.set_result(refusal(429, "busy", "too much is waiting", self._limits.retry_after_s))
        else:
            self._jobs.put(_Job(body, names, answer))
        return answer

    def full(self) -> Answer | None:
        """The answer to everybody while the inbox or the disk is full; None when there is room."""
        rows, size = self._ledger.waiting()
        after = self._limits.retry_after_s
        if rows >= self._limits.inbox_rows or size >= self._limits.inbox_bytes:
            self._pressed()
            return refusal(503, "full", "the inbox is full; what is in it is being written", after)
        if self._out_of_disk():
            return refusal(503, "full", "the collector's disk is full", after)
        return None

    def close(self) -> None:
        """Answers what was submitted, then ends."""
        self._jobs.put(None)
        self._thread.join()

    def _out_of_disk(self) -> bool:
        if time.monotonic() - self._free_checked > _FREE_CHECK_S:
            self._free_checked = time.monotonic()
            self._disk_full = shutil.disk_usage(self._folder).free < self._limits.free_bytes
        return self._disk_full

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            jobs, batches, last = self._gather(job)
            if jobs:
                self._settle(jobs, batches)
            if last:
                return

    def _gather(self, job: _Job | None) -> tuple[list[_Job], list[Batch], bool]:
        """Jobs that wait, with what they brought; those that bring nothing are answered here."""
        jobs: list[_Job] = []
        batches: list[Batch] = []
        rows = size = 0
        while job is not None:
            with self._lock:
                self._queued_bytes -= len(job.body)
            batch = self._decoded(job)
            if batch is not None:
                jobs.append(job)
                batches.append(batch)
                rows, size = rows + len(batch.records), size + batch.size
            if rows >= _TOGETHER_ROWS or size >= _TOGETHER_BYTES or len(jobs) >= _TOGETHER_BATCHES:
                return jobs, batches, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, batches, False
        return jobs, batches, True

    def _decoded(self, job: _Job) -> Batch | None:
        try:
            batch = decode(job.body, self._batch_limits)
            if batch.agent in job.names:
                return batch
            self._counters.refuse("foreign_batch", agent=batch.agent, sender=sorted(job.names)[:3])
            answer = refusal(403, "foreign_batch", "this batch names another agent than its sender")
        except BatchError as error:
            self._counters.refuse(f"batch_{error.code}", sender=sorted(job.names)[:3], why=str(error))
            answer = refusal(_STATUS[error.code], error.code, str(error))
        except Exception as error:  # whatever a body does to us, the next one is served
            self._counters.failed("decode", error, sender=sorted(job.names)[:3])
            answer = refusal(500, "crash", "this batch could not be read; the collector's log says why")
        job.answer.set_result(answer)
        return None

    def _settle(self, jobs: Sequence[_Job], batches: Sequence[Batch]) -> None:
        """Answers jobs with what became of their batches, all of them committed together."""
        full = None
        try:
            full = self.full()
            now_ns = time.time_ns()
            outcomes = [] if full else self._ledger.accept(checked(batches, now_ns, self._limits), now_ns)
        except (sqlite3.Error, OSError) as error:
            self._counters.failed("ledger", error)
            full = refusal(503, "disk", "the collector's disk takes nothing now", self._limits.retry_after_s)
        except Exception as error:
            if len(jobs) > 1:  # one of them is at fault: each for itself
                for job, batch in zip(jobs, batches, strict=True):
                    self._settle([job], [batch])
                return
            self._counters.failed("accept", error)
            full = refusal(500, "crash", "this batch could not be taken; the collector's log says why")
        if full:
            for job in jobs:
                self._counters.refuse(str(full.body["error"]))
                job.answer.set_result(full)
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._count(job, outcome)
            job.answer.set_result(_taken(outcome))

    def _count(self, job: _Job, outcome: Outcome) -> None:
        self._counters.bytes.inc(len(job.body))
        self._counters.rows.labels("accepted").inc(outcome.accepted)
        self._counters.rows.labels("replayed").inc(outcome.replayed)
        self._counters.rows.labels("conflicting").inc(outcome.conflicting)
        self._counters.rows.labels("refused").inc(len(outcome.refused) - outcome.conflicting)
        if outcome.replayed:
            self._counters.replayed(sender=sorted(job.names)[:3], count=outcome.replayed)
        if outcome.refused:
            one = outcome.refused[0]
            self._counters.refuse("rows", sender=sorted(job.names)[:3], count=len(outcome.refused), field=one.field,
                                  value=one.value, mend=one.mend)  # fmt: skip


def _taken(outcome: Outcome) -> Answer:
    rows = [{"row": one.row, "field": one.field, "value": one.value, "mend": one.mend} for one in outcome.refused]
    return Answer(200, {"accepted": outcome.accepted, "replayed": outcome.replayed, "refused": rows})
