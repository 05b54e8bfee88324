"""The NDT7 server: its limits, what breaks a rule, and another library's client."""

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from probes.methods import ndt7
from probes.reflector.ndt7 import Limits
from probes.wire.ndt7 import End
from tests.probes.ndt7_tools import SUBPROTOCOL, serving, settles, trial

REQUEST = (
    "GET /ndt/v7/{test} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
)


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
