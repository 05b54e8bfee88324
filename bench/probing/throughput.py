"""Achievable TCP by NDT7 against iperf3's receiver figure in the same run, the bytes of both, and latency under load.

python -m bench.probing.throughput [--runs 3] [--mbps 10,100,400] [--rtt 5,40] [--direction down,up]
                                   [--congestion bbr,cubic] [--seconds 10] [--omit 1] [--limiter lab,tbf]

Both run in the project's lab, one after the other, over one link of known rate and round trip; its queue holds one
round trip, 50 ms at least. The rate is kept by the lab's emulator (of IP packets), or by the kernel's token bucket at
both hosts (tbf, of Ethernet frames), while the emulator only delays. `ceiling` is what TCP can carry in that rate
(1,448 of 1,500 or 1,514 bytes). Both figures are the receiver's and without slow start, which iperf3 leaves out by
`--omit 1`; with `--omit 0` its figure holds slow start, which takes some 2.5 % off it at 400 Mbit/s and 40 ms. Its
bytes are those of the 10 s after what is left out.
Exit code 1 where a ratio is off by more than 3 %, or NDT7 moved more bytes than iperf3.
"""

import argparse
import functools
import itertools
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.tools.machine import machine
from probes.lab import Host, Lab, Link
from probes.methods import iperf3, loaded, ndt7, tcp
from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.reflector.ndt7 import Limits, Ndt7Server

HERE, THERE = "10.77.0.1", "10.77.0.2"
NDT7_PORT, IPERF3_PORT = 4443, 5201
MOST_OFF = 0.03
CARRIED = {"lab": 1448 / 1500, "tbf": 1448 / 1514}
SERVER = Endpoint("there", THERE, NDT7_PORT)


@dataclass(frozen=True)
class Run:
    """One pair of measurements."""

    ours: loaded.UnderLoad
    theirs: Record

    @property
    def ratio(self) -> float:
        """Ours over iperf3's; 0 where either failed."""
        ours, theirs = self.ours.throughput.record.mbps, self.theirs.mbps
        return ours / theirs if ours and theirs else 0.0


