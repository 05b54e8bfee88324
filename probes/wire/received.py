"""What the kernel tells of a datagram beside its bytes: when it came, to which address, with which TTL.

And the way back: control data that makes the answer leave from the address that was asked.
"""

import socket
import time
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.wire.batch import SO_TIMESTAMPNS, Inbox, control_messages

CONTROL_BYTES: Final = 128
_IP_PKTINFO: Final = 8
_IP_RECVTTL: Final = 12
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_HEADER: Final = 16
PKTINFO_BYTES: Final = {4: 32, 6: 40}
"""Control data of one IP_PKTINFO or IPV6_PKTINFO, padded to the header of the next."""


class Details(NamedTuple):
    """Of n datagrams: when they came (nanoseconds since 1970 UTC), TTL or hop limit, address asked (n, 4 or 16),
    whether that is one host's address and known (not broadcast, not multicast)."""

    received_ns: NDArray[np.int64]
    ttl: NDArray[np.uint8]
    asked: NDArray[np.uint8]
    unicast: NDArray[np.bool_]


def widen(sock: socket.socket, *, receive: int = 0, send: int = 0) -> None:
    """Make room for so many bytes in the socket's queues: beyond the system's limit where this process may."""
    for size, forced, asked in (
        (receive, _SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (send, _SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        if not size:
            continue
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, asked, size)


def ask_for_details(sock: socket.socket) -> None:
    """Make the kernel tell them with every datagram of this socket."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)


def _header(at: int) -> dict[str, tuple[int, str]]:
    return {f"length{at}": (at, "u8"), f"level{at}": (at + 8, "i4"), f"type{at}": (at + 12, "i4")}


def _layout(family: int) -> np.dtype[Any]:
    """The order in which Linux writes the three: timestamp, packet info, TTL."""
    info, ttl = 32, 32 + PKTINFO_BYTES[family]
    fields: dict[str, tuple[int, Any]] = {**_header(0), **_header(info), **_header(ttl)}
    fields |= {"seconds": (_HEADER, "i8"), "nanoseconds": (_HEADER + 8, "i8"), "ttl": (ttl + _HEADER, "i4")}
    if family == 4:
        fields |= {"local": (info + _HEADER + 4, ("u1", 4)), "asked": (info + _HEADER + 8, ("u1", 4))}
    else:
        fields |= {"asked": (info + _HEADER, ("u1", 16))}
    offsets, formats = zip(*fields.values(), strict=True)
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": CONTROL_BYTES})


_LAYOUT: Final = {family: _layout(family) for family in (4, 6)}
_EXPECTED: Final = {
    4: ((0, 32, socket.SOL_SOCKET, SO_TIMESTAMPNS), (32, 28, 0, _IP_PKTINFO), (64, 20, 0, socket.IP_TTL)),
    6: (
        (0, 32, socket.SOL_SOCKET, SO_TIMESTAMPNS),
        (32, 36, socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
        (72, 20, socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT),
    ),
}


def details(inbox: Inbox, family: int) -> Details:
    """The details of what the inbox holds; `family` 4 or 6, control data of CONTROL_BYTES.

    Where the kernel wrote another order, each datagram is read by itself. One without a time of receipt gets the time
    of this call; one without an address asked is no unicast.
    """
    rows = inbox.filled
    fields = inbox.control[:rows].view(_LAYOUT[family])[:, 0]
    *_, (last, length, _, _) = _EXPECTED[family]
    plain = inbox.control_lengths[:rows] >= last + length  # what was not written now may stand there from before
    for at, length, level, kind in _EXPECTED[family]:
        plain &= (fields[f"length{at}"] == length) & (fields[f"level{at}"] == level) & (fields[f"type{at}"] == kind)
    received_ns = fields["seconds"] * 1_000_000_000 + fields["nanoseconds"]
    ttl, asked = fields["ttl"].astype(np.uint8), fields["asked"].copy()
    if family == 4:
        unicast = plain & (fields["asked"] == fields["local"]).all(axis=1) & (asked[:, 0] < 224)
    else:
        unicast = plain & (asked[:, 0] != 0xFF)
    for row in np.flatnonzero(~plain).tolist():
        data = inbox.control[row, : int(inbox.control_lengths[row])].tobytes()
        received_ns[row], ttl[row], unicast[row] = _searched(data, family, asked[row])
    return Details(received_ns, ttl, asked, unicast)


def _searched(data: bytes, family: int, asked: NDArray[np.uint8]) -> tuple[int, int, bool]:
    received_ns, ttl, unicast = time.time_ns(), 0, False
    for level, kind, value in control_messages(data):
        if (level, kind, len(value)) == (socket.SOL_SOCKET, SO_TIMESTAMPNS, 16):
            seconds, nanoseconds = np.frombuffer(value, np.int64).tolist()
            received_ns = seconds * 1_000_000_000 + nanoseconds
        elif (level, kind, family) == (0, _IP_PKTINFO, 4) and len(value) >= 12:
            asked[:] = np.frombuffer(value[8:12], np.uint8)
            unicast = value[4:8] == value[8:12] and value[8] < 224
        elif (level, kind, family) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, 6) and len(value) >= 16:
            asked[:] = np.frombuffer(value[:16], np.uint8)
            unicast = value[0] != 0xFF
        elif (level, kind) in {(0, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)} and len(value) >= 4:
            ttl = value[0]
    return received_ns, ttl, unicast


def sent_from(addresses: NDArray[np.uint8], family: int) -> NDArray[np.uint8]:
    """(n, 32 or 40) control data that sends each datagram from its address (n, 4 or 16), by the routing table."""
    control = np.zeros((len(addresses), PKTINFO_BYTES[family]), np.uint8)
    head = np.zeros(1, [("length", "u8"), ("level", "i4"), ("type", "i4")])
    if family == 4:
        head[0] = (28, socket.IPPROTO_IP, _IP_PKTINFO)
        control[:, _HEADER + 4 : _HEADER + 8] = addresses
    else:
        head[0] = (36, socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
        control[:, _HEADER : _HEADER + 16] = addresses
    control[:, :_HEADER] = head.view(np.uint8)
    return control
