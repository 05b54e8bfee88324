"""NDT7 on loopback, both ends, each also against another library's WebSocket."""

import asyncio
import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from probes.methods import ndt7
from probes.methods.endpoint import Endpoint
from probes.reflector.ndt7 import Limits, Ndt7Server
from probes.table import faults, to_table
from probes.wire.ndt7 import End
from tests.probes.tls_files import Authority

SUBPROTOCOL = "net.measurementlab.ndt.v7"
PLENTY = Limits(per_source=8, in_all=8, per_source_minute=1000, bytes=10**12)
REQUEST = (
    "GET /ndt/v7/{test} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
)


@contextlib.contextmanager
def serving(limits: Limits = PLENTY, address: str = "127.0.0.1", **more: Any) -> Iterator[Ndt7Server]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Ndt7Server(socket.create_server((address, 0), family=family), limits=limits, **more) as server:
        yield server


def at(port: int, address: str = "127.0.0.1", host: str | None = None) -> Endpoint:
    return Endpoint("pop", address, port, host)


def trial(port: int, direction: Any, **more: Any) -> ndt7.Throughput:
    found = ndt7.measure(at(port), direction=direction, source="here", **{"max_bytes": 10**12, **more})
    assert not faults(to_table([found.record]))
    return found


def settles(server: Ndt7Server, **expected: int) -> None:
    """Waits until the server has counted this: its thread ends a moment after the client."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        counts = server.counts()
        if all(counts.get(name.replace("__", ": "), 0) == count for name, count in expected.items()):
            return
        time.sleep(0.01)
    raise AssertionError(server.counts())


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("secured", [False, True])
def test_both_directions_with_tls_and_without(direction: str, secured: bool, tmp_path: Path) -> None:
    authority = Authority.new(tmp_path)
    tls = {"server": authority.server("pop.example"), "client": authority.client()} if secured else {}
    with serving(tls=tls.get("server")) as server:
        there = at(server.port, host="pop.example")
        found = ndt7.measure(
            there, direction=direction, source="here", seconds=1.2, tls=tls.get("client"), max_bytes=10**12
        )
        settles(server, **{direction: 1})
        counted = server.counts()[f"bytes_{direction}"]
    record = found.record
    assert (record.error, record.direction, record.loaded, record.method) == (None, direction, True, "ndt7")
    assert found.end in {End.STABLE, End.TIME}
    assert record.mbps is not None and record.mbps > 50
    assert record.bytes is not None and record.bytes > 0
    # what was sent and what had come in when the test ended differ by what was under way
    assert counted == pytest.approx(record.bytes, rel=0.1, abs=20_000_000)
    assert found.windows_mbps and found.rtt_ms and found.min_rtt_ms is not None


def test_bytes_and_time_bound_a_test_and_a_figure_needs_a_whole_window() -> None:
    with serving() as server:
        short = trial(server.port, "down", max_bytes=1_000_000)
        assert short.end is End.BYTES and short.record.mbps is None
        assert short.record.error == "no whole window of half a second: its bytes were spent"
        assert short.record.bytes is not None and 1_000_000 <= short.record.bytes < 40_000_000
        begun = time.monotonic()
        brief = trial(server.port, "up", seconds=0.3, max_bytes=10**12)
        assert brief.end is End.TIME and 0.3 <= time.monotonic() - begun < 3
    with serving(Limits(bytes=2_000_000)) as server:
        stopped = trial(server.port, "down")
        assert stopped.end is End.CLOSED
        assert stopped.record.bytes is not None and stopped.record.bytes < 3_000_000


def test_ipv6_and_the_ends_as_the_server_sees_them() -> None:
    with serving(address="::1") as server:
        found = ndt7.measure(at(server.port, "::1"), direction="down", source="here", seconds=0.2)
        assert (found.record.family, found.record.error) == (6, "no whole window of half a second: its time was over")


def test_what_goes_wrong_is_the_records_error(tmp_path: Path) -> None:
    authority = Authority.new(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    assert trial(closed, "down").record.error == "refused"
    with serving(tls=authority.server("pop.example", days=-1)) as server:
        there = at(server.port, host="pop.example")
        found = ndt7.measure(there, direction="up", source="here", tls=authority.client())
        assert found.record.error == "certificate expired"
        assert trial(server.port, "up").record.error in {"reset", "closed after 0 bytes of an HTTP head"}
        settles(server, **{"broken: TLS handshake": 2})
    with serving(token="right") as server:
        wrong = trial(server.port, "down", token="wrong").record
        assert wrong.error == "refused with status 401: no token, or a wrong one"
        assert (wrong.mbps, wrong.bytes) == (None, 0)
        assert trial(server.port, "down", token="right", seconds=0.1).end is End.TIME


def test_the_server_gives_each_source_its_share_and_no_more() -> None:
    with serving(Limits(per_source=1, in_all=8, per_source_minute=3, bytes=10**12)) as server:
        errors = _together(server.port, 2)
        assert sorted(filter(None, errors)) == [
            "refused with status 429: this source already runs as many tests as it may"
        ]
        refused = [_refusal(trial(server.port, "up", seconds=0.05)) for _ in range(3)]
        said = "refused with status 429: this source has begun as many tests in this minute as it may"
        assert refused == [None, None, said]
    with serving(Limits(per_source=8, in_all=1, bytes=10**12)) as server:
        errors = _together(server.port, 2)
        assert [error for error in errors if error] == [
            "refused with status 503: busy: as many tests as may run at once are running"
        ]


def _together(port: int, tests: int) -> list[str | None]:
    """The refusals among tests that run at the same time."""
    errors: list[str | None] = []
    running = threading.Event()
    first = threading.Thread(
        target=lambda: errors.append(_refusal(trial(port, "down", seconds=0.6, max_bytes=10**12, began=running.set)))
    )
    first.start()
    assert running.wait(5)
    errors += [_refusal(trial(port, "down", seconds=0.1)) for _ in range(tests - 1)]
    first.join()
    return errors


def _refusal(found: ndt7.Throughput) -> str | None:
    error = found.record.error
    return error if error is not None and error.startswith("refused") else None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("GET", "POST"), 405),
        (("/ndt/v7/download", "/ndt/v7/sideways"), 404),
        (("Upgrade: websocket\r\n", ""), 426),
        (("Version: 13", "Version: 8"), 400),
        (("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400),
        (("net.measurementlab.ndt.v7", "chat"), 400),
        (("/download", "/download?a=%ff"), 400),
        (("/download", "/download?a=" + "b" * 4100), 400),
        (("Host: x", "Host : x"), 400),
        (("HTTP/1.1", "HTTP/2.0"), 400),
        (("GET", "\x16\x03\x01"), 405),
        (("Host: x", "Host: " + "x" * 9000), 400),
    ],
)
def test_a_request_that_breaks_a_rule_gets_a_status_and_no_load(change: tuple[str, str], status: int) -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(REQUEST.format(test="download").replace(*change).encode("latin-1"))
        answer = b""
        with contextlib.suppress(ConnectionResetError):  # bytes that the server did not read reset the connection
            while piece := sock.recv(4096):
                answer += piece
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()) and len(answer) < 400
        assert not any(name.startswith("bytes") for name in server.counts())
        assert any(name.startswith("refused") for name in server.counts())


def test_the_key_of_the_rfc_is_accepted_as_the_rfc_says() -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(REQUEST.format(test="upload").encode())
        answer = sock.recv(4096).decode("latin-1")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer  # RFC 6455, section 1.3


def test_a_connection_that_says_nothing_is_closed_in_time() -> None:
    with serving(Limits(handshake_s=0.2)) as server:
        with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
            assert sock.recv(100) == b""
        settles(server, broken__timeout=1)


def test_one_source_cannot_hold_all_connections() -> None:
    with serving(Limits(per_source=1, handshakes_per_source=2)) as server:
        held = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(4)]
        assert held[3].recv(1) == b""
        settles(server, **{"refused: too many connections": 1})
        for sock in held:
            sock.close()
        settles(server, **{"left before asking": 3})
        assert trial(server.port, "down", seconds=0.1).end is End.TIME


def test_frames_that_break_the_protocol_end_the_test_alone() -> None:
    broken = {
        "unmasked": b"\x82\x05hello",
        "reserved bit": b"\xc2\x85\0\0\0\0hello",
        "reserved opcode": b"\x83\x85\0\0\0\0hello",
        "a ping of 126 bytes": b"\x89\xfe\x00\x7e\0\0\0\0" + bytes(126),
        "a message of 2^25": b"\x82\xff" + (1 << 25).to_bytes(8, "big") + bytes(4),
    }
    with serving() as server:
        for frame in broken.values():
            with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
                sock.sendall(REQUEST.format(test="upload").encode())
                assert sock.recv(12) == b"HTTP/1.1 101"
                sock.sendall(frame)
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(4096):
                        pass
        settles(server, **{"broken: frames": len(broken)})
        assert trial(server.port, "up", seconds=0.1).end is End.TIME


def test_the_server_survives_any_bytes() -> None:
    with serving() as server:
        for seed in range(60):
            with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
                sock.settimeout(0.05)
                sock.sendall((REQUEST.format(test="upload").encode() if seed % 2 else b"") + os.urandom(seed * 10))
                sock.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):
                    while sock.recv(65_536):
                        pass
        assert trial(server.port, "up", seconds=0.1).end is End.TIME


def test_another_librarys_client_downloads_and_uploads() -> None:
    async def download(port: int) -> tuple[int, list[dict[str, Any]], int | None]:
        size, texts = 0, []
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/ndt/v7/download"
            async with session.ws_connect(url, protocols=[SUBPROTOCOL], max_msg_size=1 << 24) as ws:
                assert ws.protocol == SUBPROTOCOL
                async for part in ws:
                    if part.type is WSMsgType.TEXT:
                        texts.append(json.loads(part.data))
                    else:
                        assert part.type is WSMsgType.BINARY
                        assert 1 << 10 <= len(part.data) <= 1 << 24 and len(part.data).bit_count() == 1
                        size += len(part.data)
                return size, texts, ws.close_code

    async def upload(port: int) -> list[dict[str, Any]]:
        texts = []
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/ndt/v7/upload"
            async with session.ws_connect(url, protocols=[SUBPROTOCOL]) as ws:
                until = time.monotonic() + 0.5
                while time.monotonic() < until:
                    await ws.send_bytes(bytes(1 << 13))
                await ws.ping(b"there?")
                await ws.send_str("not JSON")
                await ws.close()
                with contextlib.suppress(RuntimeError):
                    texts = [json.loads(part.data) async for part in ws if part.type is WSMsgType.TEXT]
        return texts

    with serving(Limits(seconds=0.8, bytes=10**12, per_source_minute=100)) as server:
        size, texts, code = asyncio.run(download(server.port))
        asyncio.run(upload(server.port))
        settles(server, down=1, up=1)
        assert server.counts()["bytes_down"] == size and code == 1000
        assert server.counts()["bytes_up"] >= 1 << 13
    assert 1 <= len(texts) <= 10  # no more than ten texts a second
    last = texts[-1]
    assert last["Origin"] == "server" and last["Test"] == "download"
    assert 0 < last["AppInfo"]["NumBytes"] <= size
    assert 0 < last["AppInfo"]["ElapsedTime"] < 2_000_000
    assert last["ConnectionInfo"]["Server"] == f"127.0.0.1:{server.port}"
    assert last["ConnectionInfo"]["Client"].startswith("127.0.0.1:")
    assert {"RTT", "MinRTT", "BytesAcked", "BytesSent", "BytesRetrans", "ElapsedTime"} <= set(last["TCPInfo"])
    assert all(isinstance(value, int) for value in last["TCPInfo"].values())


class Other:
    """A server of NDT7 made with aiohttp, in a thread: what it saw, and texts as M-Lab's own server writes them."""

    def __init__(self) -> None:
        self.received = 0
        self.texts: list[dict[str, Any]] = []
        self.started = threading.Event()
        self._stop = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.thread.start()
        assert self.started.wait(10)

    def close(self) -> None:
        self._stop.set()
        self.thread.join()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/ndt/v7/download", self._download)
        app.router.add_get("/ndt/v7/upload", self._upload)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self.started.set()
        while not self._stop.is_set():
            await asyncio.sleep(0.01)
        await runner.cleanup()

    async def _download(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=[SUBPROTOCOL], max_msg_size=1 << 24)
        await ws.prepare(request)
        await ws.ping(b"are you there")
        payload = os.urandom(1 << 13)
        begun, sent = time.monotonic(), 0
        while (elapsed := time.monotonic() - begun) < 5 and not ws.closed:
            due = int(elapsed * 2_500_000 / len(payload))  # 20 Mbit/s by the clock
            try:
                for _ in range(due - sent):
                    await ws.send_bytes(payload)
                await ws.send_str(json.dumps({"TCPInfo": {"RTT": 12_000, "MinRTT": 9_000, "ElapsedTime": 1}}))
            except ConnectionError:  # the client has seen enough
                break
            sent = due
            await asyncio.sleep(0.02)
        return ws

    async def _upload(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=[SUBPROTOCOL], max_msg_size=1 << 24)
        await ws.prepare(request)
        begun = next_text = time.monotonic()
        async for part in ws:
            if part.type is WSMsgType.TEXT:
                self.texts.append(json.loads(part.data))
                continue
            self.received += len(part.data)
            now = time.monotonic()
            if now >= next_text:
                next_text = now + 0.1
                told = {"ElapsedTime": int((now - begun) * 1e6), "BytesReceived": self.received}
                await ws.send_str(json.dumps({"Origin": "server", "TCPInfo": told}))
        return ws


