"""ICMP sweeps in a network of the lab: true round trips, losses, errors, both kinds of sockets."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from probes.lab import Lab
from probes.lab.enter import NEW_NET, system
from probes.methods import icmp
from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep, records
from probes.wire import echo_exchange, icmp_socket, watch
from probes.wire.clock import Reading
from probes.wire.icmp_socket import NoIcmpSocketError
from tests.probes.icmp_lab import CUT_OFF, CUT_OFF6, DEAD, KINDS, RTT_MS, network, plain, swept

SLACK_MS = 25.0  # a loaded machine: the emulator or this process may wait that long for a processor


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with network() as made:
        yield made


@pytest.mark.parametrize("kinds", KINDS)
def test_both_families_and_both_kinds_of_sockets_measure_the_true_round_trip(lab, kinds):
    addresses = list(RTT_MS)
    sweep = swept(lab, addresses, kinds=kinds)
    assert sweep.answered.all()
    assert sweep.clock_ok
    assert sweep.errors == {}
    truth = np.array([RTT_MS[a] for a in addresses])
    assert (sweep.rtt_ms >= truth[:, None]).all()
    assert (sweep.rtt_ms.min(axis=1) < truth + SLACK_MS).all()
    rows = records(sweep, "here")
    assert [(r.target, r.family, r.sent, r.received, r.method) for r in rows] == [
        (a, 6 if ":" in a else 4, 3, 3, "icmp") for a in addresses
    ]
    assert all(abs(r.observed_at - time.time_ns()) < 60e9 for r in rows)


def test_the_times_between_the_probes_of_one_target_are_kept(lab):
    sweep = swept(lab, ["10.78.0.1", "fd78::1"], probes=4, interval_s=0.05)
    assert sweep.sent_at_ns.shape == (2, 4)
    assert (
        np.diff(sweep.sent_at_ns, axis=1) >= 0.025e9
    ).all()  # as the kernel saw them: one may have waited for a processor


def test_a_dead_target_is_lost_and_counted_and_delays_no_other(lab):
    sweep = swept(lab, [DEAD, "10.78.0.1"], timeout_s=0.2)
    assert (sweep.sent_at_ns > 0).all()
    assert sweep.answered.tolist() == [[False] * 3, [True] * 3]
    assert np.isnan(sweep.rtt_ms[0]).all()
    dead, near = records(sweep, "here")
    assert (dead.sent, dead.received, dead.rtt_ms) == (3, 0, None)
    assert (near.sent, near.received, len(near.rtt_ms or ())) == (3, 3, 3)


def test_an_answer_after_the_timeout_is_lost(lab):
    sweep = swept(lab, ["10.78.0.2", "10.78.0.1"] * 2, timeout_s=0.055, interval_s=0.1)
    assert sweep.answered[::2].sum() == 0
    assert sweep.answered[1::2].sum() >= 1


def test_one_address_listed_twice_is_two_endpoints(lab):
    sweep = swept(lab, ["10.78.0.1"] * 5)
    assert sweep.answered.all()


@pytest.mark.parametrize("kinds", KINDS)
def test_what_a_router_says_is_told_by_endpoint(lab, kinds):
    sweep = swept(lab, ["10.78.0.1", CUT_OFF, CUT_OFF6], kinds=kinds, timeout_s=0.3)
    assert sweep.answered.tolist() == [[True] * 3, [False] * 3, [False] * 3]
    assert (sweep.sent_at_ns > 0).all()
    assert set(sweep.errors) == {1, 2}
    assert sweep.errors[1] == "No route to host (ICMP 3/1 from 10.78.0.1)"
    assert sweep.errors[2].startswith("No route to host (ICMP 1/") or "unreachable" in sweep.errors[2]


@pytest.mark.parametrize("kinds", KINDS)
def test_what_the_kernel_refuses_is_not_sent_and_told_and_the_rest_is_measured(lab, kinds):
    lab.run("agent", ["ip", "route", "replace", "unreachable", "10.99.0.0/24"]).wait()
    lab.run("agent", ["ip", "route", "replace", "prohibit", "10.99.1.0/24"]).wait()
    sweep = swept(lab, ["10.78.0.1", "10.99.0.1", "10.99.1.1", "255.255.255.255", "10.78.0.2"], kinds=kinds)
    assert (sweep.sent_at_ns > 0).any(axis=1).tolist() == [True, False, False, False, True]
    assert sweep.answered.any(axis=1).tolist() == [True, False, False, False, True]
    assert sweep.answered[[0, 4]].all()
    assert sweep.errors[1] == "not sent: No route to host"
    assert sweep.errors[2] == "not sent: Permission denied"
    assert sweep.errors[3].startswith("not sent: ")
    refused = records(sweep, "here")[1]
    assert (refused.sent, refused.received, refused.rtt_ms) == (0, 0, None)
    assert refused.error


@pytest.mark.parametrize("kinds", KINDS)
def test_what_finds_the_devices_queue_full_is_not_sent_and_told(lab, kinds):
    queue = [
        "tc",
        "qdisc",
        "replace",
        "dev",
        "eth0",
        "root",
        "tbf",
        *["rate", "64kbit", "burst", "1600", "limit", "1600"],
    ]
    assert lab.run("third", queue).wait() == 0
    endpoints = [Endpoint("", "10.78.0.1")] * 200
    sweep = lab.call(
        "third", lambda: plain(icmp.sweep(endpoints, rate_per_s=20_000, interval_s=0, timeout_s=0.5, kinds=kinds))
    )
    left = sweep.sent_at_ns > 0
    assert 10 < left.sum() < 300
    assert sweep.answered[left].all()
    assert not sweep.answered[~left].any()
    assert set(sweep.errors) == set(np.flatnonzero(~left.all(axis=1)).tolist())
    assert set(sweep.errors.values()) == {"not sent: No buffer space available"}


def test_without_leave_for_datagram_sockets_the_raw_one_is_taken(lab):
    def closed(kinds: tuple[str, ...]) -> Sweep:
        system("unshare", NEW_NET)  # in a fresh namespace no group may have them
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return plain(icmp.sweep([Endpoint("", "127.0.0.1")], rate_per_s=1_000, interval_s=0, kinds=kinds))

    assert lab.call("agent", closed, icmp_socket.KINDS).answered.all()
    with pytest.raises(NoIcmpSocketError, match="ping_group_range"):
        lab.call("agent", closed, ("datagram",))


@pytest.mark.parametrize("kinds", KINDS)
def test_a_rate_far_above_what_can_be_drained_loses_nothing(lab, kinds):
    def flat_out() -> Sweep:
        icmp_socket.RECEIVE_BYTES = 100_000
        endpoints = [Endpoint("", f"127.0.{i // 200}.{1 + i % 200}") for i in range(2_000)]
        return plain(icmp.sweep(endpoints, rate_per_s=5e6, timeout_s=2, interval_s=0, kinds=kinds))

    sweep = lab.call("agent", flat_out)
    assert sweep.answered.sum() == 6_000
    assert sweep.errors == {}
    assert np.isfinite(sweep.rtt_ms).mean() > 0.99


@pytest.mark.parametrize("kinds", KINDS)
def test_what_this_machine_dropped_is_not_taken_for_the_networks_loss_in_silence(lab, kinds):
    def deaf() -> Sweep:
        icmp_socket.RECEIVE_BYTES = 20_000
        echo_exchange.Exchange.patience = property(lambda self: 10**9, lambda self, value: None)
        endpoints = [Endpoint("", f"127.0.{i // 200}.{1 + i % 200}") for i in range(2_000)]
        return plain(icmp.sweep(endpoints, rate_per_s=5e6, timeout_s=0.1, interval_s=0, kinds=kinds))

    sweep = lab.call("agent", deaf)
    missing = set(np.flatnonzero(~sweep.answered.all(axis=1)).tolist())
    assert missing
    assert set(sweep.errors) == missing
    assert "dropped here" in sweep.errors[missing.pop()]


def test_a_step_of_the_clock_spoils_the_round_trips_over_it_and_no_others(lab):
    def stepped() -> Sweep:
        began = time.monotonic_ns()

        class Stepped:
            @staticmethod
            def now() -> Reading:
                real = Reading.now()
                moved = 5_000_000_000 if time.monotonic_ns() - began > 130_000_000 else 0
                return replace(real, realtime_ns=real.realtime_ns + moved)

        watch.Reading = Stepped
        endpoints = [Endpoint("far", "10.78.0.2")]
        return plain(icmp.sweep(endpoints, probes=40, rate_per_s=1_000, interval_s=0.01, timeout_s=0.5))

    sweep = lab.call("agent", stepped)
    assert not sweep.clock_ok
    assert sweep.answered.all()
    usable = np.isfinite(sweep.rtt_ms[0])
    assert usable[:2].all()
    assert usable[-5:].all()
    assert not usable.all()
    assert (sweep.rtt_ms[0, usable] >= 60).all()
    (record,) = records(sweep, "here")
    assert record.clock_ok is False
    assert len(record.rtt_ms or ()) == usable.sum() < (record.received or 0)


def test_every_figure_out_of_range_is_named_at_once():
    with pytest.raises(ValueError) as refused:
        icmp.sweep([], rate_per_s=0, probes=0, timeout_s=-1, interval_s=-1, payload_bytes=13)
    assert all(f"{name} = " in str(refused.value) for name in
               ("rate_per_s", "probes", "timeout_s", "interval_s", "payload_bytes"))  # fmt: skip


def test_a_sweep_of_nothing_is_empty():
    sweep = icmp.sweep([], rate_per_s=10)
    assert sweep.rtt_ms.shape == (0, 3)
    assert records(sweep, "here") == []


def test_a_sweep_needs_no_heavy_library():
    code = (
        "import sys; from probes.methods import icmp, tcp; "
        "print([m for m in ('pyarrow', 'scapy', 'pandas', 'numba', 'aiohttp') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_largest_payload_goes_and_comes_and_its_times_are_the_kernels(lab):
    sweep = swept(lab, ["10.78.0.1", "fd78::1"], payload_bytes=1400)
    assert sweep.answered.all()
    assert (sweep.rtt_ms >= 5).all()
