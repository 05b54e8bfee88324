"""A lab as people write it: a TOML file, or a few figures from which places and links are drawn."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from probes.document import DocumentError, Part, read_document
from probes.lab.network import MOST_HOPS, Host, Link, Network, Pop
from probes.reading import BadRecord

HOSTS, HOSTS6 = ip_address("10.10.0.0"), ip_address("fd10::")
POPS, POPS6 = ip_address("10.78.0.0"), ip_address("fd78::")
ROUTERS, ROUTERS6 = ip_address("10.100.0.0"), ip_address("fd10:1::")


class LinkPart(Part):
    """The keys of `Link`."""

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    rate_mbps: float | None = None
    queue_kbyte: float | None = None
    up: bool = True
    back: "LinkPart | None" = None
    hops: tuple[tuple[str, ...], ...] = ()

    def model_post_init(self, _: Any) -> None:
        """Refuses what no link can have."""
        self.link()

    def link(self) -> Link:
        """The link that this describes."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "back"}
        return Link(**values, back=self.back.link() if self.back else None)


class PlacePart(Part):
    """A host or a PoP; addresses that are not given are drawn from 10.10/16 and 10.78/16, fd10::/64 and fd78::/64."""

    address: str | None = None
    address6: str | None = None


class PopPart(PlacePart):
    """A PoP, with the link that it has to every host where a pair has none of its own."""

    link: LinkPart | None = None


class PairPart(LinkPart):
    """A link of its own for a pair of places."""

    between: tuple[str, str]

    @field_validator("between")
    @classmethod
    def _two(cls, between: tuple[str, str]) -> tuple[str, str]:
        if between[0] == between[1]:
            raise ValueError("a place needs no link to itself; give two names")
        return between

    def link(self) -> Link:
        """The link, without the names."""
        return LinkPart.model_validate(self.model_dump(exclude={"between"}), strict=False).link()


class LabPart(Part):
    """The whole file."""

    hosts: dict[str, PlacePart]
    pops: dict[str, PopPart] = Field(default_factory=dict)
    links: tuple[PairPart, ...] = ()
    default: LinkPart = LinkPart()
    seed: int = 0
    offload: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """From the least to the most, drawn evenly."""

    least: float
    most: float

    @staticmethod
    def parse(text: str) -> "Range":
        """`5` or `1..300`; ValueError for anything else."""
        least, dots, most = text.partition("..")
        try:
            parsed = Range(float(least), float(most if dots else least))
        except ValueError as error:
            raise ValueError(f"{text!r} is no range") from error
        if not 0 <= parsed.least <= parsed.most:
            raise ValueError(f"{text!r} does not go up from 0 or more")
        return parsed

    def drawn(self, chance: random.Random) -> float:
        """One value, to the microsecond where it is milliseconds."""
        return round(chance.uniform(self.least, self.most), 3)


def read(path: Path) -> Network:
    """The network of a TOML file. Raises DocumentError with every fault."""
    part = read_document(LabPart, path)
    hosts = [Host(*named) for named in _addressed(part.hosts, HOSTS, HOSTS6)]
    own = {name: pop.link.link() for name, pop in part.pops.items() if pop.link}
    pops = [Pop(*named, own.get(named[0])) for named in _addressed(part.pops, POPS, POPS6)]
    pairs = {pair.between: pair.link() for pair in part.links}
    try:
        return Network(tuple(hosts), tuple(pops), pairs, part.default.link(), part.seed, part.offload)
    except ValueError as error:
        faults = [BadRecord(str(path), 0, "", "", text, "correct it") for text in str(error).split("; ")]
        raise DocumentError(faults) from error


def routers(hops: int, pop: int) -> tuple[tuple[str, ...], ...]:
    """So many routers before a PoP, from 10.100/16 and fd10:1::/64 the first, and so on; the second is two at once."""
    if hops > MOST_HOPS:
        raise ValueError(f"{hops} hops: at most {MOST_HOPS}")
    first = [(str(ROUTERS + (hop << 16) + pop), str(ROUTERS6 + (hop << 96) + pop)) for hop in range(hops)]
    return tuple(
        (*pair, str(ROUTERS + (MOST_HOPS << 16) + pop)) if hop == 1 else pair for hop, pair in enumerate(first)
    )


def drawn(hosts: int, pops: int, rtt_ms: Range, link: Link, hops: int, seed: int, offload: bool) -> Network:
    """Hosts h1, h2... and PoPs p1, p2...: each pair of host and PoP has a round trip of its own, and else this link."""
    chance = random.Random(seed)
    names = {f"h{number}": PlacePart() for number in range(1, hosts + 1)}
    pop_names = {f"p{number}": PlacePart() for number in range(1, pops + 1)}

    ways = [(pop, routers(hops, number)) for number, pop in enumerate(pop_names, 1)]
    pairs = {(host, pop): replace(link, rtt_ms=rtt_ms.drawn(chance), hops=way) for host in names for pop, way in ways}
    return Network(
        tuple(Host(*named) for named in _addressed(names, HOSTS, HOSTS6)),
        tuple(Pop(*named) for named in _addressed(pop_names, POPS, POPS6)),
        pairs,
        Link(rtt_ms.least),
        seed,
        offload,
    )


def _addressed(places: Mapping[str, PlacePart], first: Any, first6: Any) -> Iterator[tuple[str, str, str]]:
    for number, (name, place) in enumerate(places.items(), 1):
        yield name, place.address or str(first + number), place.address6 or str(first6 + number)
