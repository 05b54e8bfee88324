"""One flow's probes on their way out and back, by protocol; each kind says how a probe is told from the next.

UDP: a socket of the system, no privilege. Number and its complement stand in the payload, so that the checksum, like
the ports, is the same in every probe. Errors come from the error queue, with what the router quotes of the payload.
ICMP: an echo socket; the sequence number is the probe's, its complement in the payload keeps the checksum.
TCP: a raw socket where that is allowed, the number in the sequence number of a SYN; else one `connect` after another.
scapy makes the templates of ICMP and TCP; only the number is written into them when they are sent.
"""

import contextlib
import errno
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from probes.methods.endpoint import Endpoint
from probes.methods.trace.path import Label
from probes.methods.trace.returns import Error, arrivals, errors, prepare, set_ttl
from probes.wire.address import connect_address, family_of
from probes.wire.icmp_socket import ECHO_REPLY, open_icmp
from probes.wire.tcp_info import tcp_info

Kind = Literal["udp", "tcp", "icmp"]
UDP_PORT: Final = 33434
_SIDE_BY_SIDE: Final = 8
_PORT_UNREACHABLE: Final = {socket.AF_INET: (3, 3), socket.AF_INET6: (1, 4)}
_ABORT: Final = struct.pack("ii", 1, 0)
_SYN_ACK_OR_RST: Final = 0x14


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: the probe's number (None where too little was quoted), when, by whom, whether it was the target."""

    number: int | None
    at_ns: int | None
    address: str
    icmp: tuple[int, int] | None
    labels: tuple[Label, ...]
    final: bool


class Prober(Protocol):
    """`at_once`: how many probes may be under way. `flow`: the source port, or the id of ICMP."""

    at_once: int
    flow: int

    def send(self, ttl: int, number: int) -> int:
        """Sends one probe; when, in ns since 1970 UTC. Raises OSError."""

    def sockets(self) -> list[socket.socket]:
        """What to wait on."""

    def receive(self) -> Iterator[Seen]:
        """What came back since the last call."""

    def close(self) -> None:
        """Gives the sockets back."""


def prober(kind: Kind, endpoint: Endpoint, raw: bool | None) -> Prober:
    """A new flow. `raw` False keeps TCP to what needs no privilege, True insists on raw sockets.

    Raises ValueError for TCP without a port, PermissionError where the system allows no such socket, OSError.
    """
    if kind == "udp":
        return _Udp(endpoint)
    if kind == "icmp":
        return _Icmp(endpoint)
    if endpoint.port is None:
        raise ValueError(f"{endpoint.name} has no port for a TCP trace; give one, such as 443")
    if raw is not False:
        try:
            return _TcpRaw(endpoint, endpoint.port)
        except PermissionError:
            if raw:
                raise
    return _TcpConnect(endpoint, endpoint.port)


class _Udp:
    at_once = _SIDE_BY_SIDE

    def __init__(self, endpoint: Endpoint) -> None:
        self._family = family_of(endpoint.address)
        self._cookie = secrets.token_bytes(4)
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            prepare(self._socket)
            self._socket.connect(connect_address(endpoint.address, endpoint.port or UDP_PORT))
        except BaseException:
            self._socket.close()
            raise
        self.flow = int(self._socket.getsockname()[1])

    def send(self, ttl: int, number: int) -> int:
        return _send(self._socket, ttl, struct.pack("!HH", number, 0xFFFF - number) + self._cookie + bytes(12))

    def sockets(self) -> list[socket.socket]:
        return [self._socket]

    def receive(self) -> Iterator[Seen]:
        for error in errors(self._socket):
            number = self._number(error.quoted)
            if number is not None or len(error.quoted) < 8:  # with eight bytes and another cookie it is no answer
                yield _seen(number, error, error.icmp == _PORT_UNREACHABLE[self._family])
        for arrival in arrivals(self._socket):
            yield Seen(self._number(arrival.data), arrival.at_ns, arrival.address, None, (), final=True)

    def _number(self, payload: bytes) -> int | None:
        return int.from_bytes(payload[:2], "big") if payload[4:8] == self._cookie else None

    def close(self) -> None:
        self._socket.close()


class _Icmp:
    at_once = _SIDE_BY_SIDE

    def __init__(self, endpoint: Endpoint) -> None:
        from scapy.layers.inet import ICMP, IP  # noqa: PLC0415
        from scapy.layers.inet6 import ICMPv6EchoRequest  # noqa: PLC0415
        from scapy.packet import Raw  # noqa: PLC0415

        self._family = family_of(endpoint.address)
        opened = open_icmp(self._family)
        self._socket, self.flow = opened.socket, opened.ident
        self._has_ip_header = opened.kind == "raw" and self._family == socket.AF_INET
        body = Raw(b"\xff\xff" + secrets.token_bytes(10))
        if self._family == socket.AF_INET:
            self._template = bytes(IP() / ICMP(id=self.flow, seq=0) / body)[20:]
        else:  # the kernel writes the checksum of ICMPv6
            self._template = bytes(ICMPv6EchoRequest(id=self.flow, seq=0, cksum=0) / body)
        try:
            prepare(self._socket)
            self._socket.connect(connect_address(endpoint.address, 0))
        except BaseException:
            self._socket.close()
            raise

    def send(self, ttl: int, number: int) -> int:
        packet = self._template[:6] + struct.pack("!HH", number, 0xFFFF - number) + self._template[10:]
        return _send(self._socket, ttl, packet)

    def sockets(self) -> list[socket.socket]:
        return [self._socket]

    def receive(self) -> Iterator[Seen]:
        for error in errors(self._socket):
            if (number := self._number(error.quoted)) is not None:
                yield _seen(number, error, final=False)
        for arrival in arrivals(self._socket):
            data = arrival.data
            if self._has_ip_header:
                data = data[(data[0] & 0x0F) * 4 :]
            if data[:1] == bytes([ECHO_REPLY[self._family]]) and data[10:] == self._template[10:]:
                icmp = (ECHO_REPLY[self._family], 0)
                yield Seen(self._number(data), arrival.at_ns, arrival.address, icmp, (), final=True)

    def _number(self, message: bytes) -> int | None:
        return (
            int.from_bytes(message[6:8], "big") if message[4:6] == self._template[4:6] and len(message) >= 8 else None
        )

    def close(self) -> None:
        self._socket.close()


