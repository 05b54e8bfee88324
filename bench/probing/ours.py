"""The child of `bench.probing.sweep`: one sweep within the lab, its round trips written for the parent.

python -m bench.probing.ours icmp|tcp ADDRESSES OUT.npz RATE TIMEOUT_S PROBES [PORT]
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np

from probes.methods import icmp, tcp
from probes.methods.endpoint import Endpoint


def main(argv: list[str]) -> int:
    """Measure, and write `rtt_ms`, `sent`, `answered`, and the seconds and CPU seconds of the sweep alone."""
    method, addresses, out, rate, timeout_s, probes, *port = argv
    endpoints = [Endpoint(a, a, int(port[0]) if port else None) for a in Path(addresses).read_text().split()]
    begun, spent = time.monotonic(), _cpu_s()
    sweep = (icmp if method == "icmp" else tcp).sweep(
        endpoints, rate_per_s=float(rate), timeout_s=float(timeout_s), probes=int(probes)
    )
    seconds, cpu_s = time.monotonic() - begun, _cpu_s() - spent
    np.savez(
        out,
        rtt_ms=np.where(sweep.answered, sweep.rtt_ms, np.nan),
        sent=sweep.sent_at_ns > 0,
        answered=sweep.answered,
        seconds=seconds,
        cpu_s=cpu_s,
    )
    for row, words in list(sweep.errors.items())[:3]:
        print(f"{endpoints[row].address}: {words}", file=sys.stderr)
    return 0


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
