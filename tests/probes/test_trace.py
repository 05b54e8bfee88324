"""Traces through real routers, and through one that misbehaves as routers do; scapy says what the packets were."""

import socket
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS, ICMPExtension_MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPExtension_Header
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6

from probes.methods.endpoint import Endpoint
from probes.methods.trace import Path, measure
from probes.methods.trace.path import Answer, Flow, Hop, Label
from probes.methods.trace.returns import labels
from tests.probes.routers import TARGET, TARGET6, apart, diamond, give_up_privileges, oracle

FAST: dict[str, Any] = {"source": "here", "interval_s": 0.01, "rate_per_s": 2000.0}
FAR, FAR6 = "192.0.2.9", "2001:db8::9"
PROTOCOLS = ("udp", "tcp", "icmp")


def there(address: str, port: int | None = None) -> Endpoint:
    return Endpoint("target", address, port)


def acquaint(*targets: Endpoint) -> None:
    """Waits until the routers know their neighbours; before, they lose packets and hold them up, as anywhere."""
    until = time.monotonic() + 10
    for target in targets:
        while time.monotonic() < until:
            path = measure(target, flows=16, probes=1, **{**FAST, "timeout_s": 0.2})
            if all(hop.lost == 0 and max(hop.rtt_ms) < 20 for flow in path.flows for hop in flow.hops):
                break


def along(path: Path) -> list[list[tuple[str, ...]]]:
    return [[hop.addresses for hop in flow.hops] for flow in path.flows]


def exceeded(packet: IP | IPv6, router: str, quote: int = 500, extension: bytes = b"") -> bytes:
    """A router's "time exceeded", quoting so many bytes of the packet."""
    quoted = bytes(packet)[:quote]
    if isinstance(packet, IPv6):
        return bytes(IPv6(src=router, dst=packet.src) / ICMPv6TimeExceeded() / quoted)
    if not extension:
        return bytes(IP(src=router, dst=packet.src) / ICMP(type=11) / quoted)
    head = ICMP(type=11, length=32) / (quoted.ljust(128, b"\0")[:128] + extension)
    return bytes(IP(src=router, dst=packet.src) / head)


def port_unreachable(packet: IP | IPv6) -> bytes:
    if isinstance(packet, IPv6):
        return bytes(IPv6(src=packet.dst, dst=packet.src) / ICMPv6DestUnreach(code=4) / bytes(packet)[:500])
    return bytes(IP(src=packet.dst, dst=packet.src) / ICMP(type=3, code=3) / bytes(packet)[:500])


def ttl_of(packet: IP | IPv6) -> int:
    return int(packet.hlim if isinstance(packet, IPv6) else packet.ttl)


@pytest.mark.parametrize("six", [False, True])
def test_every_protocol_finds_both_paths_through_real_routers(six: bool) -> None:
    def work() -> list[Path]:
        with diamond():
            target = there(TARGET6 if six else TARGET, 9)
            acquaint(target)
            return [measure(target, protocol=p, flows=16, probes=2, **FAST) for p in PROTOCOLS]  # type: ignore[arg-type]

    net = "fd50:{}::{}" if six else "10.50.{}.{}"
    left, right = net.format(2, 2), net.format(3, 2)
    for path in apart(work):
        assert path.reached and path.clock_ok and not path.errors
        assert set(path.branches()[2]) == {left, right}
        for flow in path.flows:
            assert flow.reached and flow.unmatched == 0
            assert [len(hop.addresses) for hop in flow.hops] == [1, 1, 1, 1]
            assert flow.hops[0].addresses == (net.format(1, 2),)
            assert flow.hops[3].addresses == (TARGET6 if six else TARGET,)
            assert [(hop.sent, hop.lost, len(hop.rtt_ms)) for hop in flow.hops] == [(2, 0, 2)] * 4


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_trace_needs_no_privilege(protocol: Any) -> None:
    def work() -> list[Path]:
        with diamond():
            acquaint(there(TARGET), there(TARGET6))
            give_up_privileges()
            with pytest.raises(PermissionError):
                socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
            return [measure(there(a, 9), protocol=protocol, flows=2, probes=2, **FAST) for a in (TARGET, TARGET6)]

    for path in apart(work):
        assert all(flow.reached and len(flow.hops) == 4 for flow in path.flows)
        assert all(hop.lost == 0 and len(hop.rtt_ms) == 2 for flow in path.flows for hop in flow.hops)


def test_linuxs_own_limit_of_icmp_errors_is_told_from_loss() -> None:
    """A burst of six, then one a second to each host: r1 leaves out most of twelve, the target none."""

    def work() -> Path:
        with diamond(ratelimit=True):
            return measure(there(TARGET), probes=12, **{**FAST, "timeout_s": 0.2})

    path = apart(work)
    hops = path.flows[0].hops
    assert 1 <= hops[0].lost < 12
    assert hops[-1].addresses == (TARGET,) and hops[-1].lost < hops[0].lost
    assert 1 in path.rate_limited()


