"""A GeoIP database in MaxMind's format, written by hand for tests: networks and what is known of them.

The file is a tree over the bits of an address (two records of four bytes a node: the next node, or the place of a
value), sixteen zero bytes, the values, and a map about all that behind a marker
(https://maxmind.github.io/MaxMind-DB/).
"""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import TypeAlias

Value: TypeAlias = "str | int | list[Value] | dict[str, Value]"

_TEXT, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11
_KINDS = {"node_count": _UINT32, "build_epoch": _UINT64, "autonomous_system_number": _UINT32}
"""Of whole numbers, by what they are of; others are of two bytes."""
_MARKER = b"\xab\xcd\xefMaxMind.com"


def geoip_database(known: Mapping[str, Value]) -> bytes:
    """The file of networks of IPv4, none within another."""
    nodes: list[list[int | None]] = [[None, None]]
    values = bytearray()
    leaves: dict[tuple[int, int], int] = {}
    for network, value in known.items():
        net = IPv4Network(network)
        bits = [int(net.network_address) >> (31 - j) & 1 for j in range(net.prefixlen)]
        here = 0
        for bit in bits[:-1]:
            if nodes[here][bit] is None:
                nodes.append([None, None])
                nodes[here][bit] = len(nodes) - 1
            here = nodes[here][bit]  # type: ignore[assignment]
        leaves[here, bits[-1]] = len(values)
        values += _encoded(value)
    tree = bytearray()
    for number, node in enumerate(nodes):
        for bit in (0, 1):
            at = leaves.get((number, bit))
            record = len(nodes) + 16 + at if at is not None else node[bit]
            tree += (len(nodes) if record is None else record).to_bytes(4, "big")
    about: dict[str, Value] = {
        "node_count": len(nodes),
        "record_size": 32,
        "ip_version": 4,
        "database_type": "nearserve-test",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1,
        "description": {"en": "for tests"},
    }
    return bytes(tree) + bytes(16) + bytes(values) + _MARKER + _encoded(about)


def _encoded(value: Value, of: str = "") -> bytes:
    if isinstance(value, str):
        return _head(_TEXT, len(value.encode())) + value.encode()
    if isinstance(value, int):
        raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return _head(_KINDS.get(of, _UINT16), len(raw)) + raw
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(map(_encoded, value))
    return _head(_MAP, len(value)) + b"".join(_encoded(key) + _encoded(part, key) for key, part in value.items())


def _head(kind: int, size: int) -> bytes:
    """The control byte; kinds above 7 stand in a byte of their own, sizes above 28 too."""
    wide = bytes([size - 29]) if size > 28 else b""
    short = min(size, 29)
    return (bytes([kind << 5 | short]) if kind <= 7 else bytes([short, kind - 7])) + wide