def test_another_librarys_server_is_measured_in_both_directions() -> None:
    other = Other()
    try:
        down = trial(other.port, "down")
        up = trial(other.port, "up", seconds=1.5, max_bytes=10**12)
    finally:
        other.close()
    assert down.record.error is None and down.end is End.STABLE
    assert down.record.mbps == pytest.approx(20, rel=0.1)
    assert len(down.windows_mbps) <= 8 and set(down.rtt_ms) == {12.0} and down.min_rtt_ms == 9.0
    assert up.record.error is None and up.record.mbps is not None
    assert other.received == pytest.approx(up.record.bytes, abs=5_000_000)
    assert {text["Origin"] for text in other.texts} == {"client"} and other.texts[-1]["AppInfo"]["NumBytes"] > 0
    assert "ConnectionInfo" not in other.texts[-1]


def test_an_upload_is_what_the_server_received_not_what_was_sent() -> None:
    """A server that reads 1 MB and says that 0.5 MB came each half second: 8 Mbit/s, whatever left this machine."""

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            assert sock.recv(4096)
            sock.sendall(
                b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: "
                + SUBPROTOCOL.encode()
                + b"\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accepted[0].encode()
            )
            for number in range(4):
                told = json.dumps({"AppInfo": {"ElapsedTime": 500_000 * number, "NumBytes": 500_000 * number}}).encode()
                sock.sendall(struct.pack("!BB", 0x81, len(told)) + told)
            with contextlib.suppress(OSError):
                while sock.recv(1 << 16):
                    pass

    accepted = [ndt7.accept_key("k")]
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndt7, "new_key", lambda: "k")
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        found = trial(listener.getsockname()[1], "up", seconds=3, max_bytes=10**9)
        thread.join()
    assert found.end is End.STABLE and found.settled
    assert found.windows_mbps == (8.0, 8.0) and found.record.mbps == 8.0


def test_a_server_that_is_no_ndt7_is_told_as_such() -> None:
    async def plain() -> str | None:
        async def chat(request: web.Request) -> web.WebSocketResponse:
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            return ws

        app = web.Application()
        app.router.add_get("/ndt/v7/download", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        found = await asyncio.to_thread(ndt7.measure, at(port), direction="down", source="here")
        missing = await asyncio.to_thread(ndt7.measure, at(port), direction="up", source="here")
        await runner.cleanup()
        assert missing.record.error == "refused with status 404: 404: Not Found"
        return found.record.error

    assert asyncio.run(plain()) == f"the answer does not agree to {SUBPROTOCOL}"
