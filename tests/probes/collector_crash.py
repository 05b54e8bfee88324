"""Run as a script, `collector_crash.py FOLDER STRIDE`: takes, writes and compacts records, and is killed at a step.

Every fsync, rename, unlink and commit is a step; before the k-th of them the process kills itself with SIGKILL. A
second process then mends what it finds. For each STRIDE-th k one JSON line: what was acknowledged, what was there
after mending, and what was there after everything had been sent again.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.probing.collector_process import records_of
from probes.collector.compaction import Compactor
from probes.collector.ledger import Arrival, Ledger
from probes.collector.writer import finish
from probes.store import read_folder
from probes.table import unchecked_table
from probes.transport import Batch

DAY_NS = 86_400 * 10**9
AT_NS = 1_790_000_000 * 10**9


def batches() -> list[Arrival]:
    found = []
    for number in range(4):
        records = records_of("fra1", number * 10, 12, at_ns=AT_NS - number % 2 * DAY_NS)  # two of each were sent before
        found.append(Arrival(Batch("fra1", tuple(range(12)), tuple(records), ()), unchecked_table(records)))
    return found


def live(folder: Path, acknowledged: Callable[[str], None]) -> None:
    """All that a collector does with the disk, several times over."""
    ledger = Ledger(folder / "_collector" / "ledger.sqlite")
    compactor = Compactor(folder, 1000)
    finish(ledger, folder)
    for number, arrival in enumerate(batches()):
        ledger.accept([arrival], AT_NS)
        acknowledged(f"{number}\n")
        if number % 2:
            ledger.mark(1000)
            finish(ledger, folder)
            compactor.compact(2)
    ledger.close()


def mended(folder: Path) -> list[Any]:
    """The keys that stand in the folder after a restart has done what was left undone."""
    ledger = Ledger(folder / "_collector" / "ledger.sqlite")
    while ledger.mark(1000) is not None:
        pass
    finish(ledger, folder)
    ledger.close()
    return sorted(read_folder(folder)["seq"].to_pylist())


class Steps:
    """Kills this process before step number `last`."""

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0
        for name in ("fsync", "replace", "unlink"):
            setattr(os, name, self.counted(getattr(os, name)))
        steps = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    steps.step()
                done = super().execute(sql, *rest)
                if sql == "COMMIT":
                    steps.step()
                return done

        connect = sqlite3.connect
        sqlite3.connect = lambda path, **options: connect(path, factory=Connection, **options)

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            self.step()
            return call(*arguments, **options)

        return counting

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def trial(folder: Path, last: int) -> dict[str, Any]:
    said = folder.with_name(folder.name + ".said")

    def say(text: str) -> None:
        with said.open("a") as file:
            file.write(text)

    def crash() -> None:
        Steps(last)
        live(folder, say)

    def mend() -> None:
        first = mended(folder)
        live(folder, lambda _: None)
        found = {"first": first, "again": mended(folder)}
        said.with_suffix(".json").write_text(json.dumps(found))

    said.write_text("")
    code = forked(crash)
    acknowledged = [int(line) for line in said.read_text().split()]
    mend_code = forked(mend)
    found = json.loads(said.with_suffix(".json").read_text())
    return {"step": last, "code": code, "mend_code": mend_code, "acknowledged": acknowledged, **found}


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for k in range(1, 10_000, int(sys.argv[2])):
        result = trial(root / str(k), k)
        print(json.dumps(result), flush=True)
        if result["code"] == 0:
            break
