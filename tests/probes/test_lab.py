"""The lab does to packets what its links say, and its truth says what it did. test_lab_rootless.py runs this again."""

import math
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from lab_tools import catch, pings, udp

from probes.lab import Host, Lab, LabError, Link, Pop

LATE_MS = 5.0  # generous: the machine may be busy, and the least of several is compared
HOSTS = (Host("a", "10.10.0.1", "fd10::1"), Host("b", "10.10.0.2", "fd10::2"))
POPS = tuple(
    Pop(f"pop-{n}", f"10.78.0.{n}", f"fd78::{n:x}", Link(rtt_ms=n, jitter_ms=2 if n > 150 else 0))
    for n in range(1, 201)
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(HOSTS, POPS, {("a", "b"): Link(rtt_ms=30, back=Link(rtt_ms=10))}, seed=7) as made:
        yield made


def least(row: list[float | None]) -> float:
    return min(rtt for rtt in row if rtt is not None)


def test_it_stands_on_a_user_namespace_exactly_where_this_process_may_make_no_other(lab: Lab) -> None:
    effective = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    may_administer = bool(int(effective.split()[1], 16) >> 21 & 1)  # CAP_SYS_ADMIN
    assert lab.as_root is may_administer


@pytest.mark.parametrize("six", [False, True])
def test_every_pop_answers_echo_requests_after_the_round_trip_of_its_own(lab: Lab, six: bool) -> None:
    pops = POPS[:150]
    rows = pings(lab, "a", [pop.address6 or "" if six else pop.address for pop in pops], rounds=4, gap_s=0.01)
    for pop, row in zip(pops, rows, strict=True):
        assert pop.link
        assert pop.link.rtt_ms <= least(row) < pop.link.rtt_ms + LATE_MS, pop


@pytest.mark.parametrize("six", [False, True])
def test_hosts_reach_each_other_and_each_way_waits_its_own_half(lab: Lab, six: bool) -> None:
    [there] = pings(lab, "a", ["fd10::2" if six else "10.10.0.2"], rounds=4, gap_s=0.01)
    [back] = pings(lab, "b", ["fd10::1" if six else "10.10.0.1"], rounds=4, gap_s=0.01)
    for row in (there, back):
        assert 20 <= least(row) < 20 + LATE_MS
    assert lab.link("a", "b").round_trip_ms == 20


def test_one_way_waits_the_half_of_that_ways_link(lab: Lab) -> None:
    with udp(lab, "a", "10.10.0.1") as first, udp(lab, "b", "10.10.0.2") as second:
        for sender, receiver, one_way_ms in ((first, second, 15), (second, first, 5)):
            took = []
            for _ in range(4):
                sent = time.time_ns()
                sender.sendto(b"x", receiver.getsockname())
                took.append((catch(receiver, most=1)[0] - sent) / 1e6)
            assert one_way_ms <= min(took) < one_way_ms + LATE_MS


def test_jitter_only_adds_and_evenly(lab: Lab) -> None:
    pops = POPS[150:]
    rows = pings(lab, "a", [pop.address for pop in pops], rounds=8, gap_s=0.01)
    extra = [
        rtt - (pop.link.rtt_ms if pop.link else 0) for pop, row in zip(pops, rows, strict=True) for rtt in row if rtt
    ]
    assert len(extra) == 400
    assert min(extra) >= 0
    # two ways of 0 to 2 ms: mean 2, standard deviation 0.816; the machine can only be late
    assert 2 - 5 * 0.816 / 20 < sorted(extra)[200] < 2 + 5 * 0.816 / 20 + LATE_MS / 2
    assert sorted(extra)[360] - sorted(extra)[40] > 1.5  # 10 % lie under 0.89 ms and 10 % over 3.11 ms


@pytest.mark.parametrize("address", ["10.78.0.1", "fd78::1"])
def test_a_server_listens_on_the_address_of_its_pop(lab: Lab, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        lab.open_socket("pop-1", family, socket.SOCK_STREAM) as server,
        lab.open_socket("a", family, socket.SOCK_STREAM) as client,
    ):
        server.bind((address, 4433))
        server.listen()
        client.settimeout(5)
        client.connect((address, 4433))
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"request")
            assert accepted.recv(100) == b"request"
            accepted.sendall(b"reply")
            assert client.recv(100) == b"reply"


