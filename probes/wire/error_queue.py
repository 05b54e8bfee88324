"""What the network said of packets that a socket sent: ICMP errors from the error queue (IP_RECVERR)."""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_RECVERR: Final = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_SOCK_EXTENDED_ERR: Final = struct.Struct("=IBBBBII")
_LOCAL: Final = 1
_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class NetworkError:
    """One error: the address that the packet was for, what the error quotes of it, and the words for a person."""

    host: str
    quoted: bytes
    words: str


def ask_for_errors(sock: socket.socket) -> None:
    """Let the kernel keep the ICMP errors of a socket, whatever its type."""
    sock.setsockopt(*_RECVERR[socket.AddressFamily(sock.family)], 1)


def network_errors(sock: socket.socket) -> Iterator[NetworkError]:
    """Take the errors that wait, 4,096 at most; control data that makes no sense gives words without a reason."""
    for _ in range(_AT_ONCE):
        try:
            quoted, control, _, name = sock.recvmsg(256, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            return
        yield NetworkError(str(name[0]) if name else "", quoted, _words(control))


def _words(control: list[tuple[int, int, bytes]]) -> str:
    for level, kind, data in control:
        if (level, kind) in _RECVERR.values() and len(data) >= _SOCK_EXTENDED_ERR.size:
            code, origin, icmp_type, icmp_code, *_ = _SOCK_EXTENDED_ERR.unpack_from(data)
            said = os.strerror(code)
            if origin == _LOCAL:
                return f"{said} (this machine)"
            return f"{said} (ICMP {icmp_type}/{icmp_code}{_from(data[_SOCK_EXTENDED_ERR.size :])})"
    return "an ICMP error without a reason"


def _from(name: bytes) -> str:
    """Who sent the error: a sockaddr behind the struct."""
    family = int.from_bytes(name[:2], sys.byteorder) if len(name) >= 2 else 0
    with contextlib.suppress(ValueError):
        if family == socket.AF_INET:
            return f" from {socket.inet_ntop(family, name[4:8])}"
        if family == socket.AF_INET6:
            return f" from {socket.inet_ntop(family, name[8:24])}"
    return ""
