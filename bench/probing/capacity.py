"""Path capacity by packet trains against networks whose rate is known, and the bytes that it took.

python -m bench.probing.capacity [--runs 10] [--network lab,tbf] [--mbps 10,100,400,1000] [--direction up,down]

`lab`: the project's lab, whose emulator keeps the rate in virtual time; the rate is of IP packets. `tbf`: two
namespaces and the kernel's token bucket on both of their ends (root only); it counts Ethernet frames, so 14 bytes a
packet are added to what is measured. Both ends are this project's: a real reflector process, and the method as the
agent calls it.
Exit code 1 where an error exceeds 1 %, a run gives no figure, or the median run used more than 150 KB below
1,000 Mbit/s; a run that was disturbed may use more.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from bench.tools.machine import machine
from probes.lab import Host, Lab, Link
from probes.methods import train
from probes.methods.endpoint import Endpoint
from probes.record import Record

HERE, THERE = "10.77.0.1", "10.77.0.2"
MOST_ERROR = 0.01
MOST_BYTES = 150_000
SMALL_UP_TO_MBPS = 400
ETHERNET_BYTES = 14
_REFLECTOR = "from placement.cli import main; main()"

Measure = Callable[[train.Direction], Record]


def main(argv: list[str] | None = None) -> int:
    """Print a line a network, rate and direction; 1 where one misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--network", default="lab,tbf" if os.geteuid() == 0 else "lab")
    parser.add_argument("--mbps", default="10,100,400,1000")
    parser.add_argument("--direction", default="up,down")
    told = parser.parse_args(argv)
    print(machine())
    heads = f"{'runs':>5}{'p50 %':>9}{'worst %':>9}{'bytes p50':>11}{'most':>11}{'s':>6}"
    print(f"{'network':8}{'Mbit/s':>8} {'way':5}{heads}")
    failed = 0
    for network in told.network.split(","):
        for mbps in map(float, told.mbps.split(",")):
            with {"lab": _in_lab, "tbf": _behind_tbf}[network](mbps) as measure:
                for direction in told.direction.split(","):
                    failed |= not _line(network, mbps, direction, measure, told.runs)
    return int(failed)


def _line(network: str, mbps: float, direction: train.Direction, measure: Measure, runs: int) -> bool:
    started = time.monotonic()
    rows = [measure(direction) for _ in range(runs)]
    seconds = (time.monotonic() - started) / runs
    errors = np.array([row.mbps / mbps - 1 for row in rows if row.mbps is not None])
    used = np.array([row.bytes or 0 for row in rows])
    worst = errors[np.abs(errors).argmax()] if len(errors) else np.nan
    print(
        f"{network:8}{mbps:8.0f} {direction:5}{runs:5}{100 * np.median(errors) if len(errors) else np.nan:9.3f}"
        f"{100 * worst:9.3f}{np.median(used):11,.0f}{used.max():11,}{seconds:6.2f}"
    )
    for row in rows:
        if row.error:
            print(f"        no figure: {row.error}")
    small = mbps > SMALL_UP_TO_MBPS or np.median(used) <= MOST_BYTES
    return len(errors) == runs and abs(worst) <= MOST_ERROR and bool(small)


@contextmanager
def _in_lab(mbps: float) -> Iterator[Measure]:
    """Two hosts of the lab; the emulator has a processor of its own where there are two."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:1])
    try:
        with Lab([Host("here", HERE), Host("there", THERE)], default=Link(rtt_ms=10, rate_mbps=mbps)) as lab:
            os.sched_setaffinity(0, processors[1:] or processors)
            served = lab.run("there", _command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            endpoint = _endpoint(served)
            yield lambda direction: lab.call("here", _measured, endpoint, direction, 0)
    finally:
        os.sched_setaffinity(0, processors)


@contextmanager
def _behind_tbf(mbps: float) -> Iterator[Measure]:
    """Two namespaces, a veth pair, and the token bucket on both of its ends."""
    here, there = (f"nearserve-{os.getpid()}-{end}" for end in "ab")
    rate = f"root tbf rate {mbps:g}mbit burst 32kb limit 4mb"
    lines = f"""netns add {here}; netns add {there}
        link add here netns {here} type veth peer name there netns {there}
        -n {here} addr add {HERE}/24 dev here; -n {there} addr add {THERE}/24 dev there
        -n {here} link set here up; -n {there} link set there up; -n {here} link set lo up; -n {there} link set lo up"""
    served = None
    try:
        for line in lines.replace("\n", ";").split(";"):
            subprocess.run(["ip", *line.split()], check=True)
        for space, device in ((here, "here"), (there, "there")):
            subprocess.run(["tc", "-n", space, "qdisc", "add", "dev", device, *rate.split()], check=True)
        inside = ["ip", "netns", "exec"]
        served = subprocess.Popen([*inside, there, *_command()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        endpoint = _endpoint(served)

        def measure(direction: train.Direction) -> Record:
            told = json.dumps([endpoint.address, endpoint.port, direction])
            code = "import sys; from bench.probing.capacity import child; child(sys.argv[1])"
            ended = subprocess.run(
                [*inside, here, sys.executable, "-c", code, told], check=True, capture_output=True, text=True
            )
            return Record(**json.loads(ended.stdout))

        yield measure
    finally:
        if served is not None:
            served.terminate()
            served.wait(10)
        for space in (here, there):
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "del", space], check=True, stderr=subprocess.DEVNULL)


def child(told: str) -> None:
    """One measurement in a process of its own; a JSON record on stdout."""
    address, port, direction = json.loads(told)
    record = _measured(Endpoint("there", address, port), direction, ETHERNET_BYTES)
    names = ("observed_at", "source", "target", "method", "mbps", "direction", "bytes", "error")
    print(json.dumps({name: getattr(record, name) for name in names}))


def _measured(endpoint: Endpoint, direction: train.Direction, overhead_bytes: int) -> Record:
    return train.measure(endpoint, direction=direction, source="here", overhead_bytes=overhead_bytes)


def _command() -> list[str]:
    arguments = ["--listen", THERE, "--stamp-port", "0", "--train-port", "0", "--format", "json"]
    return [sys.executable, "-c", _REFLECTOR, "probe", "reflector", *arguments]


def _endpoint(served: "subprocess.Popen[bytes]") -> Endpoint:
    """Where the reflector says that it takes trains."""
    assert served.stdout is not None
    told = json.loads(served.stdout.readline())
    return Endpoint("there", THERE, int(told["train"][0].rpartition(":")[2]))


if __name__ == "__main__":
    raise SystemExit(main())
