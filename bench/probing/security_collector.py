"""Threats to the collector: who sends without a right to, what is sent twice, and what is too large, broken or slow."""

import gzip
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from bench.probing.collector_process import CollectorProcess, post, records_of
from bench.probing.security_row import Cell, Row, counted, until
from probes.collector.certificates import make
from probes.collector.identity import new_token, token_digest
from probes.store import read_folder
from probes.transport import COLUMNS, MEDIA_TYPE, PATH, encode

ME: Final = "fra1"
_BODY_BYTES: Final = 100_000
_CONNECTIONS: Final = 50
_LIMITS: Final = (
    f"body_bytes = {_BODY_BYTES}\nunpacked_bytes = 1000000\nbody_s = 1.0\nidle_s = 1.5\nhandshake_s = 1.0\n"
    f"connections_per_address = {_CONNECTIONS}"
)
_OK: Final = 200


def rows(folder: Path) -> Iterator[Row]:
    """Every threat of this file, to one collector that takes certificates or tokens."""
    collector = CollectorProcess(
        folder, (ME, "ams1"), tokens=True, tables={"limits": _LIMITS, "store": "write_every_s = 600"}
    )
    ended = new_token()
    with (folder / "tokens.toml").open("a") as file:
        file.write(f'[agents.late]\nsha256 = ["{token_digest(ended).hex()}"]\nexpires = 2020-01-01T00:00:00Z\n')
    expired(folder, "agents/ams1", "agents/expired")
    make(folder / "foreign", ["127.0.0.1"], [ME])
    with collector:
        attack = _Attack(collector)
        yield from _identities(attack, ended)
        yield from _replays(attack)
        yield from _bodies(attack)
        yield from _slow(attack)
        yield _crowd(attack)


class _Attack:
    """Looks at the collector before and after a threat."""

    def __init__(self, collector: CollectorProcess) -> None:
        self.collector = collector
        self._sent = 0

    def __call__(
        self,
        threat: str,
        do: Callable[[], Cell],
        reason: str,
        metric: str | None = None,
        before: dict[str, float] | None = None,
        why: str = "",
    ) -> Row:
        """`reason` and `why`: what its log must say; `metric`: what must grow, refusals of that reason where None."""
        told_before = 0 if before else len(self.collector.logged())
        before = before or self.collector.metrics()
        refused = do()
        name = metric or f'refused_total{{reason="{reason}"}}'
        until(lambda: self.collector.metrics().get(name, 0) > before.get(name, 0), 3)
        count = counted(name, before.get(name, 0), self.collector.metrics().get(name, 0))
        events = self.collector.logged()[told_before:]
        told = [event for event in events if event.get("reason") == reason and why in json.dumps(event)]
        logged = Cell(bool(told), f"reason={reason} {why}".strip() if told else "nothing")
        return Row("collector", threat, refused, count, logged, self._up())

    def _up(self) -> Cell:
        """A sound batch is taken, once."""
        self._sent += 5
        with suppress(OSError, http.client.HTTPException):
            answer = self.collector.send(records_of(ME, self._sent - 5, 5, "sound"))
            return Cell(answer["status"] == _OK and answer["accepted"] == 5, f"takes {answer.get('accepted')} of 5")
        return Cell(False, "answers nothing")


def _status(*wanted: int) -> Callable[[dict[str, Any]], Cell]:
    return lambda answer: Cell(answer["status"] in wanted, f"{answer['status']} {answer.get('error', '')}".strip())


