"""The far end of packet trains: to whom it sends them, what it counts, and what it refuses."""

import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from probes.wire import train_packet
from probes.wire.batch import Outbox
from tests.probes.train_tools import KEY, measured, served


class Wire:
    """A control connection by hand."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 5)
        self.file = self.sock.makefile("rwb")
        self.greeting = self.heard()

    def heard(self) -> dict[str, Any]:
        line = self.file.readline()
        assert line, "the connection was closed"
        return dict(json.loads(line))

    def say(self, **words: Any) -> dict[str, Any]:
        self.raw(json.dumps(words).encode() + b"\n")
        return self.heard()

    def raw(self, data: bytes) -> None:
        self.file.write(data)
        self.file.flush()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()


def hello(port: int, name: bytes, address: str = "127.0.0.1") -> tuple[socket.socket, bytes | None]:
    """A socket that sent a hello, and the cookie that it got."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(0.5)
    sock.sendto(train_packet.greeting(train_packet.HELLO, name), ("127.0.0.1", port))
    with suppress(TimeoutError):
        return sock, sock.recv(100)[-16:]
    return sock, None


def test_a_train_goes_only_where_the_cookie_was_read() -> None:
    """The attacker names a victim as the source of its hello, and cannot read what the victim gets."""
    ask = {"do": "down", "train": 1, "packets": 50, "size": 1000}
    with served() as (port, counts), Wire(port) as wire:
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        victim, cookie = hello(port, name, "127.0.0.2")
        with victim:
            assert cookie is not None
            refused = wire.say(**ask, cookie="00" * 16)
            assert refused["refused"] == "unproven"
            with pytest.raises(TimeoutError):
                victim.recv(2000)
        assert (counts["train_refused_unproven"], counts["train_sent_packets"]) == (1, 1)  # the challenge alone
    with served() as (port, _), Wire(port) as wire:
        assert wire.say(nonce="00")["session"]
        assert wire.say(**ask, cookie="")["refused"] == "unproven"  # no hello at all


def test_a_cookie_of_one_address_sends_no_train_to_another() -> None:
    """First a hello of the attacker's own, for its cookie; then one that names the victim."""
    with served() as (port, _), Wire(port) as wire:
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        own, cookie = hello(port, name)
        victim, other = hello(port, name, "127.0.0.2")
        with own, victim:
            assert cookie != other
            assert cookie is not None
            refused = wire.say(do="down", train=1, packets=50, size=1000, cookie=cookie.hex())
            assert refused["refused"] == "unproven"
            with pytest.raises(TimeoutError):
                victim.recv(2000)


def test_who_has_read_the_cookie_gets_the_train() -> None:
    with served() as (port, counts), Wire(port) as wire:
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        sock, cookie = hello(port, name)
        with sock:
            assert cookie is not None
            told = wire.say(do="down", train=9, packets=30, size=500, cookie=cookie.hex())
            assert told["sent"] == 30
            found = [sock.recv(2000) for _ in range(30)]
    assert {len(data) for data in found} == {500}
    assert [int.from_bytes(data[28:32], "big") for data in found] == list(range(30))
    assert {data[8:24] for data in found} == {name}
    assert counts["train_sent_bytes"] == 30 * 500 + 48


def stuck(monkeypatch: pytest.MonkeyPatch, packets: int) -> threading.Event:
    """The way out takes so many packets of a train, and no more until the event is set."""
    free, real = threading.Event(), Outbox.send

    def send(box: Outbox, fd: int, start: int, stop: int) -> int:
        if len(box.data) == 1 or free.is_set():  # a challenge, or there is room again
            return real(box, fd, start, stop)
        if start >= packets:
            raise BlockingIOError
        return real(box, fd, start, packets)

    monkeypatch.setattr(Outbox, "send", send)
    return free


def test_a_way_out_without_room_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"do": "down", "train": 1, "packets": 30, "size": 500}
    free = stuck(monkeypatch, 10)
    with served() as (port, counts), Wire(port) as wire:
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        sock, cookie = hello(port, name)
        with sock, Wire(port) as other:
            assert cookie is not None
            wire.raw(json.dumps(ask | {"cookie": cookie.hex()}).encode() + b"\n")
            assert len([sock.recv(2000) for _ in range(10)]) == 10
            assert other.say(nonce="00")["session"]  # while the train stands
            assert other.say(do="up", train=1, packets=5, size=100)["refused"] == "busy"
            assert wire.say(**ask, cookie=cookie.hex())["refused"] == "busy"
            free.set()
            told = wire.heard()
            assert (told["sent"], told["waited"]) == (30, True)
            assert len([sock.recv(2000) for _ in range(20)]) == 20
            assert counts["train_sent_packets"] == 31
    free.clear()
    with served() as (port, counts), Wire(port) as wire:  # nobody waits for a train whose session is gone
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        sock, cookie = hello(port, name)
        with sock:
            assert cookie is not None
            wire.raw(json.dumps(ask | {"cookie": cookie.hex()}).encode() + b"\n")
            assert sock.recv(2000)
        wire.__exit__()
        with Wire(port) as other:
            assert other.say(nonce="00")["session"]
            until = time.monotonic() + 2  # below the time that a stuck train is given
            while other.say(do="up", train=1, packets=5, size=100) != {"ready": True}:
                assert time.monotonic() < until
                time.sleep(0.01)
        assert counts["train_sent_packets"] == 11


