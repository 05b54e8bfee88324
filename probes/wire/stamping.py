"""The kernel begins to stamp packets a moment after the first socket asks for it; until then stamps are wrong."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Final

from probes.wire.batch import SO_TIMESTAMPING

RECEIVED: Final = 1 << 3 | 1 << 4
"""SOF_TIMESTAMPING_RX_SOFTWARE and SOF_TIMESTAMPING_SOFTWARE: stamp what comes, and report it."""
LEFT: Final = 1 << 1
"""SOF_TIMESTAMPING_TX_SOFTWARE: stamp what is handed to the device, and give it back by the error queue."""
_TRIES: Final = 100
_PAUSE_S: Final = 0.0005


def await_stamps() -> bool:
    """Wait until packets are stamped on arrival, for the socket that asked before; False where they never are.

    Most of a millisecond at the first socket of the machine, nothing when others have asked before. Without it the
    first packets have no stamp with SO_TIMESTAMPING, and that of their reading with SO_TIMESTAMPNS. A datagram is sent
    to itself on loopback to see.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        sock.settimeout(0.01)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RECEIVED)
        for _ in range(_TRIES):
            sock.send(b"?")
            if sock.recvmsg(1, 128)[1]:
                return True
            time.sleep(_PAUSE_S)
    return False


@contextlib.contextmanager
def stamped() -> Iterator[None]:
    """Within the block packets are stamped on arrival, whichever sockets come and go: one that asks for it stays."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RECEIVED)
        await_stamps()
        yield
