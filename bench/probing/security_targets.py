"""Threats to the agent from its list and from DNS: it must not be made to send where its owner does not want it to.

Each agent stands in a host of the lab with a resolver that belongs to the attacker. Every packet that leaves the host,
on loopback as well, is looked at; in the end the same addresses are listed, to show that they would have been seen.
"""

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from bench.probing.security_names import NameServer
from bench.probing.security_row import Cell, Row, counted, until
from probes.lab import Host, Lab, Pop

ALLOWED: Final = "10.78.0.1"
ALLOWED6: Final = "fd78::1"
UNLISTED: Final = "10.99.0.1"
METADATA: Final = "169.254.169.254"
PORT: Final = 443
_METRICS_PORT: Final = 9477
_RESOLVER: Final = "10.10.0.53"
_ETH_P_ALL: Final = 3
_USER: Final = "nobody"
_COMMAND: Final = [sys.executable, "-c", "from placement.cli import main; main()", "probe", "agent"]
_CONFIG: Final = """
agent = "{name}"
source = "here"
{user}
[spool]
path = "state/spool.sqlite"
[allow]
networks = {networks}
ports = [{port}]
[targets]
file = "targets.jsonl"
[rates]
packets_per_s = 5000
target_packets_per_s = 1000
target_burst = 1000
[dns]
timeout_s = 2
refresh_s = 0.4
[metrics]
port = {metrics}
[methods.icmp]
interval_s = 0.4
timeout_s = 0.2
probes = 1
[methods.tcp]
interval_s = 0.4
timeout_s = 0.2
probes = 1
"""


@dataclass(frozen=True)
class Threat:
    """What the attacker says: `first` what the host is while all is well, `then` what it becomes."""

    name: str
    title: str
    host: str
    kind: str
    victim: str
    first: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    port: int = PORT
    may_be: str | None = None
    """The address that may still be measured under this name."""

    def line(self) -> str:
        """The target as the list has it."""
        return json.dumps({"name": self.name, "host": self.host, "methods": ["icmp", f"tcp:{self.port}"]})


_LISTED: Final = (
    Threat("by-address", "unlisted target, by address", UNLISTED, "private", UNLISTED),
    Threat("by-name", "unlisted target, by name", "unlisted.test", "private", UNLISTED, (UNLISTED,), (UNLISTED,)),
    Threat("metadata", "metadata address in the list", METADATA, "link-local", METADATA),
    Threat("mapped", "unlisted IPv4 within IPv6", f"::ffff:{UNLISTED}", "translated", UNLISTED),
    Threat("multicast", "multicast in the list", "224.0.0.1", "multicast", "224.0.0.1"),
    Threat("port", "unlisted port of a listed address", ALLOWED, "port", f"{ALLOWED}:22", port=22),
)
_LATER: Final = tuple(
    Threat(f"later-{kind}", f"rebinding later to {kind}", f"{kind}.test", kind, victim, (ALLOWED,), (victim,))
    for kind, victim in (("private", UNLISTED), ("loopback", "127.0.0.1"), ("link-local", METADATA))
)
_TOGETHER: Final = tuple(
    Threat(
        f"both-{victim}", f"rebinding, {victim} beside a listed address", f"both{number}.test", kind, victim,
        (victim, allowed), (victim, allowed), may_be=allowed,
    )
    for number, (kind, victim, allowed) in enumerate(
        (("link-local", METADATA, ALLOWED), ("loopback", "::1", ALLOWED6), ("private", "fd99::1", ALLOWED6))
    )
)  # fmt: skip
_EVERYTHING: Final = (
    "10.99.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "224.0.0.0/4", "::1/128", "fd99::/64", "::ffff:0:0/96",
)  # fmt: skip
_ANSWERED: Final = 'records_total{method="tcp",outcome="ok"}'
_SETS: Final = {"listed": _LISTED, "later": _LATER, "together": _TOGETHER}


