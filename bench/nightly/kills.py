"""Kills at random points of nights and of publishing, while readers poll.

    python -m bench.nightly.kills [KILLS [SECONDS]]

Each night is a child that knows every module already, so that it takes about a second. It is killed (SIGKILL) within a
stage that is drawn at random, at a moment that is drawn at random: half of them while it publishes. Every so often two
nights begin at once, and every so often one is left alone and must end well by itself, with what stands as its inputs
say. Readers poll all the time and hash every byte.
"""

import json
import logging
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from bench.nightly import kill_world
from bench.nightly.watching import look, watch

STAGES = ("published", "ingest", "inputs", "check", "topology", "data_gates", "plan", "audit", "diff", "gates", "feeds")
ALONE = 0.06
TWO = 0.05
READERS = 2
PATIENCE_S = 120.0
SEED = 7
LOCKED, FAILED = 6, 70
"""Exit codes of a child: another night was at work, and everything else that a night nobody killed may not do."""


class Night:
    """A night in a process of its own. It tells by a pipe which stage begins."""

    def __init__(self, folder: Path, number: int) -> None:
        self.began = time.monotonic()
        told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(told)
            os.setpgid(0, 0)
            _child(folder, number, tell)
        os.close(tell)
        os.set_blocking(told, False)
        self.told = told
        self.stage, self.since = "", time.monotonic()
        self.code: int | None = None

    def look(self) -> None:
        """What it has told since, and whether it has ended."""
        try:
            lines = os.read(self.told, 1 << 16).decode().splitlines()
        except BlockingIOError:
            lines = []
        if lines:
            self.stage, self.since = lines[-1], time.monotonic()
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)

    def kill(self) -> bool:
        """SIGKILL; whether that is what it died of."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code == -signal.SIGKILL

    def end(self) -> int:
        """Its exit code, once it has ended by itself."""
        while self.code is None:
            if time.monotonic() - self.began > PATIENCE_S:
                self.kill()
                raise TimeoutError(f"a night hangs at {self.stage}")
            self.look()
            time.sleep(0.005)
        return self.code

    def close(self) -> None:
        os.close(self.told)


def _child(folder: Path, number: int, tell: int) -> None:
    """A night, `number` of the bench; ends the process."""
    from placement.nightly.config import load  # noqa: PLC0415
    from placement.nightly.nightly import run_night  # noqa: PLC0415

    code = FAILED
    try:
        now = kill_world.MEASURED + timedelta(hours=1, minutes=number)

        def begins(stage: str) -> None:
            os.write(tell, f"{stage}\n".encode())

        report = run_night(load(folder / "nightly.toml"), now, tell=begins)
        code = LOCKED if report["reason"] == "locked" else FAILED if report["exit_code"] else 0
        if code == FAILED:
            os.write(2, f"{report['stage']}: {report['reason']}: {report['message']}\n".encode())
    finally:
        os._exit(code)


def main(kills: int, most_s: float) -> int:
    """As many kills as asked for, or as fit into so many seconds; 0 where nothing was ever wrong."""
    folder = Path(mkdtemp(prefix="kills-"))
    readers: list[int] = []
    try:
        kill_world.make(folder)
        _warm(folder)
        root = folder / "published"
        readers = [_reader(root, folder / f"reader-{number}.json") for number in range(READERS)]
        found = _killing(folder, kills, most_s, random.Random(SEED))
        for pid in readers:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        readers = []
        said = [json.loads((folder / f"reader-{number}.json").read_text()) for number in range(READERS)]
        found |= {"readers": said, "store": _at_rest(root)}
        print(json.dumps(found, indent=2))
        bad = found["failed"] or found["store"]["wrong"] or any(one["wrongs"] or one["makers"] > 1 for one in said)
        return int(bool(bad))
    finally:
        for pid in readers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o755)
        shutil.rmtree(folder)


def _warm(folder: Path) -> None:
    """One night in this process, so that its children have all modules and all machine code."""
    import structlog  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    from placement.nightly.config import load  # noqa: PLC0415
    from placement.nightly.nightly import run_night  # noqa: PLC0415

    report = run_night(load(folder / "nightly.toml"), kill_world.MEASURED + timedelta(hours=1))
    assert report["exit_code"] == 0, report["message"]


def _reader(root: Path, told: Path) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            watch(root, told)
        finally:
            os._exit(0)
    return pid


def _killing(folder: Path, kills: int, most_s: float, lot: random.Random) -> dict[str, Any]:
    """Nights until so many were killed."""
    by_stage: Counter[str] = Counter()
    failed: list[str] = []
    usual = dict.fromkeys((*STAGES, "publish"), 0.1)
    number, alone, locked, asked, in_time = 0, 0, 0, 0, 0
    began = time.monotonic()
    while sum(by_stage.values()) < kills and time.monotonic() - began < most_s:
        number += 1
        if lot.random() < 0.7:  # the others go on where the one before was killed
            asked = kill_world.demand(folder, number)
        night = Night(folder, number)
        other = Night(folder, number) if lot.random() < TWO else None
        if lot.random() < ALONE:
            alone += 1
            failed += _ends_well(folder, night, other, asked)
        else:
            stage = "publish" if lot.random() < 0.5 else lot.choice(STAGES)
            if _killed_at(night, stage, lot, usual):
                by_stage[night.stage or "start"] += 1
            else:
                in_time += 1
                failed += (
                    [] if night.code in (0, LOCKED if other else 0) else [f"night {number} ended with {night.code}"]
                )
        if other is not None:
            locked += other.end() == LOCKED
            failed += [] if other.code in (0, LOCKED) else [f"the second night {number} ended with {other.code}"]
            other.close()
        night.close()
        if number % 50 == 0:
            seconds = time.monotonic() - began
            print(f"{sum(by_stage.values())} kills, {number} nights, {seconds:.0f} s", file=sys.stderr, flush=True)
    last = Night(folder, number + 1)
    failed += _ends_well(folder, last, None, asked)
    last.close()
    return {
        "kills": sum(by_stage.values()),
        "by_stage": dict(sorted(by_stage.items())),
        "nights": number + 2,
        "left_alone": alone + 1,
        "ended_before_the_kill": in_time,
        "locked_out": locked,
        "failed": failed,
        "seconds": round(time.monotonic() - began),
    }


def _killed_at(night: Night, stage: str, lot: random.Random, usual: dict[str, float]) -> bool:
    """Kill it within a stage, at a moment of the time that the stage took when it was last seen to end."""
    wait_s = lot.random() * usual[stage] * 1.1
    before, since = "", night.began
    while night.code is None:
        night.look()
        if night.stage != before:
            if before in usual and before != stage:
                usual[before] = night.since - since
            before, since = night.stage, night.since
        if night.stage == stage and time.monotonic() - night.since >= wait_s:
            return night.kill()
        if time.monotonic() - night.began > PATIENCE_S:
            night.kill()
            raise TimeoutError(f"a night hangs at {night.stage}")
        time.sleep(0.0005)
    if night.stage == "publish" == stage:
        usual["publish"] = min(usual["publish"], time.monotonic() - night.since)
    return False


def _ends_well(folder: Path, night: Night, other: Night | None, asked: int) -> list[str]:
    """What is wrong after a night that nobody kills: it, or the other at once, has published what is asked for."""
    codes = [night.end()] + ([other.end()] if other is not None else [])
    if 0 not in codes or any(code not in (0, LOCKED) for code in codes):
        return [f"a night that nobody killed ended with {codes}"]
    seen = look(folder / "published")
    if seen is None:
        return ["nothing is published"]
    plan = json.loads((folder / "published" / "current" / "plan" / "plan.json").read_bytes())
    replicas = sum(row["count"] for row in plan["replicas"])
    least = -(-(asked + 6) // 10)
    return [] if replicas >= least else [f"{replicas} replicas for {asked} + 6 requests/s, which take {least}"]


def _at_rest(root: Path) -> dict[str, Any]:
    """The store once all is quiet: its own verdict on every generation and on the chain of its ledger."""
    from placement.publish.store import Store  # noqa: PLC0415

    store = Store(root)
    current = store.current()
    left = [path.name for path in (root / "generations").iterdir() if path.name.startswith(".")]
    return {"wrong": [*store.verify(), *left], "generation": None if current is None else current.number}


if __name__ == "__main__":
    given = [*sys.argv[1:], "1000", "7200"][:2] if len(sys.argv) != 2 else [sys.argv[1], "7200"]
    sys.exit(main(int(given[0]), float(given[1])))
