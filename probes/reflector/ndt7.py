"""An NDT7 server: achievable TCP towards whoever may ask, within limits by source, in all, by time and by bytes.

A thread a connection, so that no event loop stands between the kernel and the counting. A request that breaks a rule
gets a 4xx or 5xx and costs no load; what was refused and why is counted. Nothing is sent to an address that has not
finished a TCP handshake, so a forged source cannot be flooded.
"""

import contextlib
import hmac
import select
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

import structlog

from probes.wire.address import one_host, written
from probes.wire.http_head import Head, NotHttpError, read_head
from probes.wire.ndt7 import PATHS, SUBPROTOCOL, Exchange, close, message
from probes.wire.tcp_info import tcp_info
from probes.wire.websocket import Channel, FrameError, Load, accept_key

log = structlog.get_logger()
_DIRECTIONS: Final = {path: direction for direction, path in PATHS.items()}
_HEAD_LIMIT: Final = 1 << 13
_QUERY_LIMIT: Final = 4096
_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gives. `per_source` and `in_all` tests at once; `per_source_minute` tests begun in a minute.

    `seconds` and `bytes` of a test. `handshakes` connections that have not asked yet, `handshakes_per_source` of them
    from one source, each for `handshake_s` at most.
    """

    per_source: int = 1
    in_all: int = 4
    per_source_minute: int = 12
    seconds: float = 10.0
    bytes: int = 5_000_000_000
    handshakes: int = 64
    handshakes_per_source: int = 8
    handshake_s: float = 5.0


class RefusedError(Exception):
    """A request that gets no test; the message is for who asked, `status` the HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Ndt7Server:
    """Serves a listening socket until `close`, which closes it too; `port` is the socket's.

    `token`: what `Authorization: Bearer` or the query's `access_token` must hold. `tls`: a server's context.
    `congestion`: the kernel's TCP congestion control for the load, its default where None.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        token: str | None = None,
        congestion: str | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._tls, self._token, self._congestion = tls, token, congestion
        self._gate = _Gate(self._limits)
        self._open: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="ndt7-accept", daemon=True)
        self._thread.start()

    def counts(self) -> Mapping[str, int]:
        """Tests by outcome (`down`, `up`, `refused: why`, `broken: why`), `bytes_down`, `bytes_up`; since the start."""
        return self._gate.snapshot()

    def close(self) -> None:
        """Stops listening, ends the tests that run, waits for their threads for a second at most."""
        self._closing.set()
        self._woken.send(b"x")
        self._thread.join(1)
        with self._lock:
            still = list(self._open)
        for sock in still:
            _shut(sock)
        until = time.monotonic() + 1
        while self._open and time.monotonic() < until:
            time.sleep(0.01)
        for sock in (self._listener, self._wake, self._woken):
            sock.close()

    def __enter__(self) -> "Ndt7Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            select.select([self._listener, self._wake], [], [])
            if self._closing.is_set():
                return
            try:
                sock, peer = self._listener.accept()
            except OSError as error:  # out of descriptors, or gone before it was accepted: neither ends the server
                self._gate.count(f"broken: {error.strerror}")
                time.sleep(0.05)
                continue
            with self._lock:
                source = one_host(peer[0])
                if self._crowded(source):
                    self._gate.count("refused: too many connections")
                    sock.close()
                    continue
                self._open[sock] = source
            threading.Thread(target=self._serve, args=(sock, source), name="ndt7-test", daemon=True).start()

    def _crowded(self, source: str) -> bool:
        limits, open_now = self._limits, list(self._open.values())
        return (
            len(open_now) >= limits.handshakes + limits.in_all
            or open_now.count(source) >= limits.handshakes_per_source + limits.per_source
        )

    def _serve(self, accepted: socket.socket, source: str) -> None:
        sock = accepted
        try:
            deadline = time.monotonic() + self._limits.handshake_s
            sock.settimeout(self._limits.handshake_s)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                with self._lock:
                    del self._open[accepted]
                    self._open[sock] = source
            self._answer(sock, source, deadline)
        except (OSError, ValueError) as error:
            self._gate.count(f"broken: {_named(error)}")
            log.info("ndt7 test broken", source=source, error=str(error))
        finally:
            with self._lock:
                self._open.pop(accepted, None)
                self._open.pop(sock, None)
            _shut(sock)
            sock.close()

    def _answer(self, sock: socket.socket, source: str, deadline: float) -> None:
        try:
            try:
                head, early = read_head(sock, deadline, limit=_HEAD_LIMIT)
            except ConnectionError:  # a probe of the port, or somebody who thought better of it
                self._gate.count("left before asking")
                return
            direction = requested(head, self._token)
            self._gate.enter(source)
        except (RefusedError, NotHttpError) as error:
            status = error.status if isinstance(error, RefusedError) else 400
            self._gate.count(f"refused: {error if isinstance(error, RefusedError) else 'not HTTP'}")
            log.info("ndt7 test refused", source=source, status=status, reason=str(error))
            sock.sendall(_refusal(status, str(error)))
            return
        try:
            key = accept_key(head.fields["sec-websocket-key"])
            sock.sendall(_welcome(key))
            self._test(sock, direction, early)
        finally:
            self._gate.leave(source)

    def _test(self, sock: socket.socket, direction: str, early: bytes) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if direction == "down" and self._congestion is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._congestion.encode())
        ends = (written(*sock.getpeername()[:2]), written(*sock.getsockname()[:2]))
        channel = Channel(sock, is_client=False, early=early)
        exchange = Exchange(
            channel,
            Load(masks=False) if direction == "down" else None,
            until=time.monotonic() + self._limits.seconds,
            max_bytes=self._limits.bytes,
            say=lambda elapsed_us, size: message("server", direction, elapsed_us, size, tcp_info(sock), ends),
        )
        try:
            with contextlib.suppress(ConnectionError):  # a client that has what it wants may go without a word
                close(channel, exchange.run())
        except FrameError as error:
            self._gate.count("broken: frames")
            log.info("ndt7 frames broken", source=ends[0], error=str(error))
        finally:
            self._gate.count(direction)
            self._gate.count(f"bytes_{direction}", exchange.counted)


class _Gate:
    """Who may begin a test now, and what has been."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()
        self._begun: dict[str, deque[float]] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, source: str) -> None:
        """Raises RefusedError where the source or all sources together have their share."""
        limits, now = self._limits, time.monotonic()
        with self._lock:
            if self._running.total() >= limits.in_all:
                raise RefusedError(503, "busy: as many tests as may run at once are running")
            if self._running[source] >= limits.per_source:
                raise RefusedError(429, "this source already runs as many tests as it may")
            self._forget(now)
            begun = self._begun.setdefault(source, deque())
            if len(begun) >= limits.per_source_minute:
                raise RefusedError(429, "this source has begun as many tests in this minute as it may")
            begun.append(now)
            self._running[source] += 1

    def _forget(self, now: float) -> None:
        for source in list(self._begun):
            times = self._begun[source]
            while times and times[0] <= now - 60:
                times.popleft()
            if not times:
                del self._begun[source]

    def leave(self, source: str) -> None:
        with self._lock:
            self._running[source] -= 1
            self._running += Counter()  # drops the zeros

    def count(self, what: str, by: int = 1) -> None:
        with self._lock:
            self._counts[what] += by

    def snapshot(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)


