"""What the tests of packet trains share: a train server in a thread, and one measurement through it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from probes.methods import train
from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.reflector.counts import Counts
from probes.reflector.stamp_server import open_socket
from probes.reflector.train_server import TrainServer
from probes.reflector.train_session import TrainLimits

KEY = b"a key of sixteen or more"


@contextmanager
def served(address: str = "127.0.0.1", *keys: bytes, **limits: Any) -> Iterator[tuple[int, Counts]]:
    """The port and the counts of a train server in a thread."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    counts, stop = Counts(), threading.Event()
    with socket.create_server((address, 0), family=family) as tcp:
        port = tcp.getsockname()[1]
        with open_socket(address, port) as udp:
            server = TrainServer([tcp], [udp], TrainLimits(**limits), counts, keys)

            def serve() -> None:
                while not stop.is_set():
                    server.step(0.02)
                server.close()

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield port, counts
            finally:
                stop.set()
                thread.join()


def measured(port: int, direction: train.Direction, address: str = "127.0.0.1", **options: Any) -> Record:
    """One measurement of that port."""
    return train.measure(Endpoint("pop", address, port), direction=direction, source="agent", **options)
