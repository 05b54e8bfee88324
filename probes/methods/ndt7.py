"""Achievable TCP by NDT7: one connection, sized by time, stopped as soon as the rate has settled.

The figure is the receiver's, payload only: in a download what this end counted, in an upload what the server's
messages say that it counted. It is the rate of the last two windows of half a second that agree within 3 %; where none
do in `seconds`, of all windows after slow start. A transfer of a fixed size would tell the round-trip time rather than
the path. `bytes` is what the test moved in all, slow start and all.
"""

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from probes.methods.connect import connect, named, secure
from probes.methods.endpoint import Endpoint
from probes.methods.windows import Windows
from probes.record import Record
from probes.wire.clock import Reading
from probes.wire.http_head import Head, NotHttpError, read_head
from probes.wire.ndt7 import PATHS, SUBPROTOCOL, End, Exchange, Report, close, message
from probes.wire.tcp_info import tcp_info
from probes.wire.websocket import Channel, FrameError, Load, accept_key, new_key

Direction = Literal["down", "up"]
MAX_BYTES: Final = 10_000_000_000
HANDSHAKE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one test gave: the record, and how it came about.

    `windows_mbps` are the rates of half a second each, slow start first. `rtt_ms` are the smoothed round trips that
    the sender's kernel told about ten times a second: the queue that this connection itself built. `retransmitted` is
    the share of bytes sent twice, where the sender tells.
    """

    record: Record
    end: End | None
    settled: bool
    windows_mbps: tuple[float, ...] = ()
    rtt_ms: tuple[float, ...] = ()
    min_rtt_ms: float | None = None
    retransmitted: float | None = None


class RefusedError(Exception):
    """The server answered the request with something other than a WebSocket of NDT7."""


def measure(
    endpoint: Endpoint,
    *,
    direction: Direction,
    source: str,
    seconds: float = 10.0,
    max_bytes: int = MAX_BYTES,
    tls: ssl.SSLContext | None = None,
    token: str | None = None,
    congestion: str | None = None,
    began: Callable[[], None] | None = None,
) -> Throughput:
    """One test, `down` from the endpoint or `up` to it; what fails is the record's `error`, never an exception.

    `seconds` and `max_bytes` bound it; both bounds give a figure still, an unsettled one. `tls` None means plain TCP.
    `congestion` is the congestion control of an upload, the kernel's default where None. `began` is called when the
    load begins.
    """
    before = Reading.now()
    test = _Test(direction)
    error = None
    ended: End | None = None
    try:
        sock, early = _open(endpoint, direction, tls, token, congestion)
        with sock:
            if began is not None:
                began()
            channel = Channel(sock, is_client=True, early=early)
            ended = test.run(channel, seconds, max_bytes)
            close(channel, ended)
    except (OSError, NotHttpError, FrameError, RefusedError, ValueError) as failure:
        error = named(failure)
    rate = test.windows.rate_mbps
    if rate is None and error is None:
        error = f"no whole window of half a second: {ended.value if ended else 'the test never began'}"
    record = Record(
        observed_at=before.realtime_ns,
        source=source,
        target=endpoint.name,
        target_alias=endpoint.alias,
        method="ndt7",
        family=endpoint.family,
        mbps=rate,
        direction=direction,
        bytes=test.moved,
        loaded=True,
        error=error,
        clock_ok=before.steady(Reading.now()),
    )
    return test.told(record, ended)


def _open(
    endpoint: Endpoint, direction: Direction, tls: ssl.SSLContext | None, token: str | None, congestion: str | None
) -> tuple[socket.socket, bytes]:
    deadline = time.monotonic() + HANDSHAKE_S
    sock = connect(endpoint, deadline).sock
    try:
        if congestion is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        if tls is not None:
            sock = secure(sock, tls, endpoint, deadline)
        key = new_key()
        sock.sendall(_request(endpoint, direction, key, token))
        head, early = read_head(sock, deadline)
        _check(head, early, key)
    except BaseException:
        sock.close()
        raise
    return sock, early


def _check(head: Head, body: bytes, key: str) -> None:
    if head.status != 101:
        said = body.decode("utf-8", "replace").strip().partition("\n")[0][:120]
        raise RefusedError(f"refused with status {head.status}{': ' if said else ''}{said}")
    if head.fields.get("sec-websocket-accept") != accept_key(key):
        raise RefusedError("the answer is no WebSocket: Sec-WebSocket-Accept is missing or wrong")
    if not head.has("sec-websocket-protocol", SUBPROTOCOL):
        raise RefusedError(f"the answer does not agree to {SUBPROTOCOL}")


def _request(endpoint: Endpoint, direction: Direction, key: str, token: str | None) -> bytes:
    host = endpoint.host or (f"[{endpoint.address}]" if endpoint.family == 6 else endpoint.address)
    bearer = f"Authorization: Bearer {token}\r\n" if token is not None else ""
    return (
        f"GET {PATHS[direction]}?client_name=nearserve HTTP/1.1\r\nHost: {host}:{endpoint.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\nUser-Agent: nearserve\r\n{bearer}\r\n"
    ).encode("latin-1", "replace")


@dataclass
class _Test:
    """One test as it runs: windows of what the receiver counted, and what the sender's kernel told."""

    direction: Direction
    windows: Windows = field(default_factory=Windows)
    moved: int = 0
    _rtt_ms: list[float] = field(default_factory=list)
    _min_rtt_us: int | None = None
    _sent_twice: float | None = None

    def run(self, channel: Channel, seconds: float, max_bytes: int) -> End:
        sends = self.direction == "up"
        exchange = Exchange(
            channel,
            Load(masks=True) if sends else None,
            until=time.monotonic() + seconds,
            max_bytes=max_bytes,
            say=(lambda elapsed, size: self._own(channel.sock, elapsed, size)) if sends else None,
            on_bytes=None if sends else self._arrived,
            on_report=self._reported,
        )
        try:
            return exchange.run()
        finally:
            self.moved = exchange.counted

    def told(self, record: Record, ended: End | None) -> Throughput:
        least = self._min_rtt_us / 1e3 if self._min_rtt_us is not None else None
        windows = self.windows
        return Throughput(record, ended, windows.settled, windows.mbps, tuple(self._rtt_ms), least, self._sent_twice)

    def _arrived(self, now_ns: int, total: int) -> bool:
        return self.windows.add(now_ns, total) and self.windows.settled

    def _reported(self, report: Report) -> bool:
        """A text of the server: in an upload it counts, in a download it tells the sender's round trips."""
        if self.direction == "down":
            self._heard(report.rtt_us, report.min_rtt_us)
            return False
        if report.elapsed_us is None or report.received is None:
            return False
        return self._arrived(report.elapsed_us * 1000, report.received)

    def _own(self, sock: socket.socket, elapsed_us: int, size: int) -> bytes:
        info = tcp_info(sock)
        self._heard(info.rtt_us, info.min_rtt_us)
        if info.bytes_sent and info.bytes_retrans is not None:
            self._sent_twice = info.bytes_retrans / info.bytes_sent
        return message("client", self.direction, elapsed_us, size, info, None)

    def _heard(self, rtt_us: int | None, min_rtt_us: int | None) -> None:
        if rtt_us:
            self._rtt_ms.append(rtt_us / 1e3)
        if min_rtt_us:
            self._min_rtt_us = min_rtt_us