def test_what_leaves_without_room_goes_on_where_it_stopped() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        box = Outbox(500, 1472, None)
        train_packet.cars(box, bytes(16), 1, 500)
        leaving = train_packet.Leaving(ours, box, 500)
        came: list[bytes] = []
        theirs.setblocking(False)
        while not leaving.go_on():
            with suppress(BlockingIOError):
                while True:
                    came.append(theirs.recv(2000))
        with suppress(BlockingIOError):
            while True:
                came.append(theirs.recv(2000))
    assert [int.from_bytes(data[28:32], "big") for data in came] == list(range(500))
    assert leaving.departure[::2] == (500, True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        train_packet.Leaving(ours, box, 500).go_on()


def test_a_fault_of_its_own_at_a_datagram_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as (port, counts), Wire(port) as wire:
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        with monkeypatch.context() as broken:
            broken.setattr("probes.reflector.train_datagrams.headers", lambda *_: 1 / 0)
            hello(port, name)[0].close()
        sock, cookie = hello(port, name)
        sock.close()
        assert cookie is not None
        assert counts["train_failed"] == 1


def test_a_hello_of_no_session_is_not_answered() -> None:
    with served() as (port, counts):
        sock, cookie = hello(port, bytes(16))
        sock.close()
    assert cookie is None
    assert (counts["train_sent_packets"], counts["train_stray_packets"]) == (0, 1)


@pytest.mark.parametrize("text", ["\ud800", "\u00fc"])
def test_a_proof_that_is_no_ascii_is_a_wrong_one(text: str) -> None:
    with served("127.0.0.1", KEY) as (port, counts), Wire(port) as wire:
        assert wire.say(nonce="00", mac=text)["refused"] == "unauthorised"
        assert counts["train_failed"] == 0
    with served() as (port, counts), Wire(port) as wire:
        hello(port, bytes.fromhex(wire.say(nonce="00")["session"]))[0].close()
        assert wire.say(do="down", train=1, packets=5, size=100, cookie=text)["refused"] == "unproven"
        assert counts["train_failed"] == 0


def test_the_bytes_of_a_source_are_limited() -> None:
    with served(bytes_per_source_hour=200_000) as (port, counts):
        assert "hour" in (measured(port, "up", packets=200).error or "")  # the feeler fits, or nothing; the train never
    assert counts["train_refused_over_budget"] == 1
    assert counts["train_received_bytes"] < 200_000


def test_strangers_packets_are_not_part_of_a_train() -> None:
    with served() as (port, counts), Wire(port) as wire:
        name = bytes.fromhex(wire.say(nonce="00")["session"])
        assert wire.say(do="up", train=3, packets=5, size=100) == {"ready": True}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for session, number, seq in ((name, 3, 0), (bytes(16), 3, 1), (name, 4, 2), (name, 3, 5), (name, 3, 4)):
                head = bytearray(train_packet.greeting(train_packet.CAR, session) + bytes(52))
                head[24:28], head[28:32] = number.to_bytes(4, "big"), seq.to_bytes(4, "big")
                sock.sendto(head, ("127.0.0.1", port))
            sock.sendto(b"", ("127.0.0.1", port))
        report = wire.say(do="report")
    assert (report["seq"], len(report["ns"]), report["steady"]) == ([0, 4], 2, True)
    assert counts["train_stray_packets"] == 4


def test_while_one_has_the_line_others_wait_for_it() -> None:
    with served() as (port, counts), Wire(port) as first, Wire(port) as second:
        for wire in (first, second):
            assert wire.say(nonce="00")["session"]
        assert first.say(do="up", train=1, packets=5, size=100) == {"ready": True}
        assert second.say(do="up", train=1, packets=5, size=100)["refused"] == "busy"
        first.__exit__()
        until = time.monotonic() + 5
        while second.say(do="up", train=1, packets=5, size=100) != {"ready": True}:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert counts["train_refused_busy"] >= 1


@pytest.mark.parametrize(
    "line",
    [
        b"{\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b"[" * 900 + b"\n",
        b"x" * 3000,
        b'{"do":"fly"}\n',
        b'{"do":"report"}\n',
        b'{"do":"up"}\n',
        b'{"do":"up","train":true,"packets":5,"size":100}\n',
        b'{"do":"up","train":1,"packets":1001,"size":100}\n',
        b'{"do":"up","train":1,"packets":5,"size":9000}\n',
    ],
)
def test_a_malformed_line_ends_the_connection_with_a_reason(line: bytes) -> None:
    with served() as (port, counts), Wire(port) as wire:
        assert wire.say(nonce="00")["session"]
        wire.raw(line)
        refused = wire.heard()
        assert refused["refused"] == "malformed"
        assert refused["why"]
        assert wire.file.readline() == b""
        assert counts["train_refused_malformed"] == 1


def test_connections_are_limited_and_idle_ones_end() -> None:
    with served(connections_per_source=2, idle_s=0.3) as (port, counts), Wire(port) as first, Wire(port):
        with socket.create_connection(("127.0.0.1", port), 5) as third, suppress(ConnectionError):
            assert third.recv(100) == b""
        assert counts["train_refused_busy"] == 1
        assert first.file.readline() == b""  # it said nothing for too long
