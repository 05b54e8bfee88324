"""What comes back to a traceroute's socket, stamped by the kernel: ICMP errors with what they quote, and answers."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from probes.methods.trace.path import Label
from probes.wire.batch import SO_TIMESTAMPNS
from probes.wire.error_queue import ask_for_errors, explained

_TIMESPEC: Final = struct.Struct("@ll")
# IP_RECVERR_RFC4884 and IPV6_RECVERR_RFC4884 (Linux 5.9): where the extensions behind a quoted packet begin.
_RFC4884: Final = {socket.AF_INET: (socket.IPPROTO_IP, 26), socket.AF_INET6: (socket.IPPROTO_IPV6, 31)}
_INVALID: Final = 1
_BY_ICMP: Final = frozenset((2, 3))  # SO_EE_ORIGIN_ICMP and _ICMP6; the queue also holds stamps of what was sent
_TTL: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TTL),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}
_READ: Final = 2048


@dataclass(frozen=True, slots=True)
class Error:
    """An ICMP error about a packet that the socket sent.

    `address` sent it; None where the kernel does not say. `quoted` is what the socket's type shows of the packet:
    behind the UDP header for UDP, from the TCP or ICMP header on else. `at_ns` is since 1970 UTC.
    """

    at_ns: int | None
    address: str | None
    icmp: tuple[int, int]
    quoted: bytes
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet from the target itself."""

    at_ns: int | None
    address: str
    data: bytes


def prepare(sock: socket.socket) -> None:
    """Makes a socket stamp what comes in and keep its errors, extensions where the kernel can tell them."""
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    ask_for_errors(sock)
    try:
        sock.setsockopt(*_RFC4884[socket.AddressFamily(sock.family)], 1)
    except OSError:
        return  # before Linux 5.9: hops without their labels


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """The TTL or hop limit of what the socket sends from now on."""
    sock.setsockopt(*_TTL[socket.AddressFamily(sock.family)], ttl)


def errors(sock: socket.socket) -> Iterator[Error]:
    """Takes the ICMP errors that wait; what this machine itself said is left out."""
    while True:
        try:
            data, control, _, _ = sock.recvmsg(_READ, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            return
        said = explained(control)
        if said is None or said.origin not in _BY_ICMP:
            continue
        length, flags = struct.unpack_from("=HB", said.data)
        extended = 0 < length < len(data) and not flags & _INVALID
        yield Error(
            _stamp(control),
            said.offender,
            (said.icmp_type, said.icmp_code),
            data[:length] if extended else data,
            labels(data[length:]) if extended else (),
        )


def arrivals(sock: socket.socket) -> Iterator[Arrival]:
    """Takes the packets that wait; pending errors are cleared, since `errors` tells them better."""
    refused = 0
    while refused < 16:
        try:
            data, control, _, name = sock.recvmsg(_READ, 256, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            refused += 1
            continue
        yield Arrival(_stamp(control), name[0] if name else "", data)


def labels(extension: bytes) -> tuple[Label, ...]:
    """The MPLS label stack in an ICMP extension structure (RFC 4884, RFC 4950); () where it holds none or is broken."""
    from scapy.contrib.mpls import MPLS, ICMPExtension_MPLS  # noqa: PLC0415  # half a second
    from scapy.layers.inet import ICMPExtension_Header  # noqa: PLC0415

    try:
        header = ICMPExtension_Header(extension)
        stacks = [part for part in header.iterpayloads() if isinstance(part, ICMPExtension_MPLS)]
        found = [one for part in stacks for first in part.stack for one in first.iterpayloads()]
        return tuple(Label(one.label, one.cos, bool(one.s), one.ttl) for one in found if isinstance(one, MPLS))
    except Exception:  # whatever a dissector makes of a stranger's bytes: no labels
        return ()


def _stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None
