"""The agent's way to the collector: the real spool, real collectors, and servers that are none."""

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.probing.collector_process import CollectorProcess, records_of
from probes.agent.spool import Spool
from probes.agent.uplink import LONGEST_PAUSE_S, Settings, Uplink, pause, retry_after
from probes.collector.certificates import make
from probes.record import Record
from probes.store import read_folder
from probes.transport import decode


def spooled(folder: Path, records: list[Record], agent: str = "fra1") -> Spool:
    spool = Spool(folder / "spool.sqlite", 8 << 20, agent, "boot-1")
    spool.append(records)
    return spool


def settings(folder: Path, port: int, **changes: Any) -> Settings:
    found = Settings(
        url=f"https://127.0.0.1:{port}", agent="fra1", authority=folder / "ca.pem",
        certificate=folder / "agents/fra1.pem", key=folder / "agents/fra1.key", look_s=0.05, timeout_s=10.0,
    )  # fmt: skip
    return replace(found, **changes)


def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextmanager
def answering(
    folder: Path, answer: Callable[[bytes], tuple[int, dict[str, str], bytes]]
) -> Iterator[tuple[int, list[bytes]]]:
    """A TLS server with the certificate of `folder`; gives its port and the bodies that it got."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(body)
            status, headers, text = answer(body)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(text))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1], bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def taken(rows: int) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"accepted": rows, "replayed": 0, "refused": []}).encode()


def test_records_get_through_an_outage_once_and_in_a_thread_of_its_own(tmp_path: Path) -> None:
    collector = CollectorProcess(tmp_path)
    spool = spooled(tmp_path, records_of("fra1", 0, 1500))
    told: list[str] = []
    uplink = Uplink(settings(tmp_path, collector.port), spool, lambda event, **_: told.append(event))
    uplink.start()
    until(lambda: uplink.counts.failures)
    with collector:
        until(lambda: uplink.counts.accepted == 1500)
        spool.append(records_of("fra1", 1500, 10))
        until(lambda: uplink.counts.accepted == 1510)
        collector.kill()
        spool.append(records_of("fra1", 1510, 10))
        until(lambda: uplink.counts.failing)
        collector.start()
        until(lambda: uplink.counts.accepted == 1520)
        uplink.close()
        assert collector.stop() == 0
    assert spool.counts().depth == 0
    spool.close()
    assert told == ["collector_fails", "collector_answers_again"] * 2
    assert sorted(read_folder(collector.store)["seq"].to_pylist()) == list(range(1520))


def test_a_collector_with_a_foreign_certificate_gets_nothing(tmp_path: Path) -> None:
    make(tmp_path / "ours", ["127.0.0.1"], ["fra1"])
    make(tmp_path / "theirs", ["127.0.0.1"], [])
    make(tmp_path / "misnamed", ["192.0.2.1"], ["fra1"])
    spool = spooled(tmp_path, records_of("fra1", 0, 5))
    for server, authority in (("theirs", "ours"), ("misnamed", "misnamed")):
        with answering(tmp_path / server, lambda _: taken(5)) as (port, bodies):
            made = settings(tmp_path / "ours", port, authority=tmp_path / authority / "ca.pem")
            uplink = Uplink(made, spool)
            uplink.send()
            uplink.close()
            assert "CERTIFICATE_VERIFY_FAILED" in str(uplink.counts.failing) and not bodies
    assert spool.counts().depth == 5
    spool.close()


@pytest.mark.parametrize(
    ("status", "headers", "text", "shown"),
    [
        (200, {}, b"<html>Welcome to the hotel</html>", "200"),
        (200, {}, b'{"accepted": 4, "replayed": 0, "refused": []}', "not the answer of a collector"),
        (200, {}, b'{"accepted": true, "replayed": 4, "refused": []}', "not the answer of a collector"),
        (200, {}, b'{"accepted": 6, "replayed": -1, "refused": []}', "not the answer of a collector"),
        (200, {}, b"[" * 100_000, "200"),
        (302, {"Location": "https://127.0.0.1/"}, b"", "302"),
        (400, {}, b"Bad Request", "400"), (403, {}, b'{"error": "foreign_batch", "message": "no"}', "no"),
        (413, {}, b"<html>proxy</html>", "413"), (500, {}, b"", "500"),
        (503, {"Retry-After": "40"}, b'{"error": "full", "message": "later"}', "later"),
    ],
)  # fmt: skip
def test_only_a_collectors_word_takes_records_off_the_spool(
    tmp_path: Path, status: int, headers: dict[str, str], text: bytes, shown: str
) -> None:
    make(tmp_path, ["127.0.0.1"], ["fra1"])
    spool = spooled(tmp_path, records_of("fra1", 0, 5))
    with answering(tmp_path, lambda _: (status, headers, text)) as (port, bodies):
        uplink = Uplink(settings(tmp_path, port), spool)
        wait_s = uplink.send()
        assert len(bodies) == 1 and shown in str(uplink.counts.failing)
        assert wait_s >= (40 if "Retry-After" in headers else 0.5)
        uplink.close()
    assert spool.counts().depth == 5
    spool.close()


@pytest.mark.parametrize("error", ["batch", "too_large"])
def test_a_record_that_no_batch_gets_through_with_is_found_and_let_go(tmp_path: Path, error: str) -> None:
    make(tmp_path, ["127.0.0.1"], ["fra1"])
    spool = spooled(tmp_path, records_of("fra1", 0, 100))
    got: list[int] = []

    def answer(body: bytes) -> tuple[int, dict[str, str], bytes]:
        numbers = [int(record.seq or 0) for record in decode(body).records]
        if 37 in numbers:
            return 400, {}, json.dumps({"error": error, "message": "poison"}).encode()
        got.extend(numbers)
        return taken(len(numbers))

    with answering(tmp_path, answer) as (port, bodies):
        uplink = Uplink(settings(tmp_path, port, batch_rows=64), spool)
        uplink.send()
        uplink.close()
    assert got == [seq for seq in range(100) if seq != 37]
    assert uplink.counts.refused == 1 and uplink.counts.accepted == 99 and uplink.counts.failures == 0
    assert len(bodies) < 40 and spool.counts().depth == 0
    spool.close()


def test_refused_rows_are_counted_and_gone_and_those_of_another_agent_too(tmp_path: Path) -> None:
    make(tmp_path, ["127.0.0.1"], ["fra1"])
    spool = spooled(tmp_path, records_of("fra1", 0, 3))
    refused = [{"row": 1, "field": "sent", "value": "-1", "mend": "x"}]
    text = json.dumps({"accepted": 1, "replayed": 1, "refused": refused}).encode()
    with answering(tmp_path, lambda _: (200, {}, text)) as (port, bodies):
        uplink = Uplink(settings(tmp_path, port), spool)
        uplink.send()
        assert (uplink.counts.accepted, uplink.counts.replayed, uplink.counts.refused) == (1, 1, 1)
        assert spool.counts().depth == 0
        other = Uplink(settings(tmp_path, port, agent="ams1"), spool)
        spool.append(records_of("fra1", 3, 2))
        text = json.dumps({"accepted": 0, "replayed": 0, "refused": []}).encode()
        other.send()
        assert other.counts.foreign == 2 and spool.counts().depth == 0
        assert [decode(body).agent for body in bodies] == ["fra1", "ams1"]
        uplink.close()
        other.close()
    spool.close()


def test_an_agent_with_nothing_to_say_says_so_now_and_then(tmp_path: Path) -> None:
    make(tmp_path, ["127.0.0.1"], ["fra1"])
    (tmp_path / "token").write_text("secret\n")
    spool = spooled(tmp_path, [])
    with answering(tmp_path, lambda _: taken(0)) as (port, bodies):
        uplink = Uplink(settings(tmp_path, port, heartbeat_s=0.3, token_file=tmp_path / "token"), spool)
        uplink.start()
        until(lambda: len(bodies) >= 3)
        uplink.close()
        batch = decode(bodies[0])
        assert batch.records == () and batch.next_in_s == 0.3
    spool.close()


def test_a_connection_that_stood_idle_is_no_failure(tmp_path: Path) -> None:
    make(tmp_path, ["127.0.0.1"], ["fra1"])
    spool = spooled(tmp_path, records_of("fra1", 0, 1))
    with answering(tmp_path, lambda body: taken(len(decode(body).records))) as (port, _):
        uplink = Uplink(settings(tmp_path, port), spool)
        uplink.send()
        assert uplink._connection is not None and uplink._connection.sock is not None
        kept = uplink._connection.sock
        kept.shutdown(2)  # as when the other side, or something between, has dropped it
        spool.append(records_of("fra1", 1, 1))
        uplink.send()
        assert uplink.counts.accepted == 2 and uplink.counts.failures == 0
        uplink.close()
    spool.close()


@given(st.integers(0, 2000), st.floats(0, 4000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_are_spread_and_never_shorter_than_asked(failures: int, asked_s: float, chance: float) -> None:
    wait_s = pause(failures, asked_s, chance)
    longest_s = min(LONGEST_PAUSE_S, 2.0**failures) if failures < 1000 else LONGEST_PAUSE_S
    assert wait_s >= asked_s and wait_s >= longest_s / 2
    assert wait_s <= max(longest_s, asked_s * 1.25)


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    now_s = 1_790_000_000.0  # Mon, 21 Sep 2026 14:13:20 GMT
    assert retry_after("120", now_s) == 120
    assert retry_after("Mon, 21 Sep 2026 14:14:20 GMT", now_s) == 60
    assert retry_after("Mon, 21 Sep 2026 14:00:00 GMT", now_s) == 0
    assert retry_after("99999999999999999999", now_s) == 3600
    for nonsense in (None, "", "soon", "-5", "1e9", "nan", "²"):
        assert retry_after(nonsense, now_s) == 0


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for changes in ({"url": "http://x"}, {"url": "https://"}, {"agent": "with space"}, {"agent": ""}):
        with pytest.raises(ValueError, match="is no"):
            settings(tmp_path, 1, **changes)