def test_raw_sockets_are_insisted_on_only_when_asked() -> None:
    def work() -> str:
        give_up_privileges()
        with pytest.raises(PermissionError):
            measure(there("127.0.0.1", 9), source="here", protocol="tcp", raw=True)
        return "refused"

    assert apart(work) == "refused"


def test_an_open_port_answers_tcp_and_the_round_trip_is_the_kernels() -> None:
    def work() -> list[Path]:
        with diamond() as made:
            from probes.lab.namespaces import inside  # noqa: PLC0415

            with inside(made["target"]):
                listener = socket.create_server((TARGET, 80))
            found = [measure(there(TARGET, 80), protocol="tcp", raw=raw, **FAST) for raw in (True, False)]
            listener.close()
            return found

    for path in apart(work):
        last = path.flows[0].hops[-1]
        assert last.addresses == (TARGET,) and last.lost == 0
        assert [answer.icmp for answer in last.answers] == [None] * 3
        assert all(0 < rtt < 50 for rtt in last.rtt_ms)


@pytest.mark.parametrize(("protocol", "raw"), [("udp", None), ("icmp", None), ("tcp", True), ("tcp", False)])
@pytest.mark.parametrize("address", [FAR, FAR6])
def test_each_flow_looks_the_same_to_every_router(protocol: Any, raw: bool | None, address: str) -> None:
    def answer(packet: IP | IPv6) -> list[bytes]:
        router = f"fd61::{ttl_of(packet)}" if isinstance(packet, IPv6) else f"10.61.0.{ttl_of(packet)}"
        return [exceeded(packet, router)]

    def work() -> tuple[Path, list[bytes]]:
        with oracle(answer) as came:
            path = measure(there(address, 443), protocol=protocol, flows=3, probes=2, max_ttl=6, raw=raw, **FAST)
            return path, [bytes(packet) for packet in came if packet.dst == address]

    path, raw_packets = apart(work)
    packets = [IPv6(one) if one[0] >> 4 == 6 else IP(one) for one in raw_packets]
    assert Counter(ttl_of(one) for one in packets) == dict.fromkeys(range(1, 7), 6)
    flows = Counter(flow_of(one) for one in packets)
    assert sorted(flows.values()) == [12, 12, 12]
    assert {flow.source_port for flow in path.flows} == {key[0] for key in flows}
    if raw or protocol == "icmp":  # what the kernel sends gets its checksum from the network card
        assert [checksum_of(one) for one in packets] == [checksum_of(rewritten(one)) for one in packets]
    hops = [[hop.addresses[0].rpartition("." if address == FAR else ":")[2] for hop in f.hops] for f in path.flows]
    assert hops == [[str(ttl) for ttl in range(1, 7)]] * 3
    assert not path.reached


def checksum_of(packet: IP | IPv6) -> int:
    layer = packet.getlayer(1)
    return int(layer.cksum if isinstance(layer, ICMPv6EchoRequest) else layer.chksum)


def rewritten(packet: IP | IPv6) -> IP | IPv6:
    """The packet with the checksum that scapy writes."""
    again = type(packet)(bytes(packet))
    layer = again.getlayer(1)
    delattr(layer, "cksum" if isinstance(layer, ICMPv6EchoRequest) else "chksum")
    return type(packet)(bytes(again))


def flow_of(packet: IP | IPv6) -> tuple[int, ...]:
    """What routers choose by, and the checksum where it is held constant."""
    if UDP in packet:
        return packet[UDP].sport, packet[UDP].dport, checksum_of(rewritten(packet))
    if TCP in packet:
        return packet[TCP].sport, packet[TCP].dport
    ident = packet[ICMP].id if ICMP in packet else packet[ICMPv6EchoRequest].id
    return ident, checksum_of(packet)


def test_eight_quoted_bytes_are_enough_even_for_udp() -> None:
    def answer(packet: IP | IPv6) -> list[bytes]:
        if ttl_of(packet) == 4:
            return [port_unreachable(packet)]
        return [exceeded(packet, f"10.61.0.{ttl_of(packet)}", quote=28)]

    def work() -> list[Path]:
        with oracle(answer):
            return [measure(there(FAR, 443), protocol=p, timeout_s=0.2, **FAST) for p in PROTOCOLS]  # type: ignore[arg-type]

    udp, tcp, icmp = apart(work)
    for path in (udp, tcp, icmp):
        assert [hop[:1] for hop in along(path)[0][:3]] == [("10.61.0.1",), ("10.61.0.2",), ("10.61.0.3",)]
    assert udp.reached and udp.flows[0].unmatched > 0  # and those hops were asked again, one at a time
    assert tcp.flows[0].unmatched == icmp.flows[0].unmatched == 0


def test_mpls_labels_are_those_that_scapy_wrote() -> None:
    stack = [MPLS(label=100_003, cos=5, s=0, ttl=1), MPLS(label=16, cos=0, s=1, ttl=254)]
    extension = bytes(ICMPExtension_Header() / ICMPExtension_MPLS(stack=stack))

    def answer(packet: IP | IPv6) -> list[bytes]:
        if ttl_of(packet) == 2:
            return [port_unreachable(packet)]
        return [exceeded(packet, "10.61.0.1", quote=128, extension=extension)]

    def work() -> Path:
        with oracle(answer):
            return measure(there(FAR), **FAST)

    path = apart(work)
    first, last = path.flows[0].hops
    expected = (Label(100_003, 5, False, 1), Label(16, 0, True, 254))
    assert [answer.labels for answer in first.answers] == [expected] * 3
    assert [answer.labels for answer in last.answers] == [()] * 3