def _identities(attack: _Attack, ended: str) -> Iterator[Row]:
    collector = attack.collector
    body = encode(records_of(ME, 0, 5, "stolen"), ME)

    def by_certificate(stem: str) -> Cell:
        context = ssl.create_default_context(cafile=collector.folder / "ca.pem")
        context.load_cert_chain(collector.folder / f"{stem}.pem", collector.folder / f"{stem}.key")
        connection = http.client.HTTPSConnection("127.0.0.1", collector.port, context=context, timeout=10)
        try:
            with closing(connection):
                answer = post(connection, body)
        except (OSError, http.client.HTTPException) as error:
            return Cell(True, getattr(error, "reason", None) or type(error).__name__)
        return Cell(False, f"answered {answer['status']}")

    def by_token(token: str) -> Cell:
        return _status(401, 403)(collector.deliver(body, None, {"Authorization": f"Bearer {token}"}))

    for what, stem, why in (
        ("expired client certificate", "agents/expired", "certificate has expired"),
        ("client certificate of a foreign CA", f"foreign/agents/{ME}", "unable to get local issuer certificate"),
        ("the server's certificate as a client's", "server", "purpose"),
    ):
        yield attack(what, lambda stem=stem: by_certificate(stem), "certificate", why=why)  # type: ignore[misc]
    yield attack("no certificate, no token", lambda: _status(401)(collector.deliver(body)), "no_certificate")
    yield attack("certificate of another agent", lambda: _status(403)(collector.deliver(body, "ams1")), "foreign_batch")
    others = (collector.folder / "agents/ams1.token").read_text().strip()
    yield attack("wrong token", lambda: by_token(new_token()), "unknown_token")
    yield attack("expired token", lambda: by_token(ended), "expired_token")
    yield attack("token of another agent", lambda: by_token(others), "foreign_batch")
    yield attack("certificate and token of two agents", lambda: _status(403)(
        collector.deliver(body, ME, {"Authorization": f"Bearer {others}"})), "mismatch")  # fmt: skip


def _replays(attack: _Attack) -> Iterator[Row]:
    collector = attack.collector
    records = records_of(ME, 0, 50, "replayed")
    altered = encode([replace(record, target="elsewhere") for record in records], ME)
    assert collector.deliver(encode(records, ME), ME)["accepted"] == 50

    def again(body: bytes, key: str) -> Cell:
        answer = collector.deliver(body, ME)
        taken, found = answer["accepted"], answer[key]
        number = found if isinstance(found, int) else len(found)
        return Cell(taken == 0 and number == 50, f"{taken} of 50 taken, {number} {key}")

    replayed = 'rows_total{result="replayed"}'
    yield attack("replayed batch, the same bytes", lambda: again(encode(records, ME), "replayed"), "replayed", replayed)
    yield attack(
        "replayed batch, altered", lambda: again(altered, "refused"), "rows", 'rows_total{result="conflicting"}'
    )
    # once the rows stand in Parquet, only their numbers are known
    assert collector.stop() == 0
    collector.start()

    def in_store() -> Cell:
        first = again(altered, "replayed")
        table = read_folder(collector.store).select(["boot_id", "target"]).to_pylist()
        targets = [row["target"] for row in table if row["boot_id"] == "replayed"]
        kept = sorted(targets) == sorted(record.target for record in records)
        return Cell(first.right and kept, f"{first.seen}; the store {'keeps the first' if kept else 'HAS CHANGED'}")

    yield attack("replayed batch, altered, written before", in_store, "replayed", replayed)


