"""Which addresses may be measured: checked after DNS, so that a name cannot lead where its owner should not send us.

An address must lie in a network of the policy. That is enough for public unicast. For every special address
(multicast, loopback, private, translated forms of IPv4, ...) the network must lie within the special block itself:
10.0.0.0/8 lists private addresses, 0.0.0.0/0 lists none of them. Where IPv6 carries an IPv4 address (mapped, NAT64,
6to4), the IPv4 address must be allowed too. The blocks are those of the IANA special-purpose registries
(RFC 6890 and its successors).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Kind = Literal[
    "unspecified",
    "loopback",
    "link-local",
    "private",
    "multicast",
    "broadcast",
    "reserved",
    "translated",
    "unlisted",
    "port",
]

_BLOCKS: Final[tuple[tuple[Kind, str], ...]] = (
    # The narrower block first.
    ("broadcast", "255.255.255.255/32"),
    ("unspecified", "0.0.0.0/8"),
    ("loopback", "127.0.0.0/8"),
    ("link-local", "169.254.0.0/16"),
    ("private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10"),
    ("multicast", "224.0.0.0/4"),
    ("reserved", "192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4"),
    ("unspecified", "::/128"),
    ("loopback", "::1/128"),
    ("translated", "::ffff:0:0/96 ::ffff:0:0:0/96 ::/96 64:ff9b::/96 64:ff9b:1::/48 2002::/16 2001::/32"),
    ("reserved", "2001::/23 2001:db8::/32 3fff::/20"),
    ("link-local", "fe80::/10"),
    ("private", "fc00::/7 fec0::/10"),
    ("multicast", "ff00::/8"),
)
_SPECIAL: Final = tuple((kind, ip_network(text)) for kind, texts in _BLOCKS for text in texts.split())
_UNICAST6: Final = IPv6Network("2000::/3")
"""The only IPv6 space that is handed out; the rest is reserved."""
_ALL6: Final = IPv6Network("::/0")
_6TO4: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_IN_LOW_BITS: Final = tuple(map(IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")))
PUBLIC: Final = (IPv4Network("0.0.0.0/0"), _ALL6)
"""Lists every public unicast address and nothing special."""
_BY_HAND: Final = ("loopback", "link-local", "private", "reserved", "translated")


@dataclass(frozen=True, slots=True)
class Policy:
    """Networks that may be measured, and ports (None: every port; methods without a port need none)."""

    networks: tuple[Network, ...]
    ports: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address that may not be measured, and why; `str` is a sentence with the mend."""

    address: str
    kind: Kind
    port: int | None = None

    def __str__(self) -> str:
        if self.kind == "port":
            return f"port {self.port} is not listed: add it to the allowed ports"
        if self.kind == "unlisted":
            return f"{self.address} is in no listed network: add one that holds it"
        return f"{self.address} is {self.kind}: list it by a network of that kind, if it is meant"


def screened(addresses: Iterable[str], port: int | None, policy: Policy) -> tuple[list[str], list[Refusal]]:
    """The addresses (IP literals) that may be measured, in their order, and the refusal of each other one."""
    allowed: list[str] = []
    refused: list[Refusal] = []
    for address in addresses:
        refusal = refusal_of(address, port, policy)
        if refusal is None:
            allowed.append(address)
        else:
            refused.append(refusal)
    return allowed, refused


def refusal_of(address: str, port: int | None, policy: Policy) -> Refusal | None:
    """Why an address may not be measured, None where it may; ValueError where it is no IP literal."""
    kind = _refused(_unscoped(address), policy)
    if kind is not None:
        return Refusal(address, kind)
    if port is not None and policy.ports is not None and port not in policy.ports:
        return Refusal(address, "port", port)
    return None


def named_by_hand(addresses: Iterable[str]) -> tuple[Network, ...]:
    """The networks that a person lists by naming addresses: each alone; never multicast, broadcast, unspecified."""
    found: list[Network] = []
    for text in addresses:
        address = _unscoped(text)
        inner = _carried(address)
        if all(_kind(a)[0] in (*_BY_HAND, None) for a in (address, inner) if a is not None):
            found += [ip_network(a) for a in (address, inner) if a is not None]
    return tuple(found)


def _refused(address: Address, policy: Policy) -> Kind | None:
    kind, block = _kind(address)
    holding = [network for network in policy.networks if network.version == address.version and address in network]
    if kind is not None and not any(_within(network, block) for network in holding):
        return kind
    if not holding:
        return "unlisted"
    inner = _carried(address)
    return _refused(inner, policy) if inner is not None else None


def _kind(address: Address) -> tuple[Kind | None, Network]:
    """What is special about an address, and the block that makes it so; None for public unicast."""
    for kind, block in _SPECIAL:
        if address.version == block.version and address in block:
            return kind, block
    if isinstance(address, IPv6Address) and address not in _UNICAST6:
        return "reserved", _ALL6
    return None, _ALL6


def _within(network: Network, block: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(block, IPv4Network) and network.subnet_of(block)
    if block == _ALL6:  # reserved space has no block of its own: a network lists it that holds nothing else
        return not network.overlaps(_UNICAST6)
    return isinstance(block, IPv6Network) and network.subnet_of(block)


def _carried(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to: mapped, compatible, NAT64 (RFC 6052), 6to4, Teredo's client."""
    if isinstance(address, IPv4Address):
        return None
    number = int(address)
    if address in _6TO4:
        return IPv4Address(number >> 80 & 0xFFFFFFFF)
    if address in _TEREDO:
        return IPv4Address(number & 0xFFFFFFFF ^ 0xFFFFFFFF)
    if any(address in block for block in _IN_LOW_BITS):
        return IPv4Address(number & 0xFFFFFFFF)
    return IPv4Address(number) if 1 < number < 1 << 32 else None


def _unscoped(address: str) -> Address:
    """Without the zone: %eth0 says where to send, not to whom."""
    return ip_address(address.partition("%")[0])