def requested(head: Head, token: str | None) -> str:
    """`down` or `up`; raises RefusedError where the request is no upgrade that NDT7 allows."""
    method, _, rest = head.start.partition(" ")
    target, _, version = rest.rpartition(" ")
    path, _, query = target.partition("?")
    if not version.startswith("HTTP/1."):
        raise RefusedError(400, "not an HTTP/1.1 request")
    if method != "GET":
        raise RefusedError(405, "a test is asked for by GET")
    if path not in _DIRECTIONS:
        raise RefusedError(404, f"the tests are {' and '.join(_DIRECTIONS)}")
    try:
        asked = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=100)
    except ValueError:
        raise RefusedError(400, "the query is not URL-encoded UTF-8") from None
    if len(query) > _QUERY_LIMIT:
        raise RefusedError(400, f"the query has more than {_QUERY_LIMIT} bytes")
    if not (head.has("upgrade", "websocket") and head.has("connection", "upgrade")):
        raise RefusedError(426, "not a WebSocket upgrade")
    if head.fields.get("sec-websocket-version") != "13" or not head.fields.get("sec-websocket-key", "").isascii():
        raise RefusedError(400, "Sec-WebSocket-Version is not 13, or Sec-WebSocket-Key is not ASCII")
    if not head.fields.get("sec-websocket-key"):
        raise RefusedError(400, "no Sec-WebSocket-Key")
    if not head.has("sec-websocket-protocol", SUBPROTOCOL):
        raise RefusedError(400, f"Sec-WebSocket-Protocol does not offer {SUBPROTOCOL}")
    if token is not None:
        given = (
            head.fields.get("authorization", "").removeprefix("Bearer ").strip() or asked.get("access_token", [""])[0]
        )
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise RefusedError(401, "no token, or a wrong one")
    return _DIRECTIONS[path]


def _refusal(status: int, reason: str) -> bytes:
    extra = "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n" if status == 426 else ""
    body = f"{reason}\n".encode()
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n{extra}\r\n"
    ).encode() + body


def _welcome(key: str) -> bytes:
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()


def _named(error: Exception) -> str:
    """A short name for counting: the same fault always counts the same."""
    if isinstance(error, ssl.SSLError):
        return "TLS handshake"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "closed early" if isinstance(error, ConnectionError) else type(error).__name__


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
