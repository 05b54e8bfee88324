"""Of all that comes in, only the answers to an ICMP sweep's own requests count: liars, duplicates, neighbours."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw

from probes.lab import Lab
from probes.methods import icmp
from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep, records
from probes.wire.batch import Inbox
from probes.wire.icmp_socket import open_icmp
from tests.probes.icmp_lab import AGENT, DEAD, KINDS, LIAR, THIRD, network, plain, swept


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with network() as made:
        yield made


def test_two_sweeps_at_once_keep_to_their_own_answers(lab):
    def both() -> list[Sweep]:
        found: list[Sweep] = []
        endpoints = [Endpoint("", f"127.0.1.{i}") for i in range(1, 200)]

        def one() -> None:
            found.append(plain(icmp.sweep(endpoints, rate_per_s=20_000, kinds=("raw",), interval_s=0.01)))

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    assert all(sweep.answered.all() for sweep in lab.call("agent", both))


def test_a_raw_socket_is_given_only_the_echo_replies_of_its_own_id(lab):
    def heard() -> list[int]:
        counts = []
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            mine, other = open_icmp(family, ("raw",)), open_icmp(family, ("raw",))
            request = bytes([128 if family == socket.AF_INET6 else 8, 0])
            for opened in (mine, other):
                body = opened.ident.to_bytes(2, "big") + b"\0\1"
                packet = request + _checksum(request + b"\0\0" + body) + body
                opened.socket.sendto(packet, (address, 0))
            inbox = Inbox(16, 100)
            time.sleep(0.05)
            inbox.receive(mine.socket.fileno())
            counts.append(inbox.filled)
            offset = 20 if family == socket.AF_INET else 0
            assert inbox.data[0, offset + 4 : offset + 6].tobytes() == mine.ident.to_bytes(2, "big")
            mine.socket.close()
            other.socket.close()
        return counts

    assert lab.call("agent", heard) == [1, 1]


def _checksum(message: bytes) -> bytes:
    total = sum(int.from_bytes(message[i : i + 2], "big") for i in range(0, len(message), 2))
    return (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")


def test_ids_differ_from_socket_to_socket(lab):
    def idents() -> list[int]:
        found = []
        for kind in ("datagram", "raw"):
            for _ in range(10):
                opened = open_icmp(socket.AF_INET, (kind,))
                found.append(opened.ident)
                opened.socket.close()
        return found

    found = lab.call("agent", idents)
    assert len(set(found)) > 15
    assert {b - a for a, b in itertools.pairwise(found[:10])} != {1}


class Liar(threading.Thread):
    """Answers echo requests at its host as `answers` says: (packet from the IP header on, to be sent after s)."""

    def __init__(self, lab: Lab, answers: Callable[[IP], list[tuple[IP, float]]]) -> None:
        super().__init__(daemon=True)
        self.sock = lab.open_socket("liar", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        self.sock.settimeout(0.05)
        self.answers = answers
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                request = IP(self.sock.recv(2048))
                if request[ICMP].type == 8:
                    for packet, after_s in self.answers(request):
                        time.sleep(after_s)
                        self.sock.sendto(bytes(packet), (AGENT, 0))

    def __enter__(self) -> "Liar":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
        self.sock.close()


def _answer(request: IP, source: str = LIAR, **changes: object) -> IP:
    told = {"id": request[ICMP].id, "seq": request[ICMP].seq, "type": 0, **changes}
    payload = told.pop("payload", bytes(request[ICMP].payload))
    return IP(src=source, dst=AGENT) / ICMP(**told) / Raw(payload)


def _forged(request: IP) -> list[tuple[IP, float]]:
    payload = bytes(request[ICMP].payload)
    token = payload[:4] + bytes([payload[4] ^ 1]) + payload[5:]
    other = int.to_bytes(int.from_bytes(payload[:4], "big") ^ 1, 4, "big") + payload[4:]
    return [
        (_answer(request, payload=token), 0),
        (_answer(request, payload=other), 0),
        (_answer(request, payload=b"\xff" * 16), 0),
        (_answer(request, payload=payload[:11]), 0),
        (_answer(request, payload=b""), 0),
        (_answer(request, type=8), 0),
        (_answer(request, code=1), 0),
    ]


@pytest.mark.parametrize("kinds", KINDS)
def test_forged_answers_with_the_right_id_and_number_count_for_nothing(lab, kinds):
    with Liar(lab, _forged):
        sweep = swept(lab, [LIAR, "10.78.0.1"], kinds=kinds, timeout_s=0.3)
    assert sweep.answered.tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize("kinds", KINDS)
def test_the_right_answer_from_another_address_counts_for_nothing(lab, kinds):
    with Liar(lab, lambda request: [(_answer(request, source=THIRD), 0)]):
        sweep = swept(lab, [LIAR, THIRD], kinds=kinds, timeout_s=0.3)
    assert sweep.answered.tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize("kinds", KINDS)
def test_of_duplicates_the_first_counts_even_when_the_number_in_the_header_is_another(lab, kinds):
    def thrice(request: IP) -> list[tuple[IP, float]]:
        return [(_answer(request, seq=request[ICMP].seq ^ 0x8000), 0), (_answer(request), 0.1), (_answer(request), 0)]

    with Liar(lab, thrice):
        sweep = swept(lab, [LIAR, "10.78.0.2"], kinds=kinds, interval_s=0.3)
    assert sweep.answered.all()
    assert np.nanmin(sweep.rtt_ms[0]) < 80
    (record, _) = records(sweep, "here")
    assert (record.sent, record.received, len(record.rtt_ms or ())) == (3, 3, 3)


def test_an_answer_that_comes_too_late_is_no_answer_though_the_sweep_still_listens(lab):
    with Liar(lab, lambda request: [(_answer(request), 0.15)]):
        sweep = swept(lab, [LIAR, DEAD], timeout_s=0.1, probes=3, interval_s=0.25)
    assert not sweep.answered.any()
