"""Routers on a way: they let packets pass with a smaller TTL, or say that it was exceeded."""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from ipaddress import ip_address
from typing import Final

from probes.lab.port import ETHERNET, VNET

IP: Final = VNET + ETHERNET
CHECKSUM_MISSING: Final = 1
"""Flag of virtio_net_hdr: the sender left the sum of TCP or UDP to its device."""
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
QUOTED, QUOTED6 = 576 - 28, 1280 - 48
"""How much of the packet is sent back: as much as fits (RFC 1812, section 4.3.2.3; RFC 4443, section 2.4 c)."""


class Routers:
    """The routers of one way; where one of them has several addresses of a family, the flow decides which it meets."""

    def __init__(self, hops: Sequence[Sequence[str]]) -> None:
        self.count = len(hops)
        packed = [[ip_address(address).packed for address in hop] for hop in hops]
        self._by_length = {size: [[one for one in hop if len(one) == size] for hop in packed] for size in (4, 16)}

    def take(self, frame: bytes) -> tuple[bytes | None, int]:
        """The frame as it leaves the last router, and 0; or the answer of the router where its TTL ended, None where
        that one is silent, and which it was, from 1."""
        four = frame[IP] >> 4 == 4
        at = IP + (8 if four else 7)
        if frame[at] > self.count:
            return _with_ttl(frame, at, frame[at] - self.count, four), 0
        number = max(1, frame[at])
        choice = self._by_length[4 if four else 16][number - 1]
        if not choice or _is_error(frame, four):
            return None, number
        address = choice[_chance(_flow(frame, four), number) % len(choice)]
        inner = _complete(_with_ttl(frame, at, 1, four))[IP:]
        answer = _exceeded(inner, address) if four else _exceeded6(inner, address)
        return bytes(VNET) + frame[VNET:IP] + answer, number


def _chance(flow: bytes, number: int) -> int:
    return int.from_bytes(blake2b(flow, digest_size=8, salt=bytes([number])).digest(), "big")


def checksum(data: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _with_ttl(frame: bytes, at: int, ttl: int, four: bool) -> bytes:
    changed = bytearray(frame)
    changed[at] = ttl
    if four:
        end = IP + (frame[IP] & 15) * 4
        changed[IP + 10 : IP + 12] = b"\0\0"
        changed[IP + 10 : IP + 12] = checksum(changed[IP:end]).to_bytes(2, "big")
    return bytes(changed)


def _complete(frame: bytes) -> bytes:
    """The frame with the sum that its sender's device would have filled in."""
    flags, _, _, _, start, offset = struct.unpack_from("=BBHHHH", frame)
    if not flags & CHECKSUM_MISSING or VNET + start + offset + 2 > len(frame):
        return frame
    whole = checksum(frame[VNET + start :]) or 0xFFFF  # the field holds the pseudo-header's sum until now
    at = VNET + start + offset
    return frame[:at] + whole.to_bytes(2, "big") + frame[at + 2 :]


def _flow(frame: bytes, four: bool) -> bytes:
    """Addresses, protocol, and the ports of TCP and UDP: what routers of equal paths look at."""
    addresses = frame[IP + 12 : IP + 20] if four else frame[IP + 8 : IP + 40]
    protocol = frame[IP + 9] if four else frame[IP + 6]
    payload = IP + (frame[IP] & 15) * 4 if four else IP + 40
    ports = frame[payload : payload + 4] if protocol in (TCP, UDP) else b""
    return addresses + bytes([protocol]) + ports


def _is_error(frame: bytes, four: bool) -> bool:
    """An ICMP error, about which no router says anything."""
    if four:
        payload = IP + (frame[IP] & 15) * 4
        return frame[IP + 9] == ICMP and frame[payload : payload + 1] not in (b"\x08", b"\0")
    return frame[IP + 6] == ICMP6 and frame[IP + 40 : IP + 41] < b"\x80"


def _exceeded(inner: bytes, router: bytes) -> bytes:
    """Time exceeded in transit (RFC 792)."""
    body = struct.pack("!BBHI", 11, 0, 0, 0) + inner[:QUOTED]
    body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    header = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(body), 0, 0, 64, ICMP, 0) + router + inner[12:16]
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


def _exceeded6(inner: bytes, router: bytes) -> bytes:
    """Hop limit exceeded in transit (RFC 4443, section 3.3)."""
    body = struct.pack("!BBHI", 3, 0, 0, 0) + inner[:QUOTED6]
    pseudo = router + inner[8:24] + struct.pack("!II", len(body), ICMP6)
    body = body[:2] + checksum(pseudo + body).to_bytes(2, "big") + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), ICMP6, 64) + router + inner[8:24] + body
