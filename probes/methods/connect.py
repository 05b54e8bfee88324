"""TCP and TLS to a pinned address, before a deadline; what goes wrong has the same name everywhere."""

import errno
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Final

from probes.methods.endpoint import Endpoint
from probes.wire.address import connect_address, family_of
from probes.wire.http_head import NotHttpError
from probes.wire.tcp_info import tcp_info

_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET: Final = 9
_FOREIGN: Final = frozenset((2, 18, 19, 20, 21))  # no issuer that is trusted, or signed by itself
_OTHER_NAME: Final = frozenset((62, 64))
_ERRNO: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.EACCES: "not permitted here",
    errno.EPERM: "not permitted here",
    errno.EADDRNOTAVAIL: "no local address or port left",
}


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection to `sock`'s peer: the handshake's round trip in ms, and how many of its segments went twice.

    `rtt_ms` is the kernel's own (TCP_INFO), which does not wait for Python to wake up; where a SYN was sent again it
    tells nothing, and is None. `waited_ms` is what the caller waited, a lost SYN's second in it.
    """

    sock: socket.socket
    rtt_ms: float | None
    waited_ms: float
    retransmitted: int


def connect(endpoint: Endpoint, deadline: float) -> Connected:
    """To the endpoint's address and port, and no other; `deadline` by time.monotonic().

    Raises TimeoutError, ConnectionError and other OSErrors; ValueError where the endpoint has no port.
    """
    if endpoint.port is None:
        raise ValueError(f"{endpoint.name} has no port to connect to; give one")
    sock = socket.socket(family_of(endpoint.address), socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        before = time.monotonic_ns()
        sock.connect(connect_address(endpoint.address, endpoint.port))
        waited_ms = (time.monotonic_ns() - before) / 1e6
        info = tcp_info(sock)
    except BaseException:
        sock.close()
        raise
    rtt_us = info.rtt_us if info.total_retrans == 0 else None
    return Connected(sock, rtt_us / 1e3 if rtt_us else None, waited_ms, info.total_retrans)


def secure(sock: socket.socket, context: ssl.SSLContext, endpoint: Endpoint, deadline: float) -> ssl.SSLSocket:
    """TLS over the connection; SNI and the name to verify are the endpoint's host, or its address where it has none.

    Raises ssl.SSLError, TimeoutError, OSError; the socket is closed then.
    """
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        return context.wrap_socket(sock, server_hostname=endpoint.host or endpoint.address.partition("%")[0])
    except BaseException:
        sock.close()
        raise


def named(error: Exception) -> str:
    """What went wrong, in words that a person can act on and a query can count."""
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, NotHttpError):
        return f"not HTTP: {error}"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError) and error.errno is not None:
        return _ERRNO.get(error.errno, error.strerror or str(error))
    return str(error)


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed during TLS"
    reason = (error.reason or str(error)).lower().replace("_", " ")
    return "not TLS" if "wrong version number" in reason or "record layer" in reason else f"TLS: {reason}"


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "certificate expired"
    if code == _NOT_YET:
        return "certificate not yet valid"
    if code in _FOREIGN:
        return "certificate of an unknown issuer"
    if code in _OTHER_NAME:
        return "certificate for another name"
    return f"certificate: {error.verify_message}"