def _bodies(attack: _Attack) -> Iterator[Row]:
    collector = attack.collector
    sound = gzip.decompress(encode(records_of(ME, 0, 2, "broken"), ME))
    head, first, *_ = sound.split(b"\n")

    def sent(body: bytes, *statuses: int) -> Callable[[], Cell]:
        return lambda: _status(*statuses)(collector.deliver(body, ME))

    yield attack("oversized body", sent(bytes(_BODY_BYTES + 1), 413), "too_large")
    yield attack("oversized body of unknown length", lambda: _chunked(collector), "too_large")
    bomb = gzip.compress(bytes(90_000_000), 9)
    assert len(bomb) < _BODY_BYTES
    yield attack(f"zip bomb, {len(bomb):,} → 90,000,000 bytes", sent(bomb, 413), "batch_too_large")
    yield attack("no gzip", sent(b"\x1f\x8b" + bytes(50), 400), "batch_batch")
    yield attack("gzip cut short", sent(gzip.compress(sound)[:-9], 400), "batch_batch")
    yield attack("gzip in gzip", sent(gzip.compress(gzip.compress(sound)), 400), "batch_batch")
    yield attack("broken JSON", sent(gzip.compress(b"{" * 9000 + b"\n"), 400), "batch_batch")
    yield attack("deep JSON", sent(gzip.compress(b"[" * 100_000 + b"\n"), 400), "batch_batch")

    def broken_rows() -> Cell:
        wrong = [json.loads(first) for _ in range(3)]
        columns = json.loads(head)["columns"]
        wrong[0][columns.index("sent")] = -5
        wrong[1][columns.index("target")] = "\0"
        wrong[2][columns.index("observed_at")] = 2**62
        lines = [json.dumps(json.loads(head) | {"rows": 3}).encode(), *(json.dumps(row).encode() for row in wrong)]
        answer = collector.deliver(gzip.compress(b"\n".join(lines) + b"\n"), ME)
        return Cell(answer["accepted"] == 0 and len(answer["refused"]) == 3, f"{len(answer['refused'])} of 3 refused")

    yield attack("rows that are no measurements", broken_rows, "rows", 'rows_total{result="refused"}')
    assert set(json.loads(head)["columns"]) <= set(COLUMNS)
    for what, noise in (
        ("garbage for HTTP", b"\x00\xff" * 200),
        ("oversized header", b"POST / HTTP/1.1\r\nA: " + b"a" * 20_000 + b"\r\n\r\n"),
    ):
        yield attack(what, lambda noise=noise: _raw(collector, noise), "no_http")  # type: ignore[misc]

    def no_tls() -> Cell:
        with socket.create_connection(("127.0.0.1", collector.port), timeout=5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return _closed(sock)

    yield attack("no TLS", no_tls, "handshake")


def _chunked(collector: CollectorProcess) -> Cell:
    with closing(collector.connect(ME)) as connection:
        try:
            connection.request(
                "POST", PATH, iter([bytes(10_000)] * 50), {"Content-Type": MEDIA_TYPE}, encode_chunked=True
            )
        except OSError as error:  # it hung up before all was sent
            return Cell(True, type(error).__name__)
        return _status(413)({"status": connection.getresponse().status})


def _raw(collector: CollectorProcess, noise: bytes) -> Cell:
    """The status of the answer to bytes within TLS."""
    with _tls(collector) as connection:
        connection.sendall(noise)
        with suppress(OSError):
            answer = connection.recv(200).split(b" ")
            return Cell(answer[:1] == [b"HTTP/1.0"] or answer[1:2] == [b"400"], b" ".join(answer[1:2]).decode())
        return Cell(True, "closed")


def _slow(attack: _Attack) -> Iterator[Row]:
    """Three that dawdle, all at once; each is shown the door."""
    collector = attack.collector
    before = collector.metrics()
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_connection(("127.0.0.1", collector.port), timeout=10))
        body, head = (stack.enter_context(_tls(collector)) for _ in range(2))
        began = time.monotonic()
        asked = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: 5000\r\n\r\n"
        body.sendall(asked.encode() + b"x")
        head.sendall(asked.encode()[:30])

        def gone(sock: socket.socket) -> Callable[[], Cell]:
            def wait() -> Cell:
                cell = _closed(sock)
                return Cell(cell.right, f"{cell.seen} after at most {time.monotonic() - began:.1f} s")

            return wait

        yield attack("slow sender: handshake", gone(silent), "handshake", before=before)
        yield attack("slow sender: body", gone(body), "slow_body", before=before)
        yield attack("slow sender: head", gone(head), "idle", before=before)


def _crowd(attack: _Attack) -> Row:
    collector = attack.collector

    def come() -> Cell:
        with ExitStack() as stack:
            every = [
                stack.enter_context(socket.create_connection(("127.0.0.1", collector.port), timeout=5))
                for _ in range(2 * _CONNECTIONS)
            ]
            time.sleep(0.3)
            closed = 0
            for sock in every:
                sock.setblocking(False)
                with suppress(BlockingIOError):
                    closed += not sock.recv(1)
        until(lambda: collector.metrics()["connections"] == 0, 5)
        return Cell(closed >= _CONNECTIONS, f"{closed} of {2 * _CONNECTIONS} closed at once")

    return attack("a crowd from one address", come, "connections_per_address")


def _tls(collector: CollectorProcess) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", collector.port), timeout=10)
    return collector.context(ME).wrap_socket(raw, server_hostname="127.0.0.1")


def _closed(sock: socket.socket) -> Cell:
    """Whether the other end hangs up, whatever it says before."""
    try:
        while sock.recv(4096):
            continue
    except TimeoutError:
        return Cell(False, "still open")
    except OSError as error:
        return Cell(True, type(error).__name__)
    return Cell(True, "closed")


def expired(folder: Path, stem: str, copy: str) -> None:
    """The same certificate by the same CA, over since yesterday."""
    old = x509.load_pem_x509_certificate((folder / f"{stem}.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        authority.subject, old.subject, old.public_key(), x509.random_serial_number(),
        now - timedelta(days=9), now - timedelta(days=1),
    )  # fmt: skip
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    renewed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    (folder / f"{copy}.pem").write_bytes(renewed.public_bytes(serialization.Encoding.PEM))
    (folder / f"{copy}.key").write_bytes((folder / f"{stem}.key").read_bytes())
