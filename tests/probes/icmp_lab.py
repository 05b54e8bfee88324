"""The lab's network for ICMP sweeps: near, far, dead and cut-off targets, and a host that may lie."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from probes.lab import Host, Lab, Link, Pop
from probes.methods import icmp
from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep

AGENT, LIAR, THIRD = "10.77.0.1", "10.77.0.2", "10.77.0.3"
RTT_MS = {"10.78.0.1": 5.0, "fd78::1": 5.0, "10.78.0.2": 60.0, "fd78::2": 60.0}
DEAD, CUT_OFF, CUT_OFF6 = "10.78.0.3", "10.78.9.9", "fd78:9::9"
KINDS = [("datagram",), ("raw",)]


@contextmanager
def network() -> Iterator[Lab]:
    """Agent, liar and third host, and targets at the round trips of `RTT_MS`; the liar's kernel answers no echo."""
    pops = [
        Pop("near", "10.78.0.1", "fd78::1", Link(rtt_ms=5)),
        Pop("far", "10.78.0.2", "fd78::2", Link(rtt_ms=60)),
        Pop("dead", DEAD, link=Link(loss=1.0)),
        Pop("cut-off", CUT_OFF, CUT_OFF6, Link(rtt_ms=1)),
    ]
    hosts = [Host("agent", AGENT, "fd77::1"), Host("liar", LIAR), Host("third", THIRD)]
    with Lab(hosts, pops, default=Link(rtt_ms=2)) as made:
        made.call("near", _set, {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})
        for order in (
            f"route del local {CUT_OFF} dev lo",
            f"route add unreachable {CUT_OFF}",
            "-6 addr replace fd78::1/128 dev lo nodad",  # an ICMPv6 error needs a source
            f"-6 route del local {CUT_OFF6} dev lo",
            f"-6 route add unreachable {CUT_OFF6}",
        ):
            assert made.run("near", ["ip", *order.split()]).wait() == 0, order
        made.call("liar", _set, {"ipv4/icmp_echo_ignore_all": "1"})
        yield made


def _set(values: dict[str, str]) -> None:
    for name, value in values.items():
        Path("/proc/sys/net", name).write_text(value)


def swept(lab: Lab, addresses: list[str], **figures: object) -> Sweep:
    """A sweep from the agent's host."""
    told = {"rate_per_s": 2_000, "timeout_s": 0.5, "interval_s": 0.01, **figures}
    return lab.call("agent", lambda: plain(icmp.sweep([Endpoint(a, a) for a in addresses], **told)))


def plain(sweep: Sweep) -> Sweep:
    """As it can be sent from the process in the lab to this one."""
    return replace(sweep, errors=dict(sweep.errors))
