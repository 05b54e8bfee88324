"""A sweep of thousands of targets by this project, fping and scamper, in one network of the lab whose truth is known.

python -m bench.probing.sweep [--targets 4400] [--probes 3] [--rate 15000] [--runs 3] [--only ours,fping]

Round trips are 1 to 300 ms, 1 % of them lost; each tool waits 0.5 s. `lost to us` are answers that the emulator
delivered to the measuring host and that the tool did not report. CPU is user and system time of the child by wait4,
less what a child costs that does nothing there; of this project also with Python's start and imports in it (`all`).
Errors are against the emulator's delay, so its own lateness (last line) is in each of them. The emulator has a
processor of its own where there are two; the tools share the others.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.tools.machine import machine
from probes.lab import Host, Lab, Link, Pop

TIMEOUT_S = 0.5
HOST = "agent"
PORT, CLOSED_PORT = 7800, 7801
PACED_LIMIT_S = 1.5


@dataclass(frozen=True)
class Network:
    """The lab with its targets, and the truth: `rtt_ms` (T,)."""

    lab: Lab
    addresses: list[str]
    rtt_ms: NDArray[np.float64]
    folder: Path

    @property
    def list_file(self) -> Path:
        """The addresses, one a line."""
        return self.folder / "addresses"

    def answers(self) -> NDArray[np.int64]:
        """(T,) packets that came to the host from each target so far."""
        truth = self.lab.truth()
        return np.array([truth.path(f"t{i}", HOST).delivered for i in range(len(self.addresses))])


@dataclass(frozen=True)
class Took:
    """What a child gave: (T, K) round trips, NaN where it reported none; its time and processor time."""

    rtt_ms: NDArray[np.float64]
    seconds: float
    cpu_s: float
    all_cpu_s: float


Tool = Callable[[Network, argparse.Namespace], Took]


def main(argv: list[str] | None = None) -> int:
    """Print a line a tool and run; 1 where this project misses what it should reach."""
    told = _options(argv)
    print(machine())
    print(f"{told.targets} targets x {told.probes}, rate {told.rate:g}/s, {told.runs} runs; errors in ms")
    print(
        f"{'tool':22}{'sweep s':>9}{'probes/s':>10}{'sent':>8}{'replies':>9}{'lost to us':>11}"
        f"{'CPU us/probe':>14}{'all':>7}{'error p50':>11}{'min p99':>9}"
    )
    lines: dict[str, list[Line]] = {}
    with network(told) as made:
        for _ in range(told.runs):
            for name, tool in _tools(told).items():
                lines.setdefault(name, []).append(_measure(name, tool, made, told))
        truth = made.lab.truth()
        print(f"emulator late by p50 {truth.lateness(0.5)} us, p99 {truth.lateness(0.99)} us; missed {truth.missed}")
    return _verdict(lines)


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    seconds: float
    lost_to_us: int
    cpu_us: float
    error_ms: float
    min_error_ms: float


@contextmanager
def network(told: argparse.Namespace) -> Iterator[Network]:
    """A host and the targets, each with a round trip of its own."""
    rng = np.random.default_rng(told.seed)
    rtt_ms = rng.uniform(1.0, 300.0, told.targets)
    addresses = [f"10.78.{1 + i // 250}.{1 + i % 250}" for i in range(told.targets)]
    loss = 1 - (1 - 0.01) ** 0.5
    pops = [Pop(f"t{i}", addresses[i], link=Link(rtt_ms=float(rtt_ms[i]), loss=loss)) for i in range(told.targets)]
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:1])  # the emulator inherits it: it would preempt a tool in mid-burst
    with tempfile.TemporaryDirectory() as folder, Lab([Host(HOST, "10.77.0.1")], pops, seed=told.seed) as lab:
        os.sched_setaffinity(0, processors[1:] or processors)
        made = Network(lab, addresses, rtt_ms, Path(folder))
        made.list_file.write_text("\n".join(addresses) + "\n")
        try:
            yield made
        finally:
            os.sched_setaffinity(0, processors)


def _measure(name: str, tool: Tool, made: Network, told: argparse.Namespace) -> Line:
    before = made.answers()
    took = tool(made, told)
    time.sleep(0.4)  # what is still under way belongs to this tool
    delivered = made.answers() - before
    replies = np.isfinite(took.rtt_ms).sum(axis=1)
    # of a connection more packets come than its answer
    lost = 0 if name.startswith("tcp") else int(np.maximum(delivered - replies, 0).sum())
    sent = took.rtt_ms.size
    error = np.abs(took.rtt_ms - made.rtt_ms[:, None])
    with np.errstate(invalid="ignore"):
        least = np.fmin.reduce(took.rtt_ms, axis=1) - made.rtt_ms
    line = Line(
        took.seconds,
        lost,
        took.cpu_s / sent * 1e6,
        float(np.nanpercentile(error, 50)),
        float(np.nanpercentile(np.abs(least), 99)),
    )
    print(
        f"{name:22}{line.seconds:9.2f}{sent / line.seconds:10,.0f}{sent:8}{int(replies.sum()):9}{lost:11}"
        f"{line.cpu_us:14.2f}{took.all_cpu_s / sent * 1e6:7.1f}{line.error_ms:11.3f}{line.min_error_ms:9.3f}",
        flush=True,
    )
    return line


def _tools(told: argparse.Namespace) -> dict[str, Tool]:
    every: dict[str, Tool] = {
        "ours": _ours,
        "fping": _fping,
        "fping-unpaced": _fping_unpaced,
        "scamper": _scamper,
        "tcp": _tcp_open,
        "tcp-refused": _tcp_refused,
    }
    wanted = told.only.split(",")
    absent = [name for name in wanted if name.startswith(("fping", "scamper")) and not shutil.which(name.split("-")[0])]
    if absent:
        print(f"not installed here: {', '.join(absent)}", file=sys.stderr)
    return {name: every[name] for name in wanted if name not in absent}


def _child(made: Network, argv: Sequence[str]) -> tuple[float, float]:
    """Run a program on the host: seconds and CPU seconds, beyond those of one that does nothing."""
    idle_s, idle_cpu_s = _timed(made, ["/bin/true"])
    seconds, cpu_s = _timed(made, argv)
    return seconds - idle_s, cpu_s - idle_cpu_s


def _timed(made: Network, argv: Sequence[str]) -> tuple[float, float]:
    begun = time.monotonic()
    with (made.folder / "stdout").open("wb") as out, (made.folder / "stderr").open("wb") as err:
        program = made.lab.run(HOST, argv, stdout=out, stderr=err)
        _, status, used = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - begun, used.ru_utime + used.ru_stime


def _ours(made: Network, told: argparse.Namespace, method: str = "icmp", *port: str) -> Took:
    out = made.folder / "ours.npz"
    out.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "bench.probing.ours", method, str(made.list_file), str(out)]
    rate = told.rate if method == "icmp" else told.tcp_rate
    _, all_cpu_s = _child(made, [*argv, str(rate), str(TIMEOUT_S), str(told.probes), *port])
    if said := (made.folder / "stderr").read_text().strip():
        print(said, file=sys.stderr)
    with np.load(out) as found:
        return Took(found["rtt_ms"], float(found["seconds"]), float(found["cpu_s"]), all_cpu_s)


def _tcp_open(made: Network, told: argparse.Namespace) -> Took:
    server = made.lab.run("t0", [sys.executable, "-c", _SERVER, str(PORT)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    try:
        return _ours(made, told, "tcp", str(PORT))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _tcp_refused(made: Network, told: argparse.Namespace) -> Took:
    return _ours(made, told, "tcp", str(CLOSED_PORT))


_SERVER = """
import socket, sys
with socket.create_server(("", int(sys.argv[1])), backlog=4096) as server:
    print("ready", flush=True)
    while True:
        server.accept()[0].close()
