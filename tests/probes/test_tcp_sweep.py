"""TCP sweeps in a network of the lab: open, closed and silent ports, a lost SYN, firewalls."""

import contextlib
import itertools
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP

from probes.lab import Host, Lab, Link, Pop
from probes.methods import tcp
from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep, records

OPEN, CLOSED = 8080, 8081
NEAR, NEAR6, FAR, DEAD, FLAKY, CUT_OFF = "10.78.0.1", "fd78::1", "10.78.0.2", "10.78.0.3", "10.78.0.4", "10.78.9.9"
SLACK_MS = 25.0  # a loaded machine: the emulator or this process may wait that long for a processor


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    pops = [
        Pop("near", NEAR, NEAR6, Link(rtt_ms=5)),
        Pop("far", FAR, link=Link(rtt_ms=60)),
        Pop("dead", DEAD, link=Link(loss=1.0)),
        Pop("flaky", FLAKY, link=Link(rtt_ms=5)),
        Pop("cut-off", CUT_OFF, link=Link(rtt_ms=5)),
    ]
    hosts = [Host("agent", "10.77.0.1", "fd77::1"), Host("firewalled", "10.77.0.2")]
    with Lab(hosts, pops, default=Link(rtt_ms=2)) as made:
        made.call("near", lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        for order in (f"route del local {CUT_OFF} dev lo", f"route add unreachable {CUT_OFF}"):
            assert made.run("near", ["ip", *order.split()]).wait() == 0
        yield made


@pytest.fixture(scope="module", autouse=True)
def servers(lab) -> Iterator[None]:
    """Ports that are open; connections stay with the kernel, nobody accepts before the end."""
    with contextlib.ExitStack() as stack:
        for family in (socket.AF_INET, socket.AF_INET6):
            server = stack.enter_context(lab.open_socket("near", family, socket.SOCK_STREAM))
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind(("", OPEN))
            server.listen(512)
            server.setblocking(False)
            over, thread = threading.Event(), threading.Thread()

            def accept(server: socket.socket = server, over: threading.Event = over) -> None:
                while not over.wait(0.02):
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            server.accept()[0].close()

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(over.set)
        yield


def _sweep(lab: Lab, targets: list[tuple[str, int]], **figures: object) -> Sweep:
    told = {"rate_per_s": 1_000, "timeout_s": 0.5, "interval_s": 0.01, **figures}
    return lab.call("agent", lambda: _plain(tcp.sweep([Endpoint(f"{a}:{p}", a, p) for a, p in targets], **told)))


def _plain(sweep: Sweep) -> Sweep:
    return replace(sweep, errors=dict(sweep.errors))


def test_open_ports_of_both_families_give_the_true_round_trip(lab):
    sweep = _sweep(lab, [(NEAR, OPEN), (NEAR6, OPEN), (FAR, OPEN)])
    assert sweep.answered.all()
    assert sweep.errors == {}
    truth = np.array([5, 5, 60])
    assert (sweep.rtt_ms >= truth[:, None] - 0.001).all()
    assert (sweep.rtt_ms.min(axis=1) < truth + SLACK_MS).all()
    rows = records(sweep, "here")
    assert [(r.method, r.family, r.sent, r.received) for r in rows] == [("tcp", f, 3, 3) for f in (4, 6, 4)]


def test_a_closed_port_gives_the_round_trip_too(lab):
    sweep = _sweep(lab, [(NEAR, CLOSED), (NEAR6, CLOSED), (FAR, CLOSED)])
    assert sweep.answered.all()
    assert sweep.errors == {}
    truth = np.array([5, 5, 60])
    assert (sweep.rtt_ms >= truth[:, None]).all()
    assert (sweep.rtt_ms.min(axis=1) < truth + SLACK_MS).all()


def test_a_port_that_is_silent_is_lost_and_counted_and_delays_no_other(lab):
    sweep = _sweep(lab, [(DEAD, OPEN), (NEAR, OPEN)], timeout_s=0.2)
    assert sweep.answered.tolist() == [[False] * 3, [True] * 3]
    dead, near = records(sweep, "here")
    assert (dead.sent, dead.received, dead.rtt_ms) == (3, 0, None)
    assert (near.sent, near.received) == (3, 3)


def test_an_answer_after_the_timeout_is_lost(lab):
    assert not _sweep(lab, [(FAR, OPEN), (FAR, CLOSED)], timeout_s=0.05).answered.any()


@pytest.mark.parametrize("port", [OPEN, CLOSED])
def test_a_syn_that_was_sent_again_is_loss_and_not_a_second(lab, port):
    lab.down("flaky")
    again = threading.Timer(0.4, lab.up, ["flaky"])
    again.start()
    try:
        sweep = _sweep(lab, [(FLAKY, port), (NEAR, port)], probes=1, timeout_s=3)
    finally:
        again.join()
    assert lab.truth().path("flaky", "agent").delivered >= 1  # it did answer, a second later
    assert (sweep.sent_at_ns > 0).all()
    assert sweep.answered.tolist() == [[False], [True]]
    assert np.isnan(sweep.rtt_ms[0, 0])


def test_what_a_router_says_is_told_and_is_no_answer(lab):
    sweep = _sweep(lab, [(CUT_OFF, OPEN), (NEAR, OPEN)])
    assert sweep.answered.tolist() == [[False] * 3, [True] * 3]
    assert sweep.errors == {0: f"No route to host (ICMP 3/1 from {NEAR})"}


def test_a_firewall_that_says_port_unreachable_is_no_round_trip_of_the_host(lab):
    """The kernel calls that "connection refused", as it does a RST; the firewall may be anywhere on the way."""
    with (
        lab.open_socket("firewalled", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as heard,
        lab.open_socket("firewalled", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as said,
    ):
        # the host's own RST finds no way
        rule = ["ip", "rule", "add", "ipproto", "tcp", "to", "10.77.0.1", "blackhole"]
        assert lab.run("firewalled", rule).wait() == 0
        over = threading.Event()

        def refuse() -> None:
            heard.settimeout(0.02)
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    packet = IP(heard.recv(2048))
                    if packet[TCP].flags == "S":
                        said.sendto(bytes(ICMP(type=3, code=3) / bytes(packet)[:28]), ("10.77.0.1", 0))

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        sweep = _sweep(lab, [("10.77.0.2", 443), (NEAR, CLOSED)])
        over.set()
        thread.join()
    assert sweep.answered.tolist() == [[False] * 3, [True] * 3]
    assert sweep.errors == {0: "Connection refused (ICMP 3/3 from 10.77.0.2)"}


def test_what_the_kernel_refuses_is_not_sent_and_told(lab):
    lab.run("agent", ["ip", "route", "replace", "unreachable", "10.99.0.0/24"]).wait()
    sweep = _sweep(lab, [("10.99.0.1", OPEN), (NEAR, OPEN), ("224.0.0.1", OPEN)])
    assert (sweep.sent_at_ns > 0).any(axis=1).tolist() == [False, True, False]
    assert sweep.errors[0] == "not sent: No route to host"
    assert sweep.errors[2].startswith("not sent: ")
    assert records(sweep, "here")[0].sent == 0


def test_the_connections_under_way_are_bounded_and_all_are_made(lab):
    def bounded() -> tuple[Sweep, int]:
        most, running = [0], True

        def count() -> None:
            while running:
                most[0] = max(most[0], _sockets())

        thread = threading.Thread(target=count)
        thread.start()
        endpoints = [Endpoint(str(i), FAR, OPEN) for i in range(60)]
        sweep = _plain(tcp.sweep(endpoints, rate_per_s=50_000, interval_s=0, in_flight=10, timeout_s=2))
        running = False
        thread.join()
        return sweep, most[0]

    already = lab.call("agent", _sockets)
    sweep, most = lab.call("agent", bounded)
    assert (sweep.sent_at_ns > 0).all()
    assert sweep.answered.mean() > 0.9
    assert 2 <= most - already <= 10


def _sockets() -> int:
    found = 0
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found += str(fd.readlink()).startswith("socket:")
    return found


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_limit_of_open_files_makes_it_slower_and_loses_nothing(lab):
    def few_files() -> Sweep:
        spare = 70 + _files()
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, spare))
        tcp._SPARE_FILES = -100  # so that it runs into the limit
        endpoints = [Endpoint(str(i), FAR, OPEN) for i in range(200)]
        return _plain(tcp.sweep(endpoints, rate_per_s=50_000, probes=1, timeout_s=2))

    sweep = lab.call("agent", few_files)
    assert (sweep.sent_at_ns > 0).all()
    assert sweep.answered.mean() > 0.9


def test_nothing_lingers_when_the_sweep_is_over(lab):
    def left() -> list[str]:
        tcp.sweep([Endpoint("", NEAR, OPEN)] * 50, rate_per_s=2_000, interval_s=0, timeout_s=0.5)
        tcp.sweep([Endpoint("", DEAD, OPEN)] * 50, rate_per_s=20_000, interval_s=0, timeout_s=0.05)
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        port = f":{OPEN:04X} "
        return [line for line in lines if port in line]

    assert lab.call("agent", left) == []


def test_an_interrupted_sweep_leaves_no_file_open(lab):
    def interrupted() -> int:
        before = _files()

        class StopError(Exception):
            pass

        ticks = itertools.count()

        def wait(self: object, until_ns: int | None) -> None:
            if next(ticks) > 30:
                raise StopError

        tcp._Connections._wait = wait
        with contextlib.suppress(StopError):
            tcp.sweep([Endpoint("", DEAD, OPEN)] * 100, rate_per_s=20_000)
        return _files() - before

    assert lab.call("agent", interrupted) == 0


def test_endpoints_without_a_port_and_wrong_figures_are_named_at_once():
    with pytest.raises(ValueError) as refused:
        tcp.sweep([Endpoint("web", "192.0.2.1"), Endpoint("x", "192.0.2.2", 70_000)], rate_per_s=0, in_flight=0)
    for part in ("web (192.0.2.1) has no port", "x (192.0.2.2)", "rate_per_s = 0", "in_flight = 0"):
        assert part in str(refused.value)


def test_a_sweep_of_nothing_is_empty():
    assert tcp.sweep([], rate_per_s=10).rtt_ms.shape == (0, 3)
