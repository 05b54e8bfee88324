"""A real collector in a process of its own: who may send, what is taken, and what is refused."""

import gzip
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from bench.probing.collector_process import CollectorProcess, post, records_of
from probes.collector.certificates import make
from probes.transport import MEDIA_TYPE, PATH, encode
from probes.wire.address import one_host
from tests.probes.collector_tools import token, until


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """One for all tests that leave it as it was; each uses a boot_id of its own."""
    limits = "body_bytes = 200000\nunpacked_bytes = 4000000\nbody_s = 1.0\nidle_s = 2.0\nhandshake_s = 1.0\n"
    limits += "connections = 60\nconnections_per_address = 30"
    tables = {"limits": limits, "authentication": 'denied = ["banned"]'}
    agents = ("fra1", "ams1", "banned")
    with CollectorProcess(tmp_path_factory.mktemp("c"), agents, tokens=True, tables=tables) as running:
        yield running


def refused(collector: CollectorProcess, reason: str) -> float:
    return collector.metrics().get(f'refused_total{{reason="{reason}"}}', 0.0)


def request(connection: http.client.HTTPSConnection, method: str, path: str, body: bytes, **headers: str) -> int:
    connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
    response = connection.getresponse()
    response.read()
    return response.status


def test_a_batch_is_taken_by_certificate_and_by_token_and_once(collector: CollectorProcess) -> None:
    one = records_of("fra1", 0, 20, "once")
    assert collector.send(one) == {"accepted": 20, "replayed": 0, "refused": [], "status": 200, "retry_after": None}
    connection = collector.connect()
    bearer = {"Authorization": f"Bearer {token(collector, 'fra1')}"}
    more = [*one, *records_of("fra1", 20, 5, "once")]
    assert post(connection, encode(more, "fra1"), bearer) | {"retry_after": 0} == {
        "accepted": 5, "replayed": 20, "refused": [], "status": 200, "retry_after": 0,
    }  # fmt: skip
    assert post(connection, encode([], "fra1"), bearer)["accepted"] == 0
    connection.close()


def test_a_poison_row_holds_up_nobody_and_a_conflict_is_named(collector: CollectorProcess) -> None:
    rows = records_of("fra1", 0, 4, "poison")
    rows[1] = replace(rows[1], received=7)
    rows[2] = replace(rows[2], target="\0")
    answer = collector.send(rows)
    assert answer["accepted"] == 2 and [(one["row"], one["field"]) for one in answer["refused"]] == [
        (1, "received"), (2, "target"),
    ]  # fmt: skip
    other = [replace(rows[0], target="elsewhere"), rows[3]]
    answer = collector.send(other)
    assert answer["replayed"] == 1 and [(one["row"], one["field"]) for one in answer["refused"]] == [(0, "seq")]


def test_nobody_sends_under_another_name(collector: CollectorProcess) -> None:
    before = refused(collector, "foreign_batch")
    body = encode(records_of("ams1", 0, 1, "stolen"), "ams1")
    assert collector.deliver(body, "fra1")["status"] == 403
    bearer = {"Authorization": f"Bearer {token(collector, 'fra1')}"}
    assert collector.deliver(body, None, bearer)["status"] == 403
    assert collector.deliver(body, "ams1", bearer)["error"] == "mismatch"
    assert refused(collector, "foreign_batch") == before + 2


def test_who_shows_nothing_known_is_turned_away_before_the_body_is_read(collector: CollectorProcess) -> None:
    body = encode(records_of("fra1", 0, 1, "nobody"), "fra1")
    for headers, code in (
        ({}, "no_certificate"), ({"Authorization": "Bearer x"}, "unknown_token"),
        ({"Authorization": "Basic x"}, "no_token"), ({"Authorization": "Bearer " + "é" * 50}, "unknown_token"),
    ):  # fmt: skip
        answer = collector.deliver(body, None, headers)
        assert (answer["status"], answer["error"]) == (401, code)
    assert collector.deliver(encode([], "banned"), "banned")["error"] == "denied"


