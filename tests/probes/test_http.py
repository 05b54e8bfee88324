"""HTTP's time to first byte against real servers on loopback, with certificates made here."""

import contextlib
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.methods import http as method
from probes.methods.endpoint import Endpoint
from probes.table import faults, to_table
from probes.wire.http_head import Head, NotHttpError, parse
from tests.probes.tls_files import Authority

HOST = "pop.example"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /slow after 200 ms, /moved with a redirect, all else with 200."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])  # type: ignore[attr-defined]
        if self.path == "/slow":
            time.sleep(0.2)
        self.send_response(302 if self.path == "/moved" else 200)
        if self.path == "/moved":
            self.send_header("Location", "https://elsewhere.example/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Remembers what it was asked for, by Host and by SNI; a handshake that fails is the client's to tell."""

    def __init__(self, address: str, context: ssl.SSLContext | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.hosts: list[str] = []
        self.asked: list[str | None] = []
        super().__init__((address, 0), Handler)
        if context is not None:
            context.sni_callback = lambda _, name, __: self.asked.append(name)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Iterator[Server]:
    server = Server(address, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def says(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that treats one connection as told; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    answer(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.new(tmp_path_factory.mktemp("tls"))


def pop(port: int, address: str = "127.0.0.1", host: str | None = HOST) -> Endpoint:
    return Endpoint(name="pop", address=address, port=port, host=host)


def failure(port: int, *, tls: bool = False, timeout_s: float = 5.0, context: ssl.SSLContext | None = None) -> str:
    """The error of a visit that gave no answer."""
    visit = method.measure(pop(port), source="here", tls=tls, timeout_s=timeout_s, context=context)
    assert (visit.record.sent, visit.record.received, visit.record.rtt_ms) == (1, 0, None)
    assert not faults(to_table([visit.record]))
    assert visit.record.error is not None
    return visit.record.error


def test_the_parts_add_up_and_the_servers_wait_is_in_the_first_byte_alone() -> None:
    with served() as server:
        visit = method.measure(pop(server.server_port), source="here", tls=False, path="/slow")
    parts = visit.timings
    assert parts.first_byte_ms is not None and parts.connect_ms is not None
    assert 200 <= parts.first_byte_ms < 2000
    assert 0 < parts.connect_ms < 100
    assert (parts.tls_ms, parts.dns_ms, parts.retransmitted) == (None, None, 0)
    assert visit.record.rtt_ms == pytest.approx((parts.connect_ms + parts.first_byte_ms,))
    assert (visit.record.error, visit.status, visit.record.method, visit.record.family) == (None, 200, "http", 4)
    assert server.hosts == [f"{HOST}:{server.server_port}"]
    assert not faults(to_table([visit.record]))


def test_tls_asks_for_the_host_at_the_pinned_address_and_is_timed_apart(authority: Authority) -> None:
    with served(authority.server(HOST)) as server:
        visit = method.measure(pop(server.server_port), source="here", tls=True, context=authority.client())
    assert server.asked == [HOST]
    assert visit.record.error is None
    assert visit.tls_version == "TLSv1.3"
    assert visit.timings.tls_ms is not None and visit.timings.tls_ms > 0
    assert visit.record.rtt_ms == (visit.timings.total_ms,)
    assert visit.record.rtt_ms[0] > visit.timings.tls_ms


def test_ipv6_without_a_name_verifies_the_address(authority: Authority) -> None:
    with served(authority.server("::1"), "::1") as server:
        there = pop(server.server_port, "::1", host=None)
        visit = method.measure(there, source="here", tls=True, context=authority.client())
    assert (visit.record.error, visit.record.family, visit.status) == (None, 6, 200)
    assert server.hosts == [f"[::1]:{server.server_port}"]


def test_each_bad_certificate_has_its_name(authority: Authority, tmp_path: Path) -> None:
    foreign = Authority.new(tmp_path, "foreign")
    cases = {
        "certificate expired": authority.server(HOST, days=-1),
        "certificate of an unknown issuer": foreign.server(HOST),
        "certificate for another name": authority.server("other.example"),
    }
    for named, context in cases.items():
        with served(context) as server:
            assert failure(server.server_port, tls=True, context=authority.client()) == named


def test_a_certificate_is_verified_unless_the_caller_says_otherwise(authority: Authority) -> None:
    with served(authority.server(HOST)) as server:
        assert failure(server.server_port, tls=True) == "certificate of an unknown issuer"


def test_what_the_network_does_has_a_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    assert failure(closed) == "refused"
    with says(
        lambda sock: (sock.recv(1), sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" * 2))
    ) as port:
        assert failure(port) == "reset"
    with says(lambda sock: sock.shutdown(socket.SHUT_WR)) as port:
        assert failure(port) == "closed without an answer"
    with says(lambda sock: (sock.recv(4096), sock.recv(1))) as port:
        assert failure(port, timeout_s=0.2) == "timeout"


def test_what_is_not_http_or_not_tls_is_told_as_such(authority: Authority) -> None:
    with says(lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")) as port:
        assert failure(port).startswith("not HTTP: ")
    with says(lambda sock: sock.sendall(b"HTTP/1.1 2OO fine\r\n\r\n")) as port:
        assert failure(port).startswith("not HTTP: ")
    with says(lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000)) as port:
        assert failure(port).startswith(("not HTTP: no end", "reset"))
    with served() as server:
        assert failure(server.server_port, tls=True, context=authority.client()) == "not TLS"


def test_a_redirect_is_timed_told_and_not_followed() -> None:
    with served() as server:
        visit = method.measure(pop(server.server_port), source="here", tls=False, path="/moved")
    assert (visit.status, visit.location) == (302, "https://elsewhere.example/")
    assert visit.record.error == "redirected (302), not followed"
    assert visit.record.received == 1 and visit.record.rtt_ms is not None
    assert len(server.hosts) == 1


def test_dns_has_a_time_of_its_own_and_neither_moves_the_connection_nor_ends_it() -> None:
    asked = []

    def slow(host: str) -> list[str]:
        asked.append(host)
        time.sleep(0.3)
        return ["192.0.2.1"]

    def broken(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer for {host}")

    with served() as server:
        visit = method.measure(pop(server.server_port), source="here", tls=False, resolver=slow)
        other = method.measure(pop(server.server_port), source="here", tls=False, resolver=broken)
    assert asked == [HOST]
    assert visit.timings.dns_ms is not None and visit.timings.dns_ms >= 300
    assert visit.record.rtt_ms is not None and visit.record.rtt_ms[0] < visit.timings.dns_ms
    assert visit.timings.resolved == ("192.0.2.1",)
    assert visit.record.error is None
    assert other.timings.dns_ms is None and other.timings.dns_error == f"no answer for {HOST}"
    assert other.status == 200


def test_a_request_that_cannot_be_written_is_the_callers_fault() -> None:
    for there, path in ((pop(80), "x"), (pop(80), "/a b"), (pop(80, host="a\r\nX: y"), "/"), (pop(80, host="é"), "/")):
        with pytest.raises(ValueError, match="a path begins with /"):
            method.measure(there, source="here", tls=False, path=path)
    with pytest.raises(ValueError, match="no port; give one, such as 443"):
        method.measure(Endpoint("pop", "127.0.0.1"), source="here", tls=True)


def test_a_head_is_read_as_its_fields() -> None:
    head = parse(b"HTTP/1.0 404 Not Found\r\nServer: a\r\nserver:b \r\nConnection: Upgrade, close")
    assert (head.status, head.fields["server"]) == (404, "a, b")
    assert head.has("connection", "upgrade") and not head.has("connection", "up")


@given(st.binary(max_size=200))
def test_no_bytes_make_the_head_do_anything_but_refuse(raw: bytes) -> None:
    try:
        head = parse(raw)
        status = head.status
    except NotHttpError:
        return
    assert isinstance(head, Head) and 100 <= status < 600
