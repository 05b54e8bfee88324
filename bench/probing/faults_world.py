"""The world of `bench.probing.faults`: agents, a meddler and a collector in the lab, on small disks of their own."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes.collector.certificates import make
from probes.lab import Host, Lab, Link, Pop

NEARSERVE = [sys.executable, "-c", "from placement.cli import main; main()"]
COLLECTOR, COLLECTOR_PORT, MEDDLER_PORT = "10.10.0.1", 8443, 8444
INTERVAL_S, PROBES, LOSS = 2.0, 3, 0.005
DISK_MBYTE = 48
USER = "nobody"

AGENT = """
agent = "{name}"
source = "{name}"
{user}
[spool]
path = "disk/state/spool.sqlite"
max_bytes = 33554432
[collector]
url = "https://{collector}:{port}"
token_file = "token"
authority = "../collector/ca.pem"
[allow]
networks = ["10.78.0.0/16"]
[targets]
file = "targets.jsonl"
[rates]
packets_per_s = 2000
target_packets_per_s = 100
target_burst = 100
[methods.icmp]
interval_s = {interval_s}
probes = {probes}
timeout_s = 0.8
"""
SERVER = """
[server]
address = "127.0.0.1"
port = {port}
certificate = "server.pem"
key = "server.key"
[authentication]
require = "token"
tokens = "tokens.toml"
[store]
folder = "disk/measurements"
write_every_s = 3
compact_every_s = 20
compact_files = 4
[limits]
free_bytes = 1048576
retry_after_s = 2
"""


def network(agents: int, pops: int, seed: int) -> Lab:
    """Round trips of 1 to 300 ms, evenly over their logarithm, and 1 % of round trips lost."""
    chance = random.Random(seed)
    hosts = [Host("collector", COLLECTOR), *(Host(f"agent{n}", f"10.10.0.{n + 2}") for n in range(agents))]
    places = [Pop(f"pop{n:02d}", f"10.78.0.{n + 1}") for n in range(pops)]
    links = {
        (host.name, pop.name): Link(rtt_ms=round(300 ** chance.random(), 3), loss=LOSS)
        for host in hosts[1:]
        for pop in places
    }
    return Lab(hosts, places, links=links, default=Link(rtt_ms=10), seed=seed)


@dataclass
class Program:
    """A program that is started again after it was killed; each start's log is appended."""

    lab: Lab
    place: str
    argv: list[str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = self.lab.run(self.place, self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.starts += 1

    def kill(self) -> None:
        """SIGKILL: nothing is flushed."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM, and how it ended."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@dataclass
class World:
    """Folders, disks and programs of one run."""

    lab: Lab
    folder: Path
    seed: int
    agents: dict[str, Program] = field(default_factory=dict)
    collector: Program = field(init=False)
    meddler: Program = field(init=False)

    def begin(self) -> None:
        """Write every file, mount the disks, start all."""
        names = [host.name for host in self.lab.network.hosts[1:]]
        home = self.folder / "collector"
        make(home, [COLLECTOR, "127.0.0.1"], names, tokens=True)
        disk(home / "disk")
        (home / "collector.toml").write_text(SERVER.format(port=COLLECTOR_PORT))
        argv = [*NEARSERVE, "probe", "collector", str(home / "collector.toml")]
        self.collector = Program(self.lab, "collector", argv, home / "log")
        ports = [COLLECTOR, str(MEDDLER_PORT), str(COLLECTOR_PORT), str(home), str(self.seed)]
        argv = [sys.executable, "-m", "bench.probing.meddler", *ports]
        self.meddler = Program(self.lab, "collector", argv, home / "meddler.log")
        for name in names:
            self.agents[name] = self._agent(name)
        for program in (self.collector, self.meddler, *self.agents.values()):
            program.start()

    def _agent(self, name: str) -> Program:
        folder = self.folder / name
        folder.mkdir()
        disk(folder / "disk")
        token = (self.folder / "collector" / "agents" / f"{name}.token").read_bytes()
        (folder / "token").write_bytes(token)
        if self.lab.as_root:
            shutil.chown(folder / "token", USER)
        targets = [{"name": p.name, "host": p.address, "methods": ["icmp"]} for p in self.lab.network.pops]
        (folder / "targets.jsonl").write_text("".join(json.dumps(target) + "\n" for target in targets))
        user = f'user = "{USER}"' if self.lab.as_root else ""
        values = {"collector": COLLECTOR, "port": MEDDLER_PORT, "interval_s": INTERVAL_S, "probes": PROBES}
        (folder / "agent.toml").write_text(AGENT.format(name=name, user=user, **values))
        argv = [*NEARSERVE, "probe", "agent", str(folder / "agent.toml")]
        return Program(self.lab, name, argv, folder / "log")

    def restart(self) -> None:
        """Start what ended, as the units' Restart=always does."""
        for program in (self.collector, self.meddler, *self.agents.values()):
            assert program.process is not None
            if program.process.poll() is not None:
                program.start()

    def waiting(self) -> int:
        """Records in the spools, -1 while one cannot be read."""
        return sum(_rows(self.folder / name / "disk" / "state" / "spool.sqlite") for name in self.agents)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What a program told, as JSON lines."""
        found = []
        for line in (self.folder / name / "log").read_text(errors="replace").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def end(self) -> list[int]:
        """Agents first, so that nothing new comes; then the collector, which writes what it accepted. Exit codes."""
        codes = [program.stop() for program in self.agents.values()]
        self.meddler.kill()
        return [*codes, self.collector.stop()]


def disk(path: Path) -> None:
    """A small file system of its own, which can be filled; a plain folder without root."""
    path.mkdir()
    if disks():
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MBYTE}m", "nearserve", str(path)], check=True)


def free_disks(folder: Path) -> None:
    """Let go of every disk below a folder."""
    for path in folder.glob("*/disk"):
        if path.is_mount():
            subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Take all the room that a disk has, with a file `ballast`."""
    ballast = path / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))


def step_clock(seconds: float) -> None:
    """Move the machine's clock by so much; everything on the machine sees it."""
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)


def disks() -> bool:
    """Whether there are disks to fill: whether this process has mounts of its own."""
    return bool(os.environ.get("NEARSERVE_OWN_MOUNTS"))


def own_mounts(argv: list[str]) -> None:
    """Begin again with mounts that nobody else sees, so that they go with this process; not where only root may."""
    if disks() or subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return
    os.environ["NEARSERVE_OWN_MOUNTS"] = "1"
    os.execvp("unshare", ["unshare", "--mount", sys.executable, "-m", "bench.probing.faults", *argv])


def _rows(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
            return int(database.execute("SELECT count(*) FROM records").fetchone()[0])
    except sqlite3.Error:
        return -1
