"""Talking to the service manager: READY, WATCHDOG and STOPPING by sd_notify's protocol, a datagram each."""

import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """The manager that started us; without one every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "0")
        self.watchdog_s = int(microseconds) / 1e6 if watched and microseconds.isdigit() else 0.0
        """Within so many seconds it wants to hear WATCHDOG=1; 0 where it does not."""

    def tell(self, *states: str) -> None:
        """Sends states such as "READY=1"; a manager that does not listen is no trouble."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to_manager:
                to_manager.setblocking(False)
                to_manager.sendto("\n".join(states).encode(), self._address)
        except OSError:
            return