"""


def _fping(made: Network, told: argparse.Namespace) -> Took:
    return _run_fping(made, told, f"{1e3 / told.rate:.3f}")


def _fping_unpaced(made: Network, told: argparse.Namespace) -> Took:
    return _run_fping(made, told, "0.001")


def _run_fping(made: Network, told: argparse.Namespace, gap_ms: str) -> Took:
    argv = ["fping", "-q", "-C", str(told.probes), "-i", gap_ms, "-p", "200", "-t", f"{TIMEOUT_S * 1e3:.0f}"]
    seconds, cpu_s = _child(made, [*argv, "-f", str(made.list_file)])
    rows = {address: row for row, address in enumerate(made.addresses)}
    rtt_ms = np.full((len(rows), told.probes), np.nan)
    for line in (made.folder / "stderr").read_text().splitlines():
        address, _, values = line.partition(" : ")
        if address.strip() in rows:
            rtt_ms[rows[address.strip()]] = [np.nan if value == "-" else float(value) for value in values.split()]
    return Took(rtt_ms, seconds, cpu_s, cpu_s)


def _scamper(made: Network, told: argparse.Namespace) -> Took:
    out = made.folder / "scamper.json"
    ping = f"ping -c {told.probes} -i 1 -W 1"
    argv = ["scamper", "-O", "json", "-o", str(out), "-p", "10000", "-w", "0", "-c", ping]
    seconds, cpu_s = _child(made, [*argv, "-f", str(made.list_file)])
    rows = {address: row for row, address in enumerate(made.addresses)}
    rtt_ms = np.full((len(rows), told.probes), np.nan)
    for text in out.read_text().splitlines():
        record = json.loads(text)
        for answer in record.get("responses", ()):
            rtt_ms[rows[record["dst"]], int(answer["seq"])] = answer["rtt"]
    return Took(rtt_ms, seconds, cpu_s, cpu_s)


def _verdict(lines: dict[str, list[Line]]) -> int:
    """Medians of the runs beside what they should be."""
    if "ours" not in lines:
        return 0
    best = {name: {f: float(np.median([getattr(x, f) for x in runs])) for f in Line.__dataclass_fields__}
            for name, runs in lines.items()}  # fmt: skip
    ours = best["ours"]
    wanted = [("sweep s", ours["seconds"], PACED_LIMIT_S), ("lost to us", ours["lost_to_us"], 0.0)]
    for peer, names in (
        ("fping", ("cpu_us",)),
        ("fping-unpaced", ("cpu_us",)),
        ("scamper", ("error_ms", "min_error_ms")),
    ):
        if peer in best:
            wanted += [(f"{name} against {peer}", ours[name], best[peer][name]) for name in names]
    for what, reached, limit in wanted:
        print(f"{what:36}{reached:9.3f}, at most {limit:.3f}: {'reached' if reached <= limit else 'MISSED'}")
    return int(any(reached > limit for _, reached, limit in wanted))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.probing.sweep", description=__doc__.partition("\n")[0])
    parser.add_argument("--targets", type=int, default=4_400)
    parser.add_argument("--probes", type=int, default=3)
    parser.add_argument("--rate", type=float, default=15_000, help="packets a second, of ours and of the paced fping")
    parser.add_argument("--tcp-rate", type=float, default=5_000, help="connections a second")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="ours,fping,fping-unpaced,scamper", help="also: tcp,tcp-refused")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
