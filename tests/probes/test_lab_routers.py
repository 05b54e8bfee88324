"""Routers on a lab's links: scapy reads what they send, and a plain traceroute finds them where they are said to be."""

import select
import socket
import struct
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_tools import udp
from scapy.layers.inet import ICMP, IP, UDP, ICMPerror, IPerror, UDPerror
from scapy.layers.inet6 import ICMPv6TimeExceeded, IPerror6, IPv6

from probes.lab import Host, Lab, Link, Pop
from probes.lab.routers import Routers, checksum

HOPS = (("10.20.1.1", "fd20:1::1"), ("10.20.2.1", "10.20.2.2"), (), ("10.20.4.1", "fd20:4::1"))
IP_RECVERR, IPV6_RECVERR, IP_RECVTTL, ERROR_QUEUE = 11, 25, 12, 0x2000


def frame(packet: Any, missing_checksum: bool = False) -> bytes:
    """As it comes to the emulator; where the sum is left to the device, its field holds the pseudo-header's."""
    raw = bytes(12) + (b"\x08\x00" if packet.version == 4 else b"\x86\xdd") + bytes(packet)
    if not missing_checksum:
        return bytes(10) + raw
    start = 14 + (20 if packet.version == 4 else 40)
    addresses = raw[26:34] if packet.version == 4 else raw[22:54]
    pseudo = addresses + struct.pack("!II", len(raw) - start, 17)
    partial = ~checksum(pseudo) & 0xFFFF
    return (
        struct.pack("=BBHHHH", 1, 0, 0, 0, start, 6) + raw[: start + 6] + struct.pack("!H", partial) + raw[start + 8 :]
    )


@settings(max_examples=60)
@given(st.binary(max_size=1400), st.integers(1, 255), st.booleans(), st.integers(1, 65535))
def test_what_a_router_does_is_what_scapy_reads(payload: bytes, ttl: int, missing: bool, port: int) -> None:
    sent = IP(src="10.10.0.1", dst="10.78.0.1", ttl=ttl, id=7) / UDP(sport=port, dport=33434) / payload
    taken, number = Routers(HOPS).take(frame(sent, missing))
    if ttl > 4:
        assert taken
        assert number == 0
        left = IP(taken[24:])
        there = IP(
            bytes(IP(src="10.10.0.1", dst="10.78.0.1", ttl=ttl - 4, id=7) / UDP(sport=port, dport=33434) / payload)
        )
        assert (left.ttl, left.chksum) == (ttl - 4, there.chksum)
        assert taken[44:] == frame(sent, missing)[44:]
        return
    assert number == ttl
    if ttl == 3:
        assert taken is None
        return
    assert taken
    answer = IP(taken[24:])
    assert answer.src in HOPS[ttl - 1]
    assert answer.dst == "10.10.0.1"
    assert (answer[ICMP].type, answer[ICMP].code) == (11, 0)
    assert checksum(taken[24:44]) == checksum(taken[44:]) == 0
    at_router = IP(bytes(IP(src="10.10.0.1", dst="10.78.0.1", ttl=1, id=7) / UDP(sport=port, dport=33434) / payload))
    assert bytes(answer[IPerror])[:28] == bytes(at_router)[:28]  # with the sums that the wire has
    assert answer[UDPerror].sport == port
    assert len(answer) <= 576


@settings(max_examples=40)
@given(st.binary(max_size=1400), st.integers(1, 64), st.booleans())
def test_the_same_for_ipv6(payload: bytes, ttl: int, missing: bool) -> None:
    sent = IPv6(src="fd10::1", dst="fd78::1", hlim=ttl) / UDP(sport=5000, dport=33434) / payload
    taken, number = Routers(HOPS).take(frame(sent, missing))
    if ttl > 4:
        assert taken
        assert (IPv6(taken[24:]).hlim, number) == (ttl - 4, 0)
    elif ttl in (2, 3):  # the second has no address of IPv6
        assert (taken, number) == (None, ttl)
    else:
        assert taken
        answer = IPv6(taken[24:])
        assert (answer.src, answer.dst) == (HOPS[ttl - 1][1], "fd10::1")
        assert answer[ICMPv6TimeExceeded].code == 0
        pseudo = taken[32:64] + struct.pack("!II", len(taken) - 64, 58)
        assert checksum(pseudo + taken[64:]) == 0
        at_router = bytes(IPv6(src="fd10::1", dst="fd78::1", hlim=1) / UDP(sport=5000, dport=33434) / payload)
        assert bytes(answer[IPerror6])[:48] == at_router[:48]
        assert len(taken) - 24 <= 1280