def rows(folder: Path) -> Iterator[Row]:
    """Every threat of this file."""
    hosts = [Host(name, f"10.10.0.{n}", f"fd10::{n}") for n, name in enumerate(_SETS, 1)]
    pops = [Pop("listed-pop", ALLOWED, ALLOWED6), Pop("unlisted", UNLISTED, "fd99::1"), Pop("metadata", METADATA)]
    with Lab([*hosts, Host("resolver", _RESOLVER)], pops) as lab, ExitStack() as stack:
        sock = lab.open_socket("resolver", socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((_RESOLVER, 53))
        every = [threat for threats in _SETS.values() for threat in threats]
        names = stack.enter_context(NameServer(sock, {t.host: list(t.first) for t in every if t.first}))
        agents = {
            name: stack.enter_context(_agent(lab, folder / name, name, threats)) for name, threats in _SETS.items()
        }
        for name, threats in _SETS.items():
            yield from agents[name].attacked(threats, names)


@contextmanager
def _agent(lab: Lab, folder: Path, name: str, threats: Sequence[Threat]) -> Iterator["_Agent"]:
    agent = _Agent(lab, folder, name, threats)
    try:
        yield agent
    finally:
        agent.close()


class _Agent:
    """A real agent in a host of the lab, and all that its host sends."""

    def __init__(self, lab: Lab, folder: Path, name: str, threats: Sequence[Threat]) -> None:
        folder.mkdir()
        self._lab, self._folder, self._name = lab, folder, name
        self._capture = lab.open_socket(name, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        with suppress(OSError):
            self._capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._capture.setblocking(False)
        self._seen: Counter[str] = Counter()
        control = json.dumps({"name": "control", "host": ALLOWED, "methods": ["icmp", f"tcp:{PORT}"]})
        (folder / "targets.jsonl").write_text("\n".join([control, *(threat.line() for threat in threats)]) + "\n")
        (folder / "resolv.conf").write_text(f"nameserver {_RESOLVER}\noptions timeout:1 attempts:1\n")
        (folder / "nsswitch.conf").write_text("hosts: dns\n")
        self._configure([f"{ALLOWED}/32", f"{ALLOWED6}/128"])
        own = " && ".join(f'mount --bind "{folder / file}" /etc/{file}' for file in ("resolv.conf", "nsswitch.conf"))
        argv = ["unshare", "--mount", "sh", "-c", f'{own} && exec "$@"', "sh", *_COMMAND, str(folder / "agent.toml")]
        with (folder / "log").open("wb") as log:
            self._process: subprocess.Popen[bytes] = lab.run(name, argv, stderr=log)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._capture.close()

    def attacked(self, threats: Sequence[Threat], names: NameServer) -> Iterator[Row]:
        """The rows of these threats."""
        if not until(self._works, 30):
            raise RuntimeError(f"the agent does not measure: {(self._folder / 'log').read_text()[-2000:]}")
        turned = [threat.host for threat in threats if threat.first != threat.then]
        started = until(lambda: all(names.asked[host] for host in turned))
        before = self._metrics() if turned else {}
        names.answers.update({threat.host: list(threat.then) for threat in threats if threat.then})
        told = until(lambda: all(self._told(threat).right for threat in threats))
        until(lambda: all(self._counted(threat, before).right for threat in threats))
        up = Cell(started and told and until(self._works), "still measures what is listed")
        self._look()
        seen = {threat.victim: self._seen[threat.victim] for threat in threats}
        found = [(threat, self._counted(threat, before), self._told(threat)) for threat in threats]
        shown = self._once_listed(threats, names)
        for threat, count, line in found:
            packets, would = seen[threat.victim], shown[threat.victim]
            refused = Cell(packets == 0 and would > 0, f"{packets} packets to {threat.victim}, {would} once listed")
            yield Row("agent", threat.title, refused, count, line, up)

    def _once_listed(self, threats: Sequence[Threat], names: NameServer) -> dict[str, int]:
        """Packets to the victims when the owner lists them: the look at the wire is not blind."""
        names.answers.update({threat.host: [threat.victim] for threat in threats if threat.then})
        self._configure([f"{ALLOWED}/32", f"{ALLOWED6}/128", *_EVERYTHING], ports=f"{PORT}, 22")
        self._process.send_signal(signal.SIGHUP)

        def all_seen() -> bool:
            self._look()
            return all(self._seen[threat.victim] for threat in threats)

        until(all_seen)
        return {threat.victim: self._seen[threat.victim] for threat in threats}

    def _configure(self, networks: Sequence[str], ports: str = str(PORT)) -> None:
        user = f'user = "{_USER}"' if self._lab.as_root else ""
        text = _CONFIG.format(
            name=self._name, user=user, networks=json.dumps(networks), port=ports, metrics=_METRICS_PORT
        )
        (self._folder / "agent.toml").write_text(text)

    def _works(self) -> bool:
        """Whether new packets go to what is listed, and are answered."""
        with suppress(OSError):
            self._look()
            before, answered = self._seen[ALLOWED], self._metrics().get(_ANSWERED, 0.0)

            def more() -> bool:
                self._look()
                return self._seen[ALLOWED] > before and self._metrics().get(_ANSWERED, 0.0) > answered

            return self._process.poll() is None and until(more, 3)
        return False

    def _counted(self, threat: Threat, before: Mapping[str, float]) -> Cell:
        name = f'address_refusals_total{{kind="{threat.kind}"}}'
        if threat.may_be is None:
            name = f'refusals_total{{kind="{threat.kind}"}}'
        return counted(name, before.get(name, 0.0), self._metrics().get(name, 0.0))

    def _told(self, threat: Threat) -> Cell:
        for line in (self._folder / "log").read_text(errors="replace").splitlines():
            with suppress(ValueError):
                event: dict[str, Any] = json.loads(line)
                by_target = event["event"] == "target_refused" and event["target"] == threat.name
                by_address = event["event"] == "address_refused" and event["host"] == threat.host
                if (by_target and threat.may_be is None) or (by_address and event["address"] == threat.victim):
                    return Cell(True, event["event"])
        return Cell(False, "nothing")

    def _metrics(self) -> dict[str, float]:
        with closing(self._lab.open_socket(self._name, socket.AF_INET, socket.SOCK_STREAM)) as sock:
            sock.settimeout(5)
            sock.connect(("127.0.0.1", _METRICS_PORT))
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: sock.recv(1 << 16), b"")).decode().partition("\r\n\r\n")[2]
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name.removeprefix("nearserve_agent_"): float(value) for name, value in lines}

    def _look(self) -> None:
        """Count what left since the last look, by destination; of TCP only what goes to a port that is measured."""
        while True:
            try:
                packet = self._capture.recv(2048)
            except BlockingIOError:
                return
            address, protocol, payload = _parsed(packet)
            port = int.from_bytes(payload[2:4], "big")
            if protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
                self._seen[address] += 1
            elif protocol == socket.IPPROTO_TCP and port in (PORT, 22):
                self._seen[address] += 1
                self._seen[f"{address}:{port}"] += 1


def _parsed(packet: bytes) -> tuple[str, int, bytes]:
    """Destination, protocol and payload of an IP packet."""
    if packet[0] >> 4 == 4:
        return str(ip_address(packet[16:20])), packet[9], packet[(packet[0] & 15) * 4 :]
    return str(ip_address(packet[24:40])), packet[6], packet[40:]