def test_silent_hops_are_gaps_and_limited_ones_are_no_loss() -> None:
    heard: Counter[int] = Counter()

    def answer(packet: IP | IPv6) -> list[bytes]:
        ttl = ttl_of(packet)
        heard[ttl] += 1
        if ttl == 2 or (ttl == 3 and heard[ttl] > 1):
            return []
        return [port_unreachable(packet) if ttl >= 5 else exceeded(packet, f"10.61.0.{ttl}")]

    def work() -> Path:
        with oracle(answer):
            return measure(there(FAR), timeout_s=0.2, **FAST)

    path = apart(work)
    hops = path.flows[0].hops
    assert [hop.lost for hop in hops] == [0, 3, 2, 0, 0]
    assert [hop.silent for hop in hops] == [False, True, False, False, False]
    assert path.rate_limited() == (3,)
    assert path.reached and hops[-1].addresses == (FAR,)


def test_a_series_ends_where_nobody_answers_and_where_a_router_refuses() -> None:
    def answer(packet: IP | IPv6) -> list[bytes]:
        ttl = ttl_of(packet)
        if packet.dst == FAR:
            return [exceeded(packet, "10.61.0.1")] if ttl == 1 else []
        if ttl == 3:
            return [bytes(IP(src="10.61.0.3", dst=packet.src) / ICMP(type=3, code=13) / bytes(packet)[:500])]
        return [exceeded(packet, f"10.61.0.{ttl}")] if ttl < 3 else []

    def work() -> tuple[Path, Path]:
        with oracle(answer):
            dark = measure(there(FAR), timeout_s=0.1, probes=1, **FAST)
            shut = measure(there("192.0.2.10"), timeout_s=0.1, probes=1, **FAST)
            return dark, shut

    dark, shut = apart(work)
    assert not dark.reached and dark.flows[0].ended == "5 silent hops in a row"
    assert dark.flows[0].hops[0].addresses == ("10.61.0.1",)
    assert all(hop.silent for hop in dark.flows[0].hops[1:])
    assert not shut.reached and shut.flows[0].ended == "unreachable, code 13"
    assert along(shut) == [[("10.61.0.1",), ("10.61.0.2",), ("10.61.0.3",)]]


def test_strangers_errors_are_nobodys_answer() -> None:
    """An error that quotes a packet of this flow that was never sent: another cookie, another number."""

    def answer(packet: IP | IPv6) -> list[bytes]:
        forged = packet.copy()
        forged[UDP].remove_payload()
        return [exceeded(forged / (b"\x00\x01\xff\xfe" + bytes(16)), "10.66.6.6")] * 2 + [port_unreachable(packet)]

    def work() -> Path:
        with oracle(answer):
            return measure(there(FAR), **FAST)

    path = apart(work)
    assert along(path) == [[(FAR,)]]
    assert path.flows[0].unmatched == 0


def test_an_unreachable_network_is_an_error_and_figures_out_of_range_are_told_all_at_once() -> None:
    path = apart(lambda: measure(there("192.0.2.1"), source="here"))
    assert path.errors == ("Network is unreachable",) and path.flows == () and not path.reached
    with pytest.raises(ValueError, match=r"flows = 0: must be 1 to 256; max_ttl = 300: must be 1 to 255"):
        measure(there("127.0.0.1"), source="here", flows=0, max_ttl=300)
    with pytest.raises(ValueError, match="no port for a TCP trace; give one, such as 443"):
        measure(there("127.0.0.1"), source="here", protocol="tcp")


def test_branches_and_limits_by_hand() -> None:
    def hop(ttl: int, sent: int, *addresses: str) -> Hop:
        return Hop(ttl, sent, tuple(Answer(address, 1.0, (11, 0)) for address in addresses))

    first = Flow(1, (hop(1, 3, "a", "a"), hop(2, 3, "b", "b", "b"), hop(3, 3)), reached=False)
    other = Flow(2, (hop(1, 3, "a", "a", "a"), hop(2, 3, "c"), hop(3, 3, "d", "d", "d")), reached=True)
    path = Path(there("192.0.2.1"), "udp", "here", 0, (first, other), clock_ok=True)
    assert path.branches() == {2: ("b", "c")}
    assert path.rate_limited() == (1, 2)
    assert path.reached
    assert (first.hops[0].lost, first.hops[2].silent, first.hops[0].addresses) == (1, True, ("a",))


@given(st.binary(max_size=120) | st.binary(max_size=60).map(lambda rest: b"\x20\x00\x00\x00" + rest))
def test_no_extension_breaks_the_reader_of_labels(raw: bytes) -> None:
    assert all(0 <= label.label < 1 << 20 for label in labels(raw))