@pytest.mark.parametrize("six", [False, True])
def test_a_closed_port_says_so_each_time(lab: Lab, six: bool) -> None:
    refused = 0
    for pop in POPS[:20]:
        with lab.open_socket("a", socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(2)
            probe.connect((pop.address6 if six else pop.address, 9))
            probe.send(b"x")
            with pytest.raises(ConnectionRefusedError):
                probe.recv(1)
            refused += 1
    assert refused == 20


def test_what_the_truth_counts_is_what_was_sent_and_what_arrived() -> None:
    with Lab(HOSTS, default=Link(rtt_ms=2, loss=0.1), seed=11) as lab, udp(lab, "b", "10.10.0.2", 9000) as server:
        arrived = 0
        with udp(lab, "a", "10.10.0.1") as sender:
            for _ in range(30):
                for _ in range(100):
                    sender.sendto(bytes(100), ("10.10.0.2", 9000))
                arrived += len(catch(server, 0.005))
        arrived += len(catch(server, 0.3))
        path = lab.truth().path("a", "b")
    assert path.seen == 3000
    assert path.octets == 3000 * 128
    assert path.delivered == arrived == path.seen - path.lost
    assert abs(path.lost - 300) < 5 * math.sqrt(3000 * 0.1 * 0.9)


def test_a_seed_decides_which_packets_are_lost() -> None:
    def lost(seed: int) -> list[bool]:
        with Lab(
            HOSTS[:1], [Pop(f"p{n}", f"10.78.0.{n}") for n in range(40)], default=Link(loss=0.3), seed=seed
        ) as lab:
            rows = pings(lab, "a", [f"10.78.0.{n}" for n in range(40)], rounds=5, wait_s=0.2)
        return [rtt is None for row in rows for rtt in row]

    first = lost(1)
    assert first == lost(1)
    assert first != lost(2)
    assert abs(sum(first) - 200 * 0.51) < 5 * math.sqrt(200 * 0.51 * 0.49)  # both ways: 1 - 0.7²


def test_packets_leave_at_the_rate_of_the_link() -> None:
    link = Link(rtt_ms=4, rate_mbps=10, queue_kbyte=400)
    with Lab(HOSTS, default=link) as lab, udp(lab, "b", "10.10.0.2", 9000) as server:
        with udp(lab, "a", "10.10.0.1") as sender:
            for _ in range(200):
                sender.sendto(bytes(1472), ("10.10.0.2", 9000))
        times = catch(server)
    assert len(times) == 200
    # 1,500 bytes of IP at 10 Mbit/s are 1.2 ms each: exactly so in test_lab_lane.py; here the ends may be late
    assert (times[-1] - times[0]) / 199 / 1e6 == pytest.approx(1.2, rel=0.1)


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted() -> None:
    link = Link(rate_mbps=1, queue_kbyte=15)
    with Lab(HOSTS, default=link) as lab, udp(lab, "b", "10.10.0.2", 9000) as server:
        with udp(lab, "a", "10.10.0.1") as sender:
            for _ in range(50):
                sender.sendto(bytes(1472), ("10.10.0.2", 9000))
        arrived = len(catch(server))
        path = lab.truth().path("a", "b")
    assert path.delivered == arrived == 50 - path.overflowed
    assert 10 <= arrived <= 15  # ten fit; one more leaves each 12 ms that the sending takes


def test_tcp_gets_the_rate_with_merged_packets_too() -> None:
    """The quickest of three: a busy machine makes a transfer slower, and nothing makes one quicker than the wire."""
    octets, link = 4_000_000, Link(rtt_ms=2, rate_mbps=100)
    with Lab(HOSTS, default=link, offload=True) as lab:
        server = lab.run("b", ["sh", "-c", "sleep 60"])  # any program; the sockets below stand beside it
        seconds = [_transferred(lab, port, octets) for port in (5001, 5002, 5003)]
        path = lab.truth().path("a", "b")
        assert server.poll() is None
    assert path.seen < len(seconds) * octets / 1448 / 2  # they were merged
    assert octets * 8 * 1500 / 1448 / min(seconds) / 1e6 == pytest.approx(100, rel=0.1)


def _transferred(lab: Lab, port: int, octets: int) -> float:
    """Seconds that a connection of its own takes to bring so much from a to b."""
    with (
        lab.open_socket("b", socket.AF_INET, socket.SOCK_STREAM) as listening,
        lab.open_socket("a", socket.AF_INET, socket.SOCK_STREAM) as client,
    ):
        listening.bind(("10.10.0.2", port))
        listening.listen()
        client.connect(("10.10.0.2", port))
        accepted, _ = listening.accept()
        client.setblocking(False)
        with accepted:
            return _transfer(client, accepted, octets)


def _transfer(client: socket.socket, server: socket.socket, octets: int) -> float:
    server.settimeout(5)
    began, received, sent = 0.0, 0, 0
    while received < octets:
        with suppress(BlockingIOError):
            sent += client.send(bytes(min(octets - sent, 1 << 16))) if sent < octets else 0
        received += len(server.recv(1 << 20))
        began = began or time.monotonic()
    return time.monotonic() - began


def test_a_link_can_change_while_it_is_used() -> None:
    with Lab(HOSTS, POPS[:2], default=Link(rtt_ms=2)) as lab:

        def rtt() -> float | None:
            return pings(lab, "a", ["10.10.0.2"], wait_s=0.3)[0][0]

        assert (rtt() or 0) >= 2
        lab.set_link("b", "a", Link(rtt_ms=40))
        assert (rtt() or 0) >= 40
        lab.set_link("a", "b", Link(rtt_ms=2, up=False))
        assert rtt() is None
        lab.set_link("a", "b", Link(rtt_ms=4))
        assert 4 <= (rtt() or 0) < 40
        lab.down("b")
        assert rtt() is None
        assert pings(lab, "a", [POPS[0].address])[0][0]
        lab.up("b")
        assert 4 <= (rtt() or 0) < 40
        assert lab.truth().path("a", "b").while_down == 2


def test_a_link_that_was_never_used_can_change_too() -> None:
    with Lab(HOSTS, POPS[:1], default=Link(rtt_ms=2)) as lab:
        lab.set_link("a", "pop-1", Link(rtt_ms=30))
        lab.down("b")
        assert (pings(lab, "a", ["10.78.0.1"])[0][0] or 0) >= 30
        assert pings(lab, "a", ["10.10.0.2"], wait_s=0.2) == [[None]]


def test_a_thousand_pops_asked_at_once_all_answer_after_their_own_time() -> None:
    chance = random.Random(5)
    pops = [Pop(f"p{n}", f"10.79.{n // 250}.{n % 250}", link=Link(chance.uniform(1, 300))) for n in range(1000)]
    with Lab(HOSTS[:1], pops) as lab:
        rows = pings(lab, "a", [pop.address for pop in pops])
        truth = lab.truth()
    late = sorted((row[0] or 0) - (pop.link.rtt_ms if pop.link else 0) for pop, row in zip(pops, rows, strict=True))
    assert (truth.total.delivered, truth.missed, truth.strayed) == (2000, 0, 0)
    assert late[0] >= 0
    assert late[500] < LATE_MS


def test_packets_to_nobody_stray_and_are_counted(lab: Lab) -> None:
    before = lab.truth().strayed
    assert pings(lab, "a", ["10.200.0.1", "10.78.0.250"], wait_s=0.1) == [[None], [None]]
    assert lab.truth().strayed == before + 2


def test_frames_of_any_bytes_do_no_harm(lab: Lab) -> None:
    chance = random.Random(3)
    known = [socket.inet_aton("10.10.0.1") + socket.inet_aton(pop.address) for pop in POPS[:5]]
    with lab.open_socket("a", socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind(("eth0", 0x0800))
        for number in range(2000):
            frame = bytearray(chance.randbytes(chance.randrange(14, 1514)))
            if number % 2 and len(frame) > 34:  # half of them to a PoP, with a header that is otherwise anything
                frame[14], frame[26:34] = 0x45, chance.choice(known)
            wire.send(frame)
    assert pings(lab, "a", [POPS[9].address])[0][0]
    assert lab.truth().strayed > 500


def test_the_lateness_of_what_was_sent_is_known(lab: Lab) -> None:
    pings(lab, "a", [pop.address for pop in POPS[:50]])
    truth = lab.truth()
    assert sum(truth.lateness_us) == truth.total.delivered
    assert 0 <= truth.lateness(0.5) <= truth.lateness(0.99)
    assert truth.missed == 0


def test_a_function_raises_here_what_it_raised_there(lab: Lab) -> None:
    def fails() -> None:
        raise FileNotFoundError("nothing here")

    with pytest.raises(FileNotFoundError, match="nothing here"):
        lab.call("a", fails)
    assert lab.call("a", len, "four") == 4


def test_everything_that_cannot_be_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="two places are called 'a'") as error:
        Lab([Host("a", "10.0.0.1", "10.0.0.9")], [Pop("a", "10.0.0.1"), Pop("b", "nowhere")], {("a", "z"): Link()})
    for also in (
        "10.0.0.9 is no address of IPv6",
        "'nowhere' is no address",
        "share 10.0.0.1",
        "there is no place 'z'",
    ):
        assert also in str(error.value)
    with pytest.raises(ValueError, match=r"loss is 1\.5"):
        Link(loss=1.5)
    with pytest.raises(ValueError, match="rate_mbps is 0"):
        Link(rate_mbps=0)


def test_places_that_are_not_there_are_named(lab: Lab) -> None:
    with pytest.raises(LabError, match="no place 'c' in the lab; hosts: a, b"):
        lab.run("c", ["true"])
    with pytest.raises(LabError, match="within its with"):
        Lab(HOSTS).truth()