class _TcpRaw:
    at_once = _SIDE_BY_SIDE

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        family = family_of(endpoint.address)
        self._socket = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self._reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            prepare(self._socket)
            self._socket.connect(connect_address(endpoint.address, 0))
            here = self._socket.getsockname()[0]
            # Held, never used: nobody else gets the port, and the kernel refuses the SYN-ACK with a RST.
            self._reserved.bind(connect_address(here, 0))
            self.flow = int(self._reserved.getsockname()[1])
            self._template = _syn(here, endpoint.address, self.flow, port)
        except BaseException:
            self.close()
            raise
        self._has_ip_header = family == socket.AF_INET
        self._back = struct.pack("!HH", port, self.flow)

    def send(self, ttl: int, number: int) -> int:
        checksum = _with_number(int.from_bytes(self._template[16:18], "big"), number)
        packet = self._template[:6] + struct.pack("!H", number) + self._template[8:16] + checksum + self._template[18:]
        return _send(self._socket, ttl, packet)

    def sockets(self) -> list[socket.socket]:
        return [self._socket]

    def receive(self) -> Iterator[Seen]:
        for error in errors(self._socket):
            if len(error.quoted) >= 8 and error.quoted[:6] == self._template[:6]:
                yield _seen(int.from_bytes(error.quoted[6:8], "big"), error, final=False)
        for arrival in arrivals(self._socket):
            data = arrival.data[(arrival.data[0] & 0x0F) * 4 :] if self._has_ip_header else arrival.data
            if len(data) >= 20 and data[:4] == self._back and data[13] & _SYN_ACK_OR_RST:
                number = (int.from_bytes(data[8:12], "big") - 1) & 0xFFFF
                yield Seen(number, arrival.at_ns, arrival.address, None, (), final=True)

    def close(self) -> None:
        self._socket.close()
        self._reserved.close()


class _TcpConnect:
    """One connection after another from the same port: the kernel allows no two of the same five-tuple at once."""

    at_once = 1

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        self._there = connect_address(endpoint.address, port)
        self._family = family_of(endpoint.address)
        self._socket: socket.socket | None = None
        self._number = 0
        self._sent_ns = 0
        with socket.socket(self._family, socket.SOCK_STREAM) as chooser:
            chooser.bind(("", 0))
            self.flow = int(chooser.getsockname()[1])

    def send(self, ttl: int, number: int) -> int:
        self.close()
        self._number = number
        sock = self._socket = socket.socket(self._family, socket.SOCK_STREAM)
        prepare(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        set_ttl(sock, ttl)
        sock.bind(("", self.flow))
        self._sent_ns = time.time_ns()
        said = sock.connect_ex(self._there)
        if said not in {0, errno.EINPROGRESS, errno.ECONNREFUSED}:
            raise OSError(said, "connect")
        return self._sent_ns

    def sockets(self) -> list[socket.socket]:
        return [self._socket] if self._socket is not None else []

    def receive(self) -> Iterator[Seen]:
        sock, now_ns = self._socket, time.time_ns()
        if sock is None:
            return
        found = list(errors(sock))
        if found:
            yield _seen(self._number, found[0], final=False)
        else:
            said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            connected = said == 0 and _connected(sock)
            if not connected and said != errno.ECONNREFUSED:
                return
            rtt_us = tcp_info(sock).rtt_us if connected else None
            at_ns = self._sent_ns + rtt_us * 1000 if rtt_us else now_ns
            yield Seen(self._number, at_ns, self._there[0], None, (), final=True)
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _send(sock: socket.socket, ttl: int, packet: bytes) -> int:
    """When it was sent. An error of an earlier probe that waits at the socket is told once, by the first attempt."""
    set_ttl(sock, ttl)
    for _ in range(8):
        with contextlib.suppress(OSError):
            at_ns = time.time_ns()
            sock.send(packet)
            return at_ns
    at_ns = time.time_ns()
    sock.send(packet)
    return at_ns


def _seen(number: int | None, error: Error, final: bool) -> Seen:
    return Seen(number, error.at_ns, error.address or "", error.icmp, error.labels, final)


def _syn(here: str, there: str, source_port: int, port: int) -> bytes:
    """A SYN with sequence number N·65536, the checksum right for it."""
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415
    from scapy.layers.inet6 import IPv6  # noqa: PLC0415

    segment = TCP(
        sport=source_port, dport=port, seq=secrets.randbelow(1 << 16) << 16, flags="S", options=[("MSS", 1220)]
    )
    if ":" in there:
        return bytes(IPv6(src=here.partition("%")[0], dst=there.partition("%")[0]) / segment)[40:]
    return bytes(IP(src=here, dst=there) / segment)[20:]


def _with_number(checksum: int, number: int) -> bytes:
    """The Internet checksum after a word of zeros became `number` (RFC 1624, equation 3)."""
    total = (~checksum & 0xFFFF) + 0xFFFF + number
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")
