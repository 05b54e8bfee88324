"""Latency under load in the lab: the queue that a bandwidth test builds is seen beside it, and only while it stands."""

import socket
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from probes.lab import Host, Lab, Link
from probes.methods import icmp, loaded, ndt7
from probes.methods.endpoint import Endpoint
from probes.methods.loaded import UnderLoad
from probes.methods.ndt7 import Throughput
from probes.methods.sweep import Sweep
from probes.record import Record
from probes.table import faults, to_table

HERE, THERE = "10.77.0.1", "10.77.0.2"
SERVER = f"""
import socket
import time
from probes.reflector.ndt7 import Ndt7Server
Ndt7Server(socket.create_server(("{THERE}", 4443)), congestion="cubic")
time.sleep(60)
"""
THROUGHPUT = Throughput(
    Record(observed_at=10**18, source="here", target="pop", method="ndt7", mbps=9.5, direction="down"),
    None,
    settled=True,
)


def sweep(*rtt_ms: float) -> Sweep:
    """One sweep of one endpoint with these round trips; NaN was lost."""
    times = np.array([rtt_ms])
    sent = np.full(times.shape, 10**18, np.int64)
    return Sweep("tcp", (Endpoint("pop", THERE),), 10**18, sent, times, np.isfinite(times), True)


def test_the_queue_of_ten_megabits_is_seen_by_pings_beside_the_test() -> None:
    """A queue of 62.5 kB at 10 Mbit/s is 50 ms; the path alone takes 20."""
    link = Link(rtt_ms=20, rate_mbps=10, queue_kbyte=62.5)

    def measure() -> UnderLoad:
        there = Endpoint("there", THERE, 4443)
        return loaded.measure(
            lambda began: ndt7.measure(there, direction="down", source="here", began=began, seconds=4),
            partial(icmp.sweep, [there], rate_per_s=50, probes=2, interval_s=0.02, timeout_s=0.3),
            source="here",
        )

    with Lab([Host("here", HERE), Host("there", THERE)], default=link) as lab:
        lab.run("there", [sys.executable, "-c", SERVER])
        assert lab.call("here", _listens)
        found = lab.call("here", measure)
    assert found.throughput.record.mbps == pytest.approx(10 * 1448 / 1500, rel=0.1)
    assert found.idle.loaded is False and found.loaded is not None and found.loaded.loaded is True
    assert found.idle.sent == 6 and found.idle.rtt_ms is not None
    assert 20 <= min(found.idle.rtt_ms) < 30
    assert found.loaded.rtt_ms is not None and max(found.loaded.rtt_ms) > 40
    assert found.added_ms is not None and found.added_ms > 10
    assert not faults(to_table(found.records))


def _listens() -> bool:
    for _ in range(100):
        try:
            socket.create_connection((THERE, 4443), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def test_only_sweeps_within_the_load_are_loaded_and_samples_are_put_together() -> None:
    """The test ends while the third sweep under load is under way: that one is left out."""
    end = threading.Event()
    given = [sweep(20.0, 22.0), sweep(24.0, np.nan), sweep(21.0, 20.0)]
    given += [sweep(70.0, 71.0), sweep(np.nan, np.nan), sweep(5.0, 5.0)]
    calls = iter(given)

    def test(began: object) -> Throughput:
        assert callable(began)
        began()
        assert end.wait(5)
        return THROUGHPUT

    def probe() -> Sweep:
        found = next(calls)
        if found is given[-1]:
            end.set()
            _wait_for_the_load_to_end()
        return found

    found = loaded.measure(test, probe, source="here")
    assert found.idle.rtt_ms == (20.0, 22.0, 24.0, 21.0, 20.0)
    assert (found.idle.sent, found.idle.received, found.idle.loaded) == (6, 5, False)
    assert found.loaded is not None
    assert (found.loaded.sent, found.loaded.received, found.loaded.rtt_ms) == (4, 2, (70.0, 71.0))
    assert found.added_ms == pytest.approx(70.5 - 21.0)
    assert found.records == (found.idle, found.loaded, THROUGHPUT.record)


def _wait_for_the_load_to_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "load":
            thread.join(5)


def test_a_test_that_never_loads_leaves_the_idle_times_alone() -> None:
    found = loaded.measure(lambda began: THROUGHPUT, lambda: sweep(3.0), source="here", idle_sweeps=2)
    assert found.loaded is None and found.added_ms is None
    assert found.idle.rtt_ms == (3.0, 3.0)
    assert found.records == (found.idle, THROUGHPUT.record)


def test_what_the_test_raises_is_raised_to_the_caller() -> None:
    def fails(began: object) -> Throughput:
        raise OSError("no such thing")

    with pytest.raises(OSError, match="no such thing"):
        loaded.measure(fails, lambda: sweep(3.0), source="here")