def reissued(folder: Path, stem: str, begins: datetime, ends: datetime) -> None:
    """The same certificate with other dates, by the same CA."""
    ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    key: Any = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    old = x509.load_pem_x509_certificate((folder / f"{stem}.pem").read_bytes())
    builder = x509.CertificateBuilder(
        ca.subject, old.subject, old.public_key(), x509.random_serial_number(), begins, ends
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / f"{stem}.pem").write_bytes(pem)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_foreign_or_expired_certificate_is_refused_and_counted(
    collector: CollectorProcess, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    now = datetime.now(UTC)
    make(tmp_path / "foreign", [], ["fra1"])
    expired = tmp_path / "expired"
    expired.mkdir()
    for name in ("ca.pem", "ca.key"):
        (expired / name).write_bytes((collector.folder / name).read_bytes())
    make(expired, ["x"], ["fra1"])
    (expired / "agents/server.pem").write_bytes((expired / "server.pem").read_bytes())
    (expired / "agents/server.key").write_bytes((expired / "server.key").read_bytes())
    reissued(expired, "agents/fra1", now - timedelta(days=2), now - timedelta(days=1))
    before = refused(collector, "certificate")
    cases = ((tmp_path / "foreign", "fra1"), (expired, "fra1"), (expired, "server"))  # the last is for servers only
    for folder, name in cases:
        context = collector.context()
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(folder / f"agents/{name}.pem", folder / f"agents/{name}.key")
        connection = http.client.HTTPSConnection("127.0.0.1", collector.port, context=context, timeout=20)
        with closing(connection), pytest.raises((ssl.SSLError, ConnectionError)):
            post(connection, encode([], "fra1"))
    until(lambda: refused(collector, "certificate") == before + len(cases))


def test_old_tls_and_plain_text_are_refused(collector: CollectorProcess) -> None:
    before = refused(collector, "handshake")
    context = collector.context("fra1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    connection = http.client.HTTPSConnection("127.0.0.1", collector.port, context=context, timeout=20)
    with closing(connection), pytest.raises((ssl.SSLError, ConnectionError)):
        post(connection, b"")
    with socket.create_connection(("127.0.0.1", collector.port)) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(20)
        while plain.recv(1000):
            pass
    until(lambda: refused(collector, "handshake") == before + 2)


def test_requests_that_are_not_for_here_get_their_status(collector: CollectorProcess) -> None:
    body = encode([], "fra1")
    zipped = gzip.compress(body)
    for method, path, content, headers, status in (
        ("GET", PATH, b"", {}, 405), ("POST", "/", body, {}, 404), ("POST", PATH + "/../x", body, {}, 404),
        ("POST", PATH, body, {"Content_Type": "text/plain"}, 415),
        ("POST", PATH, zipped, {"Content_Type": MEDIA_TYPE, "Content_Encoding": "gzip"}, 415),
        ("POST", PATH, bytes(200_001), {"Content_Type": MEDIA_TYPE}, 413),
        ("POST", PATH, b"no gzip", {"Content_Type": MEDIA_TYPE}, 400),
        ("POST", PATH, gzip.compress(bytes(5_000_000)), {"Content_Type": MEDIA_TYPE}, 413),
        ("POST", PATH, body, {"Content_Type": MEDIA_TYPE, "X_Long": "x" * 5000}, 400),
    ):  # fmt: skip
        with closing(collector.connect("fra1")) as connection:
            assert request(connection, method, path, content, **headers) == status, (method, path, status)
    with closing(collector.connect("fra1")) as many:
        assert request(many, "POST", PATH, body, **{f"X_{number}": "x" for number in range(40)}) == 400
    assert collector.send(records_of("fra1", 0, 1, "after"))["status"] == 200


def chunked(collector: CollectorProcess, chunks: list[bytes], pause_s: float = 0.0) -> bytes:
    """The raw answer to chunks sent one after the other, up to the close."""
    raw = socket.create_connection(("127.0.0.1", collector.port), timeout=20)
    with collector.context("fra1").wrap_socket(raw, server_hostname="127.0.0.1") as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        said = b""
        try:
            for chunk in chunks:
                connection.sendall(chunk)
                time.sleep(pause_s)
            while part := connection.recv(65536):
                said += part
        except (ssl.SSLError, ConnectionError):
            pass
        return said


def test_bodies_without_a_length_are_bounded_too(collector: CollectorProcess) -> None:
    chunk = b"4e20\r\n" + bytes(20_000) + b"\r\n"
    assert b" 413 " in chunked(collector, [chunk] * 11 + [b"0\r\n\r\n"])
    assert b" 400 " in chunked(collector, [b"zz\r\n"])
    assert b" 408 " in chunked(collector, [b"5\r\nab"] + [b""] * 3, 0.6)


def test_those_who_are_slow_or_silent_are_cut_off(collector: CollectorProcess) -> None:
    before = collector.metrics()
    raw = socket.create_connection(("127.0.0.1", collector.port), timeout=20)
    with (
        socket.create_connection(("127.0.0.1", collector.port), timeout=20) as silent,
        collector.context("fra1").wrap_socket(raw, server_hostname="127.0.0.1") as trickling,
    ):
        trickling.sendall(b"POST / HTTP/1.1\r\nX-")
        began = time.monotonic()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            while time.monotonic() - began < 20:
                trickling.sendall(b"x")
                time.sleep(0.1)
        assert silent.recv(10) == b""
    until(lambda: refused(collector, "idle") > before.get('refused_total{reason="idle"}', 0))
    until(lambda: refused(collector, "handshake") > before.get('refused_total{reason="handshake"}', 0))


def test_one_address_cannot_take_all_connections(collector: CollectorProcess) -> None:
    before = refused(collector, "connections_per_address")
    crowd = [socket.create_connection(("127.0.0.1", collector.port), timeout=20) for _ in range(50)]
    other = socket.create_connection(("127.0.0.1", collector.port), timeout=20, source_address=("127.0.0.2", 0))
    try:
        assert until(lambda: refused(collector, "connections_per_address") - before) >= 20
        connection = collector.context("fra1").wrap_socket(other, server_hostname="127.0.0.1")
        body = encode([], "fra1")
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        with connection:
            connection.sendall(head.encode() + body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        for one in crowd:
            one.close()
    until(lambda: collector.send(records_of("fra1", 0, 1, "crowd"))["status"] == 200)


def test_one_address_is_a_whole_network_of_ipv6() -> None:
    assert one_host("192.0.2.7") == one_host("::ffff:192.0.2.7") == "192.0.2.7"
    assert one_host("2001:db8:1:2:3::4") == one_host("2001:db8:1:2::9") == "2001:db8:1:2::"
    assert one_host("fe80::1%eth0") == "fe80::" and one_host("") == ""


def test_garbage_in_place_of_http_is_answered_counted_and_survived(collector: CollectorProcess) -> None:
    before = refused(collector, "no_http")
    for garbage in (b"\0" * 100 + b"\r\n\r\n", b"POST\r\n\r\n", b"x" * 20_000, b"GET / HTTP/9.9\r\n\r\n",
                    b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                    b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"):  # fmt: skip
        raw = socket.create_connection(("127.0.0.1", collector.port), timeout=20)
        with collector.context("fra1").wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(garbage)
            assert b" 400 " in connection.recv(4000)
    assert refused(collector, "no_http") == before + 6
    assert collector.send(records_of("fra1", 0, 1, "garbage"))["status"] == 200
