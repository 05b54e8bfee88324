"""What the tests of both ends of NDT7 share: a server, a measurement, the server's counts."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from probes.methods import ndt7
from probes.methods.endpoint import Endpoint
from probes.reflector.ndt7 import Limits, Ndt7Server
from probes.table import faults, to_table

SUBPROTOCOL = "net.measurementlab.ndt.v7"
PLENTY = Limits(per_source=8, in_all=8, per_source_minute=1000, bytes=10**12)


@contextlib.contextmanager
def serving(limits: Limits = PLENTY, address: str = "127.0.0.1", **more: Any) -> Iterator[Ndt7Server]:
    """A server in this process at a free port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with Ndt7Server(socket.create_server((address, 0), family=family), limits=limits, **more) as server:
        yield server


def at(port: int, address: str = "127.0.0.1", host: str | None = None) -> Endpoint:
    """A PoP at that port."""
    return Endpoint("pop", address, port, host)


def trial(port: int, direction: Any, **more: Any) -> ndt7.Throughput:
    """One measurement of that port, by default without a bound on its bytes; its record is sound."""
    found = ndt7.measure(at(port), direction=direction, source="here", **{"max_bytes": 10**12, **more})
    wrong = faults(to_table([found.record]))
    assert not wrong, wrong
    return found


def settles(server: Ndt7Server, **expected: int) -> None:
    """Waits until the server has counted this: its thread ends a moment after the client."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        counts = server.counts()
        if all(counts.get(name.replace("__", ": "), 0) == count for name, count in expected.items()):
            return
        time.sleep(0.01)
    raise AssertionError(server.counts())
