"""From the inbox into Parquet: a thread that moves accepted rows into files by day, and makes few files of many."""

import threading
import time
from pathlib import Path
from typing import Final

from probes.collector.compaction import Compactor
from probes.collector.config import Store
from probes.collector.counters import Counters
from probes.collector.ledger import Ledger
from probes.store import write_records

_LOOK_S: Final = 1.0
_PAUSE_S: Final = 10.0
"""After a failure; the disk may have room again."""


def finish(ledger: Ledger, folder: Path) -> tuple[int, int]:
    """Writes and settles everything that is marked; gives (rows, files). Done twice, it makes the same files."""
    rows = files = 0
    for file in ledger.marked():
        table = ledger.rows_of(file)
        files += len(write_records(folder, table))
        ledger.settle(file)
        rows += table.num_rows
    return rows, files


class Writer:
    """The way from the ledger to the folder. `close` writes what waits, and ends the thread."""

    def __init__(self, ledger: Ledger, store: Store, counters: Counters) -> None:
        self._ledger, self._store, self._counters = ledger, store, counters
        self._folder = Path(store.folder)
        self._compactor = Compactor(self._folder, store.compact_rows)
        self._wake = threading.Event()
        self._ending = False
        self._compact_at = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def press(self) -> None:
        """The inbox is full: write now."""
        self._wake.set()

    def close(self) -> None:
        """Writes all that waits, unless the disk forbids it, and ends."""
        self._ending = True
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            pressed = self._wake.is_set()
            self._wake.clear()
            ending = self._ending
            sound = self._pass(everything=pressed or ending)
            if ending:
                return
            self._wake.wait(_LOOK_S if sound else _PAUSE_S)

    def _pass(self, *, everything: bool) -> bool:
        """One look at what is due; False where it failed."""
        try:
            self._move(everything=everything)
            if time.monotonic() >= self._compact_at and not self._ending and not self._ledger.marked():
                self._compact()
        except Exception as error:  # the rows are safe in the ledger; the next pass tries again
            self._counters.failed("write", error)
            return False
        return True

    def _move(self, *, everything: bool) -> None:
        self._written(*finish(self._ledger, self._folder))  # what an earlier pass, or life, left unfinished
        while self._due(everything=everything) and self._ledger.mark(self._store.write_rows) is not None:
            self._written(*finish(self._ledger, self._folder))

    def _due(self, *, everything: bool) -> bool:
        oldest_ns = self._ledger.oldest_ns()
        if oldest_ns is None:
            return False
        old = time.time_ns() - oldest_ns >= self._store.write_every_s * 1e9
        return everything or old or self._ledger.waiting()[0] >= self._store.write_rows

    def _compact(self) -> None:
        done = self._compactor.compact(self._store.compact_files)
        for action in ("merged", "removed"):
            self._counters.files.labels(action).inc(getattr(done, action))
        self._counters.files.labels("written").inc(done.written)
        self._compact_at = time.monotonic() + self._store.compact_every_s

    def _written(self, rows: int, files: int) -> None:
        self._counters.written.inc(rows)
        self._counters.files.labels("written").inc(files)
