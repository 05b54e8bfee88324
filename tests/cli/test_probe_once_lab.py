"""`nearserve probe once` in the lab, whose truth is known: what people read is what the emulator did."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from probes.lab import Host, Lab, Link, Pop

HOPS = (("10.9.0.1",), ("10.9.1.1", "10.9.1.2"), (), ("10.9.2.1",))
PROBE = [sys.executable, "-c", "from placement.cli import main; main()", "probe", "once"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One host and four PoPs: near, lossy, cut off, and behind routers, of which two share a hop and one is silent."""
    pops = [
        Pop("near", "10.78.0.1", "fd78::1", Link(rtt_ms=12)),
        Pop("lossy", "10.78.0.2", "fd78::2", Link(rtt_ms=60, loss=0.2)),
        Pop("dead", "10.78.0.3", "fd78::3", Link(up=False)),
        Pop("routed", "10.78.0.4", "fd78::4", Link(rtt_ms=40, hops=HOPS)),
    ]
    with Lab([Host("here", "10.10.0.1", "fd10::1")], pops, seed=5) as made:
        yield made


def look(lab: Lab, *arguments: object) -> tuple[dict[str, Any], int]:
    """The document and the exit code."""
    command = [*PROBE, *map(str, arguments), "--json"]
    process = lab.run("here", command, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    return json.loads(out), process.returncode


def test_round_trips_and_losses_are_those_of_the_emulator(lab: Lab) -> None:
    count = 30
    document, code = look(
        lab, "10.78.0.1", "10.78.0.2", "fd78::1", "--count", count, "--interval", 0.01, "--timeout", 0.25
    )
    assert code == 0
    near, lossy, near6 = (target["summary"] for target in document["targets"])
    truth = lab.truth()
    for summary in (near, near6):
        assert summary["lost_share"] == 0.0
        assert 11.9 <= summary["min_ms"] < 14
    assert 59.9 <= lossy["min_ms"] < 64
    # Requests that arrived, and answers that came back, counted by the emulator.
    assert truth.path("here", "lossy").delivered < count
    assert lossy["received"] == truth.path("lossy", "here").delivered


def test_a_cut_off_target_alone_is_exit_8(lab: Lab) -> None:
    document, code = look(lab, "10.78.0.3", "--method", "tcp", "--count", 2, "--timeout", 0.2)
    assert code == document["exit_code"] == 8
    (dead,) = document["targets"]
    summary = dead["summary"]
    assert (summary["sent"], summary["received"], summary["lost_share"], summary["p50_ms"]) == (2, 0, 1.0, None)
    assert dead["rtt_ms"] == [None] * 2


def test_a_trace_shows_the_routers_and_which_flow_met_which(lab: Lab) -> None:
    asked = ("10.78.0.4", "--method", "trace", "--flows", "24", "--count", "1", "--interval", "0.01")
    process = lab.run("here", [*PROBE, *asked], stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "10.78.0.4 by udp, 24 flows: reached" in out
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit() and " by " not in line]
    met: dict[int, dict[str, str]] = {}
    for ttl, router, flows, *_ in rows:
        met.setdefault(int(ttl), {})[router] = flows
    assert met[1] == {"10.9.0.1": "all"}
    assert set(met[2]) == {"10.9.1.1", "10.9.1.2"}  # all by one of them: one in eight million
    numbers = sorted(int(number) for flows in met[2].values() for number in flows.split(","))
    assert numbers == list(range(1, 25))
    assert met[3] == {"*": "all"}
    assert (met[4], met[5]) == ({"10.9.2.1": "all"}, {"10.78.0.4": "all"})
