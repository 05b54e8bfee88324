"""A real agent in a process of its own, for the tests: its files, its log, its spool read from outside."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

COMMAND = [sys.executable, "-c", "from placement.cli import main; main()", "probe", "agent"]

CONFIG = """
agent = "fra1-a"
source = "fra1"
user = "nobody"
[spool]
path = "state/spool.sqlite"
max_bytes = {max_bytes}
[allow]
networks = ["127.0.0.0/8"]
ports = [9]
[targets]
file = "targets.jsonl"
[rates]
packets_per_s = 20000
target_packets_per_s = 1000
target_burst = 1000
[methods.tcp]
interval_s = {interval_s}
timeout_s = 0.3
probes = 2
{more}
"""


def write_config(folder: Path, interval_s: float = 0.2, max_bytes: int = 1 << 24, more: str = "") -> Path:
    path = folder / "agent.toml"
    path.write_text(CONFIG.format(interval_s=interval_s, max_bytes=max_bytes, more=more))
    return path


def write_targets(folder: Path, count: int, **changes: Any) -> None:
    """Targets on loopback whose port nobody listens on: the reset is the answer."""
    lines = [
        json.dumps({"name": f"t{n}", "host": f"127.0.{n // 250}.{n % 250 + 1}", "methods": ["tcp:9"]} | changes)
        for n in range(count)
    ]
    temporary = folder / "targets.new"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(folder / "targets.jsonl")


def wait_for_port(port: int, seconds: float = 20.0) -> None:
    """Until something listens there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


class AgentProcess:
    """`nearserve probe agent` on a configuration; its log goes to a file beside it."""

    started: ClassVar[list["AgentProcess"]] = []

    def __init__(
        self,
        config: Path,
        *arguments: str,
        within: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stdout: int = subprocess.DEVNULL,
    ) -> None:
        self.folder = config.parent
        self.log_path = self.folder / f"log-{time.monotonic_ns()}"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*within, *COMMAND, str(config), *arguments],
                stdout=stdout,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        self.started.append(self)

    @classmethod
    def end_all(cls) -> None:
        """Kills those that a failed test left running."""
        for agent in cls.started:
            if agent.process.poll() is None:
                agent.process.kill()
            agent.process.wait(10)
        cls.started.clear()

    def events(self) -> list[dict[str, Any]]:
        """What it told so far; the last line may be half written."""
        lines = self.log_path.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def told(self, event: str) -> bool:
        return any(found["event"] == event for found in self.events())

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {what}: {self.log_path.read_text()}")
            if time.monotonic() > until:
                raise AssertionError(f"no {what} within {seconds} s: {self.log_path.read_text()}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Sends the signal; seconds until it had ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(15)
        return time.monotonic() - began

    def rows(self) -> list[tuple[str, int, dict[str, Any]]]:
        """(boot_id, seq, body) of every record in the spool, in order."""
        path = self.folder / "state" / "spool.sqlite"
        if not path.exists():
            return []
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            query = "SELECT boot_id, number & 1099511627775, body FROM records JOIN starts ON start = number >> 40"
            found = database.execute(query + " ORDER BY number").fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            database.close()
        return [(boot_id, seq, json.loads(body)) for boot_id, seq, body in found]
