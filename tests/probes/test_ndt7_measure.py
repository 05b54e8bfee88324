"""What an NDT7 measurement reads on loopback, from this project's server and from those of others."""

import asyncio
import contextlib
import json
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from probes.methods import ndt7
from probes.reflector.ndt7 import Limits
from probes.wire.ndt7 import End
from tests.probes.ndt7_tools import SUBPROTOCOL, at, serving, settles, trial
from tests.probes.tls_files import Authority


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