def test_no_router_says_anything_of_an_error() -> None:
    error = IP(src="10.10.0.1", dst="10.78.0.1", ttl=1) / ICMP(type=3, code=3) / IPerror() / ICMPerror()
    assert Routers(HOPS).take(frame(error)) == (None, 1)
    request = IP(src="10.10.0.1", dst="10.78.0.1", ttl=1) / ICMP()
    assert Routers(HOPS).take(frame(request))[0]


def test_the_flow_decides_between_equal_paths() -> None:
    routers = Routers(HOPS)

    def met(port: int) -> str:
        taken, _ = routers.take(
            frame(IP(src="10.10.0.1", dst="10.78.0.1", ttl=2) / UDP(sport=port, dport=33434) / b"x")
        )
        return socket.inet_ntoa((taken or b"")[36:40])

    seen = [met(port) for port in range(5000, 5100)]
    assert set(seen) == {"10.20.2.1", "10.20.2.2"}
    assert 25 <= seen.count("10.20.2.1") <= 75
    assert seen == [met(port) for port in range(5000, 5100)]


@pytest.mark.parametrize(("source", "target"), [("10.10.0.1", "10.78.0.1"), ("fd10::1", "fd78::1")])
def test_a_traceroute_finds_the_routers_in_order_and_at_their_share_of_the_round_trip(source: str, target: str) -> None:
    link = Link(rtt_ms=50, hops=HOPS)
    with Lab([Host("a", "10.10.0.1", "fd10::1")], [Pop("p", "10.78.0.1", "fd78::1", link)]) as lab:
        found = [min(_ask(lab, source, target, ttl) for _ in range(3)) for ttl in range(1, 6)]
        path = lab.truth().path("a", "p")
    for number, (took_ms, address) in enumerate(found, 1):
        expected = [a for a in (*HOPS, (target,))[number - 1] if (":" in a) == (":" in target)]
        assert address in (expected or [""])
        if expected:
            assert number * 10 <= took_ms < number * 10 + 8
    assert (path.seen, path.delivered, path.expired) == (15, 3, 12)


def _ask(lab: Lab, source: str, target: str, ttl: int) -> tuple[float, str]:
    """After how many ms something was said of a packet with this TTL, and by whom; by the socket's queue of errors."""
    six = ":" in target
    with udp(lab, "a", source) as probe:
        probe.setsockopt(
            *((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if six else (socket.IPPROTO_IP, socket.IP_TTL)), ttl
        )
        probe.setsockopt(*((socket.IPPROTO_IPV6, IPV6_RECVERR) if six else (socket.IPPROTO_IP, IP_RECVERR)), 1)
        began = time.monotonic()
        probe.sendto(b"x" * 20, (target, 33434))
        waiting = select.poll()
        waiting.register(probe, 0)
        if not waiting.poll(300):
            return 0.0, ""
        took_ms = (time.monotonic() - began) * 1e3
        _, ancillary, _, _ = probe.recvmsg(100, 200, ERROR_QUEUE)
        data = next(data for _, kind, data in ancillary if kind == (IPV6_RECVERR if six else IP_RECVERR))
        return took_ms, socket.inet_ntop(probe.family, data[24:40] if six else data[20:24])


def test_the_way_back_has_the_same_routers_in_reverse() -> None:
    link = Link(hops=(("10.20.1.1",), ("10.20.2.1",), ("10.20.3.1",)))
    with (
        Lab([Host("a", "10.10.0.1"), Host("b", "10.10.0.2")], links={("a", "b"): link}) as lab,
        udp(lab, "a", "10.10.0.1", 7000) as first,
        udp(lab, "b", "10.10.0.2", 7000) as second,
    ):
        for sender, receiver in ((first, second), (second, first)):
            receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            sender.sendto(b"x", receiver.getsockname())
            _, ancillary, _, _ = receiver.recvmsg(10, 100)
            ttls = [
                struct.unpack("=i", data)[0] for level, kind, data in ancillary if (level, kind) == (0, socket.IP_TTL)
            ]
            assert ttls == [61]
        assert lab.link("b", "a").hops == (("10.20.3.1",), ("10.20.2.1",), ("10.20.1.1",))
