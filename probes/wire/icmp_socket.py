"""The socket of echo requests: unprivileged where `ping_group_range` allows it, raw otherwise."""

import contextlib
import ctypes
import errno
import secrets
import socket
import struct
from dataclasses import dataclass
from socket import AddressFamily
from typing import Final, Literal

from probes.wire.batch import SO_TIMESTAMPING
from probes.wire.error_queue import ask_for_errors
from probes.wire.received import widen
from probes.wire.stamping import LEFT, RECEIVED, await_stamps

Kind = Literal["datagram", "raw"]
KINDS: Final[tuple[Kind, ...]] = ("datagram", "raw")
RECEIVE_BYTES: Final = 32 << 20
ECHO_REQUEST: Final = {socket.AF_INET: 8, socket.AF_INET6: 128}
ECHO_REPLY: Final = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL: Final = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_TYPE: Final = {"datagram": socket.SOCK_DGRAM, "raw": socket.SOCK_RAW}
_SO_ATTACH_FILTER: Final = 26
_SO_MEMINFO: Final = 55
_MEMINFO_DROPS: Final = 8


class NoIcmpSocketError(PermissionError):
    """Neither kind of socket is allowed here; the message says what would allow it."""


@dataclass(frozen=True, slots=True)
class IcmpSocket:
    """An open, non-blocking socket: its echo id, and the receive buffer that the kernel really gave, in bytes."""

    socket: socket.socket
    kind: Kind
    family: AddressFamily
    ident: int
    receive_bytes: int

    def dropped(self) -> int:
        """How many packets found the receive buffer full; 0 where the kernel does not tell (before Linux 4.12)."""
        try:
            info = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        except OSError:
            return 0
        at = 4 * _MEMINFO_DROPS
        return int(struct.unpack_from("=I", info, at)[0]) if len(info) >= at + 4 else 0


def open_icmp(family: socket.AddressFamily, kinds: tuple[Kind, ...] = KINDS) -> IcmpSocket:
    """The first kind that the system allows, with a random id, kernel timestamps, and errors in the error queue.

    There too each request comes back when it is handed to the device, with the time of that.
    A raw socket is given the echo replies of its own id only, so that others' traffic does not wake it.
    Raises NoIcmpSocketError where no kind is allowed, OSError where the family is not there at all.
    """
    refusal: OSError | None = None
    for kind in kinds:
        try:
            sock = socket.socket(family, _TYPE[kind] | socket.SOCK_NONBLOCK, _PROTOCOL[family])
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EPERM, errno.EPROTONOSUPPORT}:
                raise
            refusal = error
            continue
        try:
            return _prepared(sock, kind, family)
        except BaseException:
            sock.close()
            raise
    raise NoIcmpSocketError(
        "no ICMP socket is allowed here: let the group in by sysctl net.ipv4.ping_group_range, or grant CAP_NET_RAW"
    ) from refusal


def _prepared(sock: socket.socket, kind: Kind, family: socket.AddressFamily) -> IcmpSocket:
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, LEFT | RECEIVED)
    ident = _bound(sock, family) if kind == "datagram" else secrets.randbelow(1 << 16)
    if kind == "raw":
        _accept_only(sock, family, ident)
    widen(sock, receive=RECEIVE_BYTES)
    ask_for_errors(sock)
    await_stamps()
    given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return IcmpSocket(sock, kind, family, ident, given)


def _bound(sock: socket.socket, family: socket.AddressFamily) -> int:
    """A free id at random; left to itself the kernel counts them up."""
    for _ in range(32):
        with contextlib.suppress(OSError):
            sock.bind(("", secrets.randbelow((1 << 16) - 1) + 1))
            break
    else:
        sock.bind(("", 0))
    return int(sock.getsockname()[1])


def _accept_only(sock: socket.socket, family: socket.AddressFamily, ident: int) -> None:
    """Attach a classic BPF program that lets echo replies of the id pass; a raw IPv4 socket sees the IP header."""
    if family == socket.AF_INET:
        load_header, byte, half = (0xB1, 0, 0, 0), 0x50, 0x48  # x = 4*([0]&15); ldb [x+k]; ldh [x+k]
        program = [load_header]
    else:
        byte, half = 0x30, 0x28
        program = []
    program += [
        (byte, 0, 0, 0),
        (0x15, 0, 3, ECHO_REPLY[family]),
        (half, 0, 0, 4),
        (0x15, 0, 1, ident),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    fprog = struct.pack("@HP", len(program), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
