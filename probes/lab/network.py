"""What a lab is made of: hosts, PoPs, and what a link does to packets."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

QUEUE_MS = 50.0
"""How much a queue holds where nobody says: this long at the link's rate, and never less than QUEUE_KBYTE."""
QUEUE_KBYTE = 64.0
MOST_HOSTS = 200
MOST_HOPS = 60


class LabError(RuntimeError):
    """The lab cannot be made or used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Link:
    """What happens to packets between two places; each way has a queue and a chance of its own.

    `rtt_ms`: half of it is waited each way. `jitter_ms`: each way waits for up to this much more, evenly distributed,
    in order; so `rtt_ms` is the minimum that can be measured. `loss`: the probability that a packet is lost, *each way*
    (a round trip is lost with 1 - (1 - loss)²). `rate_mbps`: bits of IP packets in a second, each way, headers of IP
    counted and of Ethernet not (RFC 5136); None is as fast as the machine goes. `queue_kbyte`: what may wait for the
    rate; what does not fit is dropped. `up`: False loses everything. `back`: what holds for the way back instead;
    half of its own `rtt_ms` is waited there. `hops`: the routers on the way there, one after the other, each with its
    addresses: the flow decides which it meets where there are several of a family, and one without any is silent.
    They are spread evenly over the way. Without `back` the way back has them in reverse.
    Raises ValueError for figures that no link can have.
    """

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    rate_mbps: float | None = None
    queue_kbyte: float | None = None
    up: bool = True
    back: "Link | None" = None
    hops: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in ("rtt_ms", "jitter_ms"):
            if not 0 <= getattr(self, name) <= 60_000:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 to 60,000 milliseconds")
        if not 0 <= self.loss <= 1:
            raise ValueError(f"loss is {self.loss}: give a probability, 0 to 1")
        for name in ("rate_mbps", "queue_kbyte"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}: give a positive figure, or None")
        if len(self.hops) > MOST_HOPS:
            raise ValueError(f"{len(self.hops)} hops: at most {MOST_HOPS}, as packets start with a TTL of 64")
        for hop in self.hops:
            for address in hop:
                ipaddress.ip_address(address)

    @property
    def queue_bytes(self) -> float:
        """What may wait for the rate."""
        if self.queue_kbyte is not None:
            return self.queue_kbyte * 1e3
        return max(QUEUE_KBYTE * 1e3, (self.rate_mbps or 0.0) * 125 * QUEUE_MS)

    @property
    def round_trip_ms(self) -> float:
        """The least round trip: both ways' halves."""
        return (self.rtt_ms + (self.back or self).rtt_ms) / 2

    @property
    def round_trip_loss(self) -> float:
        """The probability that a request or its answer is lost."""
        return 1 - (1 - self.loss) * (1 - (self.back or self).loss)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine in a namespace of its own, where programs run: an agent, a collector, a bench's client or server."""

    name: str
    address: str
    address6: str | None = None


@dataclass(frozen=True, slots=True)
class Pop:
    """A place to be measured. All PoPs share one namespace; `link` is the one to every host, where none is given."""

    name: str
    address: str
    address6: str | None = None
    link: Link | None = None


Place = Host | Pop


@dataclass(frozen=True)
class Network:
    """The whole lab: places and links. Raises ValueError that lists everything that cannot be."""

    hosts: tuple[Host, ...]
    pops: tuple[Pop, ...]
    links: dict[tuple[str, str], Link]
    default: Link
    seed: int
    offload: bool
    order: dict[str, int] = field(init=False, repr=False)
    own: dict[str, Link] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if wrong := [*_wrong_places(self), *_wrong_links(self)]:
            raise ValueError("; ".join(wrong))
        object.__setattr__(self, "order", {place.name: number for number, place in enumerate(self.places)})
        object.__setattr__(self, "own", {pop.name: pop.link for pop in self.pops if pop.link})

    @property
    def places(self) -> tuple[Place, ...]:
        """Hosts, then PoPs."""
        return (*self.hosts, *self.pops)

    def link(self, first: str, second: str) -> Link:
        """What holds from the first place to the second: the pair's link, the PoP's own, or the default.

        A pair's link is given from the pair's first place; the others are given from hosts to PoPs, and between hosts
        from the one that was listed before.
        """
        for pair, forward in (((first, second), True), ((second, first), False)):
            if pair in self.links:
                return _way(self.links[pair], forward)
        link = self.own.get(first) or self.own.get(second) or self.default
        return _way(link, self.order[first] < self.order[second])

    def addresses(self) -> dict[bytes, str]:
        """Packed address → the place's name, both families."""
        return {
            ipaddress.ip_address(address).packed: place.name
            for place in self.places
            for address in (place.address, place.address6)
            if address is not None
        }


def _way(link: Link, forward: bool) -> Link:
    if forward:
        return link
    return link.back or (replace(link, hops=link.hops[::-1]) if link.hops else link)


def _wrong_places(network: Network) -> Iterator[str]:
    names: set[str] = set()
    taken: dict[str, str] = {}
    for place in network.places:
        if place.name in names:
            yield f"two places are called {place.name!r}: give each a name of its own"
        names.add(place.name)
        for address, version in ((place.address, 4), (place.address6, 6)):
            if address is None:
                continue
            try:
                parsed = ipaddress.ip_address(address)
            except ValueError:
                yield f"{place.name}: {address!r} is no address"
                continue
            if parsed.version != version:
                yield f"{place.name}: {address} is no address of IPv{version}"
            if str(parsed) in taken:
                yield f"{place.name} and {taken[str(parsed)]} share {address}"
            taken[str(parsed)] = place.name
    if not network.hosts:
        yield "a lab wants at least one host"
    if len(network.hosts) > MOST_HOSTS:
        yield f"{len(network.hosts)} hosts: at most {MOST_HOSTS}, each is a namespace"


def _wrong_links(network: Network) -> Iterator[str]:
    names = {place.name for place in network.places}
    for pair in network.links:
        yield from (f"link {pair}: there is no place {name!r}" for name in pair if name not in names)
