"""What a trace found: hops by flow, with every answer; where flows part; what is silent, what only seldom answers.

A router that answers some probes and not others limits how many ICMP errors it writes, as nearly all do. That is no
loss of the path: `Hop.lost` counts what was not answered, and only the last hop's tells of the path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from probes.methods.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Label:
    """One entry of an MPLS label stack, as a router quotes it (RFC 4950)."""

    label: int
    traffic_class: int
    bottom: bool
    ttl: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered one probe, after how many ms (None where the clock moved meanwhile), and with what.

    `icmp` is type and code of an ICMP message; None where the target itself answered by TCP or UDP.
    """

    address: str
    rtt_ms: float | None
    icmp: tuple[int, int] | None
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Hop:
    """All probes of one flow with one TTL."""

    ttl: int
    sent: int
    answers: tuple[Answer, ...]

    @property
    def lost(self) -> int:
        """Probes without an answer. On the way this is mostly a router that limits its ICMP errors."""
        return self.sent - len(self.answers)

    @property
    def silent(self) -> bool:
        """Whether nothing answered here."""
        return not self.answers

    @property
    def addresses(self) -> tuple[str, ...]:
        """Who answered, in order of first answers; several where the path changed, or is not chosen by flow."""
        return tuple(dict.fromkeys(answer.address for answer in self.answers))

    @property
    def rtt_ms(self) -> tuple[float, ...]:
        """The usable round trips."""
        return tuple(answer.rtt_ms for answer in self.answers if answer.rtt_ms is not None)


@dataclass(frozen=True, slots=True)
class Flow:
    """One series: the same five-tuple (and, for UDP and ICMP, the same checksum) in every probe.

    `source_port` is the ICMP id for ICMP. `reached`: the last hop is the target. `ended` says why a series stopped
    short of it. `unmatched` counts ICMP errors that quote too little to tell which probe they answer.
    """

    source_port: int
    hops: tuple[Hop, ...]
    reached: bool
    ended: str | None = None
    unmatched: int = 0


@dataclass(frozen=True, slots=True)
class Path:
    """The way from here to an endpoint as several flows saw it; `observed_at` is nanoseconds since 1970 UTC."""

    endpoint: Endpoint
    protocol: str
    source: str
    observed_at: int
    flows: tuple[Flow, ...]
    clock_ok: bool
    errors: tuple[str, ...] = field(default=())

    @property
    def reached(self) -> bool:
        """Whether any flow reached the target."""
        return any(flow.reached for flow in self.flows)

    def addresses(self, ttl: int) -> tuple[str, ...]:
        """Who answered at that TTL in any flow."""
        found = [hop.addresses for flow in self.flows for hop in flow.hops if hop.ttl == ttl]
        return tuple(dict.fromkeys(address for addresses in found for address in addresses))

    def branches(self) -> Mapping[int, tuple[str, ...]]:
        """TTLs at which the flows met different routers, with these: the paths of equal cost (ECMP)."""
        longest = max((hop.ttl for flow in self.flows for hop in flow.hops), default=0)
        found = {ttl: self.addresses(ttl) for ttl in range(1, longest + 1)}
        return {ttl: addresses for ttl, addresses in found.items() if len(addresses) > 1}

    def rate_limited(self) -> tuple[int, ...]:
        """TTLs where routers left out answers although more came through from behind them: no loss of the path."""
        found = set()
        for flow in self.flows:
            best = 0.0
            for hop in reversed(flow.hops):
                share = len(hop.answers) / hop.sent if hop.sent else 0.0
                if 0 < share < best:
                    found.add(hop.ttl)
                best = max(best, share)
        return tuple(sorted(found))
