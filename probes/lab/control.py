"""Messages between the lab and its emulator, over a pair of sockets that only these two processes have."""

import pickle
import socket
import struct
from typing import Any, Final

LENGTH: Final = struct.Struct("=I")


def send(control: socket.socket, value: Any) -> None:
    """One message: its length, then a pickle."""
    data = pickle.dumps(value)
    control.sendall(LENGTH.pack(len(data)) + data)


def receive(control: socket.socket) -> Any:
    """One message. Raises ConnectionError where the other end is gone."""
    data = b""
    wanted = LENGTH.size
    while len(data) < wanted:
        chunk = control.recv(min(wanted - len(data), 1 << 20))
        if not chunk:
            raise ConnectionError("the other end is gone")
        data += chunk
        if len(data) == LENGTH.size == wanted:
            wanted += LENGTH.unpack(data)[0]
    return pickle.loads(data[LENGTH.size :])  # from the process that started this one
