"""Ends a process by SIGKILL before the k-th change that it makes to the disk, for every k there is.

As a script, `store_crash.py FOLDER`: a store's life, once whole, and then once for every k, with one JSON line each:
what had been acknowledged when it ended, what readers found, and what they found after the next writer came. Changes
are counted below the publisher: by the interpreter's own audit events, and by the calls that have none.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from placement.publish import durable
from placement.publish.retention import Retention
from placement.publish.store import Store
from tests.publish.store_world import NIGHT, Clock, at_rest, current_label, filling

CHANGES = {"os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.symlink", "os.chmod", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Steps:
    """Counts the changes of this process from now on, and ends it before number `last`; 0: never.

    `trace` holds what was done. A line of the ledger may also end half-way: that is a step of its own.
    """

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0
        self.trace: list[tuple[str, str]] = []
        self.write = os.write
        os.write = self._write
        os.fsync = self._fsync
        durable._syncfs = lambda: self._syncfs
        sys.addaudithook(self._heard)

    def step(self, what: str, path: str) -> None:
        self.count += 1
        self.trace.append((what, path))
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES:
            self.step(event, str(arguments[1] if event in ("os.rename", "os.symlink") else arguments[0]))
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            self.step("open", str(arguments[0]))

    def _write(self, handle: int, data: bytes) -> int:
        path = _path(handle)
        self.step("write", path)
        self.write(handle, data[: len(data) // 2])
        self.step("write", path)
        return self.write(handle, data[len(data) // 2 :]) + len(data) // 2

    def _fsync(self, handle: int) -> None:
        self.step("fsync", _path(handle))

    def _syncfs(self, handle: int) -> int:
        self.step("syncfs", _path(handle))
        return 0


def _path(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115


def forked(work: Callable[[], None]) -> int:
    """Does it in a process of its own; its exit code, or the signal that ended it with a minus."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def live(root: Path, said: Callable[[str | None], None]) -> None:
    """All that a writer does: publishes, the same again, goes back, publishes that again, takes old ones away."""
    clock = Clock()
    store = Store(root)
    with store.writing(clock) as writer:
        for label in ("a", "b"):
            writer.publish(filling(label), {"label": label}, label)
            said(label)
        writer.publish(filling("b"), {}, "b")
    with store.writing(clock) as writer:
        writer.publish(filling("c"), {"label": "c"}, "c")
        said("c")
        writer.rollback(reason="try")
        said("b")
    with store.writing(clock) as writer:
        writer.publish(filling("c"), {"label": "c"}, "c", again=True)
        said("c")
        writer.prune(Retention(1, 0, timedelta(0)))


def trial(root: Path, last: int) -> dict[str, Any]:
    told = root.with_name(f"{root.name}.said")
    told.write_text("")

    def crash() -> None:
        with told.open("a", buffering=1) as file:
            said = file.fileno()
            steps = Steps(last)
            live(root, lambda label: steps.write(said, f"{label}\n".encode()))

    code = forked(crash)
    labels = told.read_text().split()
    found = current_label(root)
    mended: list[str] = []
    later = Clock(NIGHT + timedelta(days=100))
    with Store(root).writing(later) as writer:
        mended += writer.mended
    after = at_rest(root)
    with Store(root).writing(later) as writer:
        again = writer.mended
        writer.publish(filling("next"), {}, "next")
    return {
        "step": last,
        "code": code,
        "acknowledged": labels,
        "found": found,
        "mended": mended,
        "after": after,
        "again": again,
        "next": at_rest(root),
    }


if __name__ == "__main__":
    base = Path(sys.argv[1])
    # Nothing waits for the disk, as what SIGKILL leaves does not depend on it.
    os.fsync = lambda _: None
    durable._syncfs = lambda: lambda _: 0
    for k in range(1, 10_000):
        result = trial(base / str(k), k)
        print(json.dumps(result), flush=True)
        if result["code"] == 0:
            break
