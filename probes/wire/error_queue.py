"""What the network said of packets that a socket sent: ICMP errors from the error queue (IP_RECVERR)."""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_RECVERR: Final = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_SOCK_EXTENDED_ERR: Final = struct.Struct("=IBBBBII")
_LOCAL: Final = 1
SENT: Final = 4
"""The origin (ee_origin) of what is no error: a packet that left, with the time when (SO_TIMESTAMPING)."""
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
        yield NetworkError(str(name[0]) if name else "", quoted, error_words(control))


@dataclass(frozen=True, slots=True)
class Explained:
    """struct sock_extended_err and the address of who sent the error; `data` is its last word as it stands."""

    errno: int
    origin: int
    icmp_type: int
    icmp_code: int
    data: bytes
    offender: str | None

    @property
    def local(self) -> bool:
        """Whether this machine itself made the error, without a packet."""
        return self.origin == _LOCAL


def explained(control: Iterable[tuple[int, int, bytes]]) -> Explained | None:
    """What the control data of an error say of it; None where they make no sense."""
    for level, kind, data in control:
        if (level, kind) in _RECVERR.values() and len(data) >= _SOCK_EXTENDED_ERR.size:
            code, origin, icmp_type, icmp_code, *_ = _SOCK_EXTENDED_ERR.unpack_from(data)
            return Explained(code, origin, icmp_type, icmp_code, data[12:16], _from(data[_SOCK_EXTENDED_ERR.size :]))
    return None


def error_words(control: Iterable[tuple[int, int, bytes]]) -> str:
    """What the control messages of an entry say, for a person."""
    error = explained(control)
    if error is None:
        return "an ICMP error without a reason"
    said = os.strerror(error.errno) if error.errno < 1 << 16 else f"error {error.errno}"
    if error.local:
        return f"{said} (this machine)"
    by = f" from {error.offender}" if error.offender else ""
    return f"{said} (ICMP {error.icmp_type}/{error.icmp_code}{by})"


def _from(name: bytes) -> str | None:
    """Who sent the error: a sockaddr behind the struct."""
    family = int.from_bytes(name[:2], sys.byteorder) if len(name) >= 2 else 0
    with contextlib.suppress(ValueError):
        if family == socket.AF_INET:
            return socket.inet_ntop(family, name[4:8])
        if family == socket.AF_INET6:
            return socket.inet_ntop(family, name[8:24])
    return None
