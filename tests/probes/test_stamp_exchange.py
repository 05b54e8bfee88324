"""STAMP between sockets: our reflector and scapy's packets, our sender and a reflector made of scapy, both of ours."""

import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import numpy as np
import pytest
from scapy.contrib.stamp import (
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)

from probes.methods import stamp
from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep, records
from probes.reflector.counts import STAMP_DROPS, Counts
from probes.reflector.limits import Limiter, Rates
from probes.reflector.stamp_server import Settings, StampServer, open_socket
from probes.table import faults, to_table

KEY = b"a key of sixteen or more"
LOOPBACK = pytest.mark.parametrize("address", ["127.0.0.1", "::1"])


class Served:
    """A reflector in a thread of this process."""

    def __init__(self, address: str, settings: Settings, keys: tuple[bytes, ...]) -> None:
        self.counts = Counts()
        self.sock = open_socket(address, 0)
        self.port = self.sock.getsockname()[1]
        limiter = Limiter(settings.rates, time.monotonic_ns())
        self.server = StampServer(self.sock, settings, limiter, self.counts, keys)
        self._stop = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop:
            if not self.server.serve():
                time.sleep(0.0005)

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self.sock.close()

    def adds_up(self) -> bool:
        read = self.counts.read()
        dropped = sum(read[f"stamp_dropped_{reason}"] for reason in STAMP_DROPS)
        return read["stamp_received_packets"] == read["stamp_sent_packets"] + dropped


@contextmanager
def reflector(address: str = "127.0.0.1", *keys: bytes, **settings: object) -> Iterator[Served]:
    served = Served(address, Settings(**settings), keys)  # type: ignore[arg-type]
    try:
        yield served
    finally:
        served.close()


def asked(address: str, port: int, packet: bytes, wait_s: float = 2.0) -> bytes | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait_s)
        sock.sendto(packet, (address, port))
        with suppress(TimeoutError):
            return sock.recv(65_536)
    return None


@LOOPBACK
def test_scapys_request_gets_a_reply_that_scapy_reads(address: str) -> None:
    sent = STAMPSessionSenderTestUnauthenticated(seq=41, ts=3_900_000_000.25, ssid=77)
    before = time.time()
    with reflector(address) as served:
        data = asked(address, served.port, bytes(sent))
    assert data is not None
    reply = STAMPSessionReflectorTestUnauthenticated(data)
    assert (reply.seq, reply.seq_sender, reply.ssid, reply.ts_sender) == (41, 41, 77, 3_900_000_000.25)
    assert reply.ttl_sender == 64  # Linux' default, over no router
    received, left = (float(stamp) - 2_208_988_800 for stamp in (reply.ts_rx, reply.ts))
    assert before - 0.01 <= received <= left <= time.time() + 0.01
    assert len(data) == len(sent)


def test_a_longer_request_gets_as_much_back_with_its_tlvs_marked() -> None:
    sent = STAMPSessionSenderTestUnauthenticated(
        seq=1, tlv_objects=[STAMPTestTLV(flags=0x80, type=1, len=3, value=b"pad"), STAMPTestTLV(flags=0, type=9, len=0)]
    )
    with reflector() as served:
        data = asked("127.0.0.1", served.port, bytes(sent))
        padded = asked("127.0.0.1", served.port, bytes(sent)[:44] + bytes(1000))
    assert data is not None
    padding, unknown = STAMPSessionReflectorTestUnauthenticated(data).tlv_objects
    assert (int(padding.flags), padding.value, int(unknown.flags)) == (0, b"pad", 0x80)
    assert padded is not None
    assert padded[44:] == bytes(1000)


def test_the_reply_comes_from_the_address_that_was_asked() -> None:
    with reflector("0.0.0.0") as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        for address in ("127.0.0.1", "127.9.8.7"):
            sock.sendto(bytes(44), (address, served.port))
            assert sock.recvfrom(100)[1] == (address, served.port)


def test_what_must_not_be_answered_is_not_and_is_counted() -> None:
    with reflector(largest=200) as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as low:
        low.bind(("127.0.0.1", 0))
        assert asked("127.0.0.1", served.port, bytes(43), 0.1) is None
        assert asked("127.0.0.1", served.port, b"", 0.1) is None
        assert asked("127.0.0.1", served.port, bytes(201), 0.1) is None
        served.server._settings = Settings(largest=200, lowest_port=65_535)
        assert asked("127.0.0.1", served.port, bytes(44), 0.1) is None
    read = served.counts.read()
    assert (read["stamp_dropped_short"], read["stamp_dropped_oversized"], read["stamp_dropped_loop"]) == (2, 1, 1)
    assert read["stamp_sent_packets"] == 0
    assert served.adds_up()


