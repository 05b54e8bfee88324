"""Time to the first byte over HTTP/1.1, with TLS or without, split into its parts.

The connection goes to the pinned address; the name is asked for separately, only to time the answer, and its time is in
no other. One request, `GET path`, of which the head of the answer is read and nothing more.

`rtt_ms` of the record is the time to first byte without DNS: connect, TLS, and the wait from the request's end to the
answer's first byte. It holds the server's own work: a record of method "http" says what a user waits, and is no round
trip of the network, which stands in `Timings.connect_ms`. Where a segment of the TCP handshake had to be sent again,
the sample is left out, as for every method (a lost SYN adds a second), and counted: received stays 1, `error` says so.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from probes.methods.connect import Connected, connect, named, secure
from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire.clock import Reading
from probes.wire.http_head import Head, NotHttpError, read_head

Resolver = Callable[[str], Sequence[str]]
"""The addresses of a name; raises OSError where it has none. It must keep a time limit of its own."""
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Timings:
    """The parts of one request in ms, None for a part that was not reached or not asked for.

    `connect_ms` is the TCP handshake's round trip by the kernel's clock, None where a SYN was lost; `waited_ms` what
    passed until the connection stood. `tls_ms` is the TLS handshake, `first_byte_ms` from the request's last byte to
    the answer's first. `retransmitted` counts segments of the TCP handshake that were sent again. `resolved` are the
    addresses that the resolver gave; whether the pinned one is among them is not this method's to judge.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    waited_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    retransmitted: int = 0
    resolved: tuple[str, ...] = ()
    dns_error: str | None = None

    @property
    def total_ms(self) -> float | None:
        """Connect, TLS and first byte together, without DNS; None where a part is missing."""
        if self.connect_ms is None or self.first_byte_ms is None:
            return None
        return self.connect_ms + (self.tls_ms or 0.0) + self.first_byte_ms


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: its record, its parts, and what the server said. `location` is where a redirect points to."""

    record: Record
    timings: Timings
    status: int | None = None
    location: str | None = None
    tls_version: str | None = None


def measure(
    endpoint: Endpoint,
    *,
    source: str,
    tls: bool,
    path: str = "/",
    timeout_s: float = 10.0,
    resolver: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> Visit:
    """One request to the endpoint; what fails is the record's `error`, never an exception.

    `timeout_s` bounds all but DNS. `context` is for TLS, by default one that verifies the certificate against the
    system's authorities; SNI and the verified name are the endpoint's host, or its address where it has none.
    Raises ValueError for an endpoint without a port and for a path or host that no request can carry.
    """
    request = _request(endpoint, path, tls)
    before = Reading.now()
    parts = _Parts()
    if resolver is not None and endpoint.host is not None:
        parts.ask(resolver, endpoint.host)
    error = None
    started_ns = time.time_ns()
    try:
        parts.fetch(endpoint, request, (context or ssl.create_default_context()) if tls else None, timeout_s)
    except (OSError, NotHttpError) as failure:
        error = named(failure)
    timings = parts.timings()
    record = Record(
        observed_at=started_ns,
        source=source,
        target=endpoint.name,
        target_alias=endpoint.alias,
        method="http",
        family=endpoint.family,
        sent=1,
        received=int(parts.head is not None),
        rtt_ms=(timings.total_ms,) if parts.head is not None and timings.total_ms else None,
        error=error or parts.remark(),
        clock_ok=before.steady(Reading.now()),
    )
    return Visit(record, timings, parts.status, parts.location, parts.tls_version)


def _request(endpoint: Endpoint, path: str, tls: bool) -> bytes:
    if endpoint.port is None:
        raise ValueError(f"{endpoint.name} has no port; give one, such as {443 if tls else 80}")
    host = endpoint.host or (f"[{endpoint.address}]" if endpoint.family == 6 else endpoint.address)
    if not path.startswith("/") or not (path + host).isascii() or any(c.isspace() or c < " " for c in path + host):
        raise ValueError(f"host {host!r} and path {path!r}: a path begins with /, both are ASCII without white space")
    named_port = "" if endpoint.port == (443 if tls else 80) else f":{endpoint.port}"
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}{named_port}\r\nUser-Agent: nearserve\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


class _Parts:
    """The request as it goes on; what was measured before a failure stays."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.status: int | None = None
        self.location: str | None = None
        self.tls_version: str | None = None
        self._dns_ms: float | None = None
        self._dns_error: str | None = None
        self._resolved: tuple[str, ...] = ()
        self._connected: Connected | None = None
        self._tls_ms: float | None = None
        self._first_byte_ms: float | None = None

    def ask(self, resolver: Resolver, host: str) -> None:
        begun = time.monotonic_ns()
        try:
            self._resolved = tuple(resolver(host))
            self._dns_ms = _since_ms(begun)
        except OSError as failure:  # socket.gaierror is one; the address is pinned, so the rest goes on
            self._dns_error = named(failure)

    def fetch(self, endpoint: Endpoint, request: bytes, context: ssl.SSLContext | None, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        self._connected = connect(endpoint, deadline)
        sock = self._connected.sock
        if context is not None:
            begun = time.monotonic_ns()
            secured = secure(sock, context, endpoint, deadline)
            self._tls_ms = _since_ms(begun)
            self.tls_version = secured.version()
            sock = secured
        with sock:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            sock.sendall(request)
            begun = time.monotonic_ns()
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            first = sock.recv(4096)
            waited = _since_ms(begun)
            if not first:
                raise ConnectionError("closed without an answer")
            head, _ = read_head(sock, deadline, early=first)
            self.status = head.status
            self._first_byte_ms, self.head = waited, head
            self.location = head.fields.get("location") if self.status in _REDIRECTS else None

    def remark(self) -> str | None:
        """What a reader of the record must know of an answer that did come."""
        if self._connected is not None and self._connected.retransmitted:
            return "a segment of the TCP handshake was lost and sent again: no time"
        if self.status in _REDIRECTS:
            return f"redirected ({self.status}), not followed"
        return None

    def timings(self) -> Timings:
        connected = self._connected
        return Timings(
            dns_ms=self._dns_ms,
            connect_ms=connected.rtt_ms if connected else None,
            waited_ms=connected.waited_ms if connected else None,
            tls_ms=self._tls_ms,
            first_byte_ms=self._first_byte_ms,
            retransmitted=connected.retransmitted if connected else 0,
            resolved=self._resolved,
            dns_error=self._dns_error,
        )


def _since_ms(begun_ns: int) -> float:
    return (time.monotonic_ns() - begun_ns) / 1e6
