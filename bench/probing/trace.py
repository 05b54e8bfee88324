"""Round trips to the routers on the way against the lab's truth, and scamper's (udp-paris) in the same run.

python -m bench.probing.trace [--runs 5] [--hops 8] [--rtt 40]

The lab spreads the routers evenly over the way, so that every hop's round trip is known; one of them has two addresses,
between which the flow decides, and one is silent. Each tool sends three probes a hop in one flow and waits a second
for each answer.
Exit code 1 where a hop of ours is missing or our median error exceeds scamper's; without scamper ours stands alone.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator

from bench.tools.machine import machine
from probes.lab import Host, Lab, Link
from probes.methods.endpoint import Endpoint
from probes.methods.trace import Path, measure

HERE, THERE = "10.77.0.1", "10.77.0.2"
PROBES = 3
_Errors = dict[str, list[float]]


def main(argv: list[str] | None = None) -> int:
    """A line a tool; 1 where ours misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--hops", type=int, default=8)
    parser.add_argument("--rtt", type=float, default=40.0)
    told = parser.parse_args(argv)
    print(machine())
    routers: list[tuple[str, ...]] = [(f"10.99.{number}.1",) for number in range(told.hops)]
    routers[1:3] = [("10.99.1.1", "10.99.1.2"), ()]
    truth = [told.rtt * (number + 1) / (told.hops + 1) for number in range(told.hops + 1)]
    errors: _Errors = {"nearserve": [], "scamper": []}
    seconds: _Errors = {"nearserve": [], "scamper": []}
    link = Link(rtt_ms=told.rtt, hops=tuple(routers))
    with Lab([Host("here", HERE), Host("there", THERE)], default=link) as lab:
        for _ in range(told.runs):
            for tool, look in (("nearserve", _ours), ("scamper", _scampers)):
                begun = time.monotonic()
                errors[tool] += [rtt_ms - truth[ttl - 1] for ttl, rtt_ms in look(lab)]
                seconds[tool].append(time.monotonic() - begun)
    for tool, found in errors.items():
        if found:
            print(
                f"{tool:10}{len(found):5} samples, error ms p50 {statistics.median(found):.3f} max {max(found):.3f}, "
                f"{statistics.median(seconds[tool]):.2f} s a trace"
            )
    ours, theirs = errors["nearserve"], errors["scamper"]
    complete = len(ours) == told.runs * PROBES * told.hops  # the silent one has none, the target has its own
    return int(not complete or (bool(theirs) and statistics.median(ours) > statistics.median(theirs)))


def _ours(lab: Lab) -> Iterator[tuple[int, float]]:
    path = lab.call("here", _trace)
    for hop in path.flows[0].hops:
        for rtt_ms in hop.rtt_ms:
            yield hop.ttl, rtt_ms


def _trace() -> Path:
    return measure(Endpoint("there", THERE), source="here", probes=PROBES, interval_s=0.1)


def _scampers(lab: Lab) -> Iterator[tuple[int, float]]:
    if shutil.which("scamper") is None:
        return
    command = ["scamper", "-O", "json", "-c", f"trace -P udp-paris -q {PROBES} -w 1 -Q", "-i", THERE]
    program = lab.run("here", command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in program.communicate()[0].decode().splitlines():
        value = json.loads(line)
        if value.get("type") == "trace":
            yield from ((hop["probe_ttl"], hop["rtt"]) for hop in value.get("hops", ()))


if __name__ == "__main__":
    raise SystemExit(main())