def test_two_reflectors_on_one_port_do_not_answer_each_other_for_ever() -> None:
    """A forged request that seems to come from another reflector."""
    with reflector("127.0.0.1") as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", served.port))
        other.settimeout(0.1)
        other.sendto(bytes(44), ("127.0.0.1", served.port))
        with pytest.raises(TimeoutError):
            other.recv(100)
    assert served.counts["stamp_dropped_loop"] == 1


def test_a_stateful_reflector_numbers_each_sessions_replies() -> None:
    with reflector(stateful=True) as served, closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(2)
        numbers = []
        for seq, ssid in ((900, 1), (901, 1), (5, 2), (907, 1), (6, 2)):
            sock.sendto(bytes(STAMPSessionSenderTestUnauthenticated(seq=seq, ssid=ssid)), ("127.0.0.1", served.port))
            reply = STAMPSessionReflectorTestUnauthenticated(sock.recv(100))
            assert reply.seq_sender == seq
            numbers.append(reply.seq)
    assert numbers == [0, 1, 0, 2, 1]


def test_an_authenticated_reflector_answers_only_who_has_a_key() -> None:
    def sealed(key: bytes) -> bytes:
        body = (7).to_bytes(4, "big") + bytes(92)
        return body + hmac.new(key, body, hashlib.sha256).digest()[:16]

    with reflector("127.0.0.1", KEY, b"the next key, from tomorrow") as served:
        for key in (KEY, b"the next key, from tomorrow"):
            data = asked("127.0.0.1", served.port, sealed(key))
            assert data is not None
            assert len(data) == 112
            assert data[96:] == hmac.new(key, data[:96], hashlib.sha256).digest()[:16]
        assert asked("127.0.0.1", served.port, sealed(b"somebody else's key"), 0.1) is None
        assert asked("127.0.0.1", served.port, bytes(44), 0.1) is None
    assert (served.counts["stamp_dropped_forged"], served.counts["stamp_dropped_short"]) == (1, 1)
    assert served.adds_up()


def test_one_source_is_held_to_its_rate() -> None:
    rates = Rates(per_source=10, in_all=1000, burst_s=1)
    with reflector(rates=rates) as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(200):
            sock.sendto(bytes(44), ("127.0.0.1", served.port))
        until = time.monotonic() + 5
        while served.counts["stamp_received_packets"] < 200 and time.monotonic() < until:
            time.sleep(0.01)
    assert 10 <= served.counts["stamp_sent_packets"] <= 60
    assert served.adds_up()


# our sender


def endpoint(port: int, address: str = "127.0.0.1", name: str = "pop") -> Endpoint:
    return Endpoint(name, address, port)


@pytest.mark.parametrize("key", [None, KEY], ids=["open", "authenticated"])
def test_a_sweep_of_our_reflector(key: bytes | None) -> None:
    keys = (key,) if key else ()
    with reflector("127.0.0.1", *keys) as v4, reflector("::1", *keys) as v6:
        places = [endpoint(v4.port), endpoint(v6.port, "::1"), endpoint(v4.port, "127.0.0.1", "again")]
        found = stamp.sweep(places, rate_per_s=1000, probes=3, interval_s=0.01, timeout_s=2, key=key)
    assert found.answered.all()
    assert np.isfinite(found.rtt_ms).all()
    assert (found.rtt_ms < 50).all()
    rows = records(found, "agent")
    assert [(row.method, row.family, row.sent, row.received) for row in rows] == [
        ("stamp", 4, 3, 3),
        ("stamp", 6, 3, 3),
        ("stamp", 4, 3, 3),
    ]
    assert faults(to_table(rows)) == []
    assert v4.counts["stamp_received_packets"] == 6


def test_a_reflector_without_the_key_is_silence() -> None:
    with reflector("127.0.0.1", b"quite another key") as served:
        found = stamp.sweep([endpoint(served.port)], rate_per_s=1000, probes=2, interval_s=0, timeout_s=0.2, key=KEY)
    assert not found.answered.any()
    assert np.isnan(found.rtt_ms).all()