def main(argv: list[str] | None = None) -> int:
    """A line a link and direction; 1 where one misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mbps", default="10,100,400")
    parser.add_argument("--rtt", default="5,40")
    parser.add_argument("--direction", default="down,up")
    parser.add_argument("--congestion", default="bbr,cubic")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--omit", type=int, default=1)
    parser.add_argument("--limiter", default="lab")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--serve", metavar="CONGESTION", help=argparse.SUPPRESS)
    told = parser.parse_args(argv)
    if told.serve:
        return _serve(told.serve)
    print(machine())
    print(
        f"{'':10}{'Mbit/s':>8}{'RTT':>5}{'':>6}{'ceiling':>9}{'NDT7':>9}{'iperf3':>9}{'ratio':>8}{'worst':>8}"
        f"{'MB':>8}{'MB':>8}{'s':>6}{'idle ms':>9}{'load ms':>9}  bad"
    )
    missed = 0
    for limiter, congestion, rtt, mbps in itertools.product(
        told.limiter.split(","),
        told.congestion.split(","),
        map(float, told.rtt.split(",")),
        map(float, told.mbps.split(",")),
    ):
        with _lab(limiter, mbps, rtt, congestion) as lab:
            for direction in told.direction.split(","):
                runs = [_run(lab, direction, congestion, told.seconds, told.omit) for _ in range(told.runs)]
                missed += _line(limiter, congestion, mbps, rtt, direction, runs, told.verbose)
    return int(missed > 0)


@contextmanager
def _lab(limiter: str, mbps: float, rtt_ms: float, congestion: str) -> Iterator[Lab]:
    queue_kbyte = mbps * max(rtt_ms, 50) / 8
    by_lab = limiter == "lab"
    link = Link(rtt_ms=rtt_ms, rate_mbps=mbps if by_lab else None, queue_kbyte=queue_kbyte if by_lab else None)
    with Lab([Host("here", HERE), Host("there", THERE)], default=link, offload=mbps > 400) as lab:
        lab.run("there", [sys.executable, "-m", "bench.probing.throughput", "--serve", congestion])
        lab.run("there", ["iperf3", "--server", "--bind", THERE, "--logfile", "/dev/null"], stderr=subprocess.DEVNULL)
        if limiter == "tbf":
            bucket = ["rate", f"{mbps}mbit", "burst", "32k", "limit", f"{round(queue_kbyte * 1000)}"]
            for place in ("here", "there"):
                if lab.run(place, ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *bucket]).wait():
                    sys.exit("tc could not set a token bucket in the lab")
        if not lab.call("here", _answers):
            sys.exit(f"nothing listens on port {NDT7_PORT} in the lab")
        yield lab


def _serve(congestion: str) -> int:
    limits = Limits(per_source=4, per_source_minute=10_000, bytes=100_000_000_000)
    with Ndt7Server(socket.create_server((THERE, NDT7_PORT)), limits=limits, congestion=congestion):
        while True:
            time.sleep(60)


def _answers() -> bool:
    """Whether the NDT7 server, the slower one to begin, listens within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection((THERE, NDT7_PORT), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _run(lab: Lab, direction: Any, congestion: str, seconds: int, omit: int) -> Run:
    ours = lab.call("here", _ndt7, direction, congestion)
    there = Endpoint("there", THERE, IPERF3_PORT)
    measure = functools.partial(
        iperf3.measure, there, direction=direction, source="here", seconds=seconds, omit_s=omit, congestion=congestion
    )
    return Run(ours, lab.call("here", _call, measure))


def _call(measure: Any) -> Record:
    return measure()  # type: ignore[no-any-return]


def _ndt7(direction: Any, congestion: str) -> loaded.UnderLoad:
    return loaded.measure(
        lambda began: ndt7.measure(SERVER, direction=direction, source="here", congestion=congestion, began=began),
        lambda: tcp.sweep([SERVER], rate_per_s=100, probes=2, timeout_s=1.0, interval_s=0.05),
        source="here",
    )


def _line(
    limiter: str, congestion: str, mbps: float, rtt_ms: float, direction: str, runs: list[Run], verbose: bool
) -> bool:
    def middle(values: list[float | None]) -> float:
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else float("nan")

    tests = [run.ours.throughput for run in runs]
    off = [abs(run.ratio - 1) for run in runs]
    ours = middle([test.record.bytes for test in tests]) / 1e6
    theirs = middle([run.theirs.bytes for run in runs]) / 1e6
    bad = sum(one > MOST_OFF for one in off)
    print(
        f"{limiter} {congestion:6}{mbps:8.0f}{rtt_ms:5.0f}{direction:>6}{mbps * CARRIED[limiter]:9.2f}"
        f"{middle([test.record.mbps for test in tests]):9.2f}{middle([run.theirs.mbps for run in runs]):9.2f}"
        f"{statistics.median(run.ratio for run in runs):8.4f}{max(off):8.2%}{ours:8.1f}{theirs:8.1f}"
        f"{middle([len(test.windows_mbps) / 2 for test in tests]):6.1f}"
        f"{middle([_middle_of(run.ours.idle) for run in runs]):9.2f}"
        f"{middle([_middle_of(run.ours.loaded) for run in runs]):9.2f}  {bad or ''}",
        flush=True,
    )
    for run in runs if verbose else []:
        test = run.ours.throughput
        said = test.record.error or run.theirs.error or ""
        windows = " ".join(f"{rate:.1f}" for rate in test.windows_mbps)
        print(f"      {run.ratio:.4f} {test.end and test.end.name} [{windows}] iperf3 {run.theirs.mbps} {said}")
    return bad > 0 or ours >= theirs


def _middle_of(record: Record | None) -> float | None:
    return statistics.median(record.rtt_ms) if record is not None and record.rtt_ms else None


if __name__ == "__main__":
    raise SystemExit(main())