@contextmanager
def made_of_scapy(answer: Callable[[bytes, float], list[bytes]]) -> Iterator[int]:
    """A reflector that sends whatever the function makes of a request and its time of receipt."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                data, sender = sock.recvfrom(2048)
                for reply in answer(data, time.time()):
                    sock.sendto(reply, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            stop.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", sock.getsockname())
            thread.join()


def reply_to(data: bytes, received: float, held_s: float = 0.0, **changed: object) -> bytes:
    request = STAMPSessionSenderTestUnauthenticated(data)
    fields = {
        "seq": request.seq,
        "seq_sender": request.seq,
        "ts_rx": received + 2_208_988_800,
        "ts": received + 2_208_988_800 + held_s,
        "err_estimate_sender": request.err_estimate,
        "ssid": request.ssid,
    }
    built = bytes(STAMPSessionReflectorTestUnauthenticated(**fields | changed))
    # scapy's decimals of a time are a bit short at times: what must come back untouched is copied as octets
    return built if "ts_sender" in changed else built[:28] + data[4:12] + built[36:]


def swept(port: int, probes: int = 1, timeout_s: float = 0.5) -> Sweep:
    return stamp.sweep([endpoint(port)], rate_per_s=1000, probes=probes, interval_s=0.0, timeout_s=timeout_s)


def test_a_reflector_made_of_scapy_answers_our_sender() -> None:
    with made_of_scapy(lambda data, received: [reply_to(data, received)] if data else []) as port:
        found = swept(port, probes=3, timeout_s=2)
    assert found.answered.all()


def test_the_time_that_a_reflector_takes_is_no_part_of_the_round_trip() -> None:
    """It holds the packet for 300 ms and says so."""

    def answer(data: bytes, received: float) -> list[bytes]:
        time.sleep(0.3)
        return [reply_to(data, received, 0.3)] if data else []

    with made_of_scapy(answer) as port:
        found = swept(port, timeout_s=2)
    assert found.answered.all()
    assert found.rtt_ms[0, 0] < 100


def test_a_clock_that_is_set_while_a_reply_is_on_its_way_makes_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    real_ns, behind_ns = time.time_ns, [3_600_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() - behind_ns[0])

    def answer(data: bytes, received: float) -> list[bytes]:
        behind_ns[0] = 0
        return [reply_to(data, received)] if data else []

    with made_of_scapy(answer) as port:
        found = swept(port, timeout_s=2)
    assert found.answered.all()
    assert np.isnan(found.rtt_ms).all()
    assert not found.clock_ok


@pytest.mark.parametrize("held_s", [-0.001, 5.0], ids=["clock moved back", "longer than it was away"])
def test_a_reflector_with_absurd_times_is_heard_but_gives_no_time(held_s: float) -> None:
    with made_of_scapy(lambda data, received: [reply_to(data, received, held_s)] if data else []) as port:
        found = swept(port)
    assert found.answered.all()
    assert np.isnan(found.rtt_ms).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data, at: reply_to(data, at, seq_sender=STAMPSessionSenderTestUnauthenticated(data).seq + 1),
        lambda data, at: reply_to(data, at, ssid=STAMPSessionSenderTestUnauthenticated(data).ssid ^ 1),
        lambda data, at: reply_to(data, at, ts_sender=3_900_000_000),
        lambda data, at: reply_to(data, at)[:43],
        lambda data, at: b"",
    ],
    ids=["sequence", "session", "time", "short", "empty"],
)
def test_a_reply_that_is_not_ours_does_not_count(spoil: Callable[[bytes, float], bytes]) -> None:
    with made_of_scapy(lambda data, at: [spoil(data, at)] if len(data) >= 44 else []) as port:
        found = swept(port, timeout_s=0.2)
    assert not found.answered.any()


def test_copies_count_once() -> None:
    with made_of_scapy(lambda data, at: [reply_to(data, at)] * 3 if data else []) as port:
        found = swept(port, probes=2, timeout_s=1)
    assert found.answered.sum() == 2


def test_a_reply_after_the_timeout_is_loss() -> None:
    def answer(data: bytes, received: float) -> list[bytes]:
        time.sleep(0.3)
        return [reply_to(data, received)] if data else []

    with made_of_scapy(answer) as port:
        found = swept(port, timeout_s=0.1)
    assert not found.answered.any()


def test_a_reply_from_another_address_does_not_count() -> None:
    with reflector("127.0.0.3") as served, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind(("127.0.0.1", 0))
        relay.settimeout(2)

        def forward() -> None:
            data, sender = relay.recvfrom(100)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.3", 0))
                other.sendto(reply_to(data, time.time()), sender)

        thread = threading.Thread(target=forward)
        thread.start()
        found = swept(relay.getsockname()[1], timeout_s=0.2)
        thread.join()
    assert served.port
    assert not found.answered.any()


def test_a_closed_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    found = swept(port, timeout_s=0.3)
    assert not found.answered.any()
    assert "refused" in found.errors[0]


def test_the_source_port_stays_where_it_is_given() -> None:
    ports = []

    def note(data: bytes, at: float) -> list[bytes]:
        return [reply_to(data, at)] if data else []

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        chosen = free.getsockname()[1]
    with reflector() as served:
        seen = served.server._inbox.names
        for _ in range(2):
            stamp.sweep([endpoint(served.port)], rate_per_s=1000, probes=1, timeout_s=1, source_port=chosen)
            ports.append(int.from_bytes(seen[0, 2:4].tobytes(), "big"))
    assert ports == [chosen, chosen]


@pytest.mark.parametrize(("name", "value"), [("probes", 0), ("timeout_s", 0.0), ("rate_per_s", 0.0)])
def test_figures_out_of_range_are_named(name: str, value: float) -> None:
    arguments: dict[str, object] = {"rate_per_s": 100.0, name: value}
    with pytest.raises(ValueError, match=name):
        stamp.sweep([], **arguments)  # type: ignore[arg-type]
