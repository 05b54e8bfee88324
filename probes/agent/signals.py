"""Signals as flags and a descriptor that wakes: SIGTERM and SIGINT stop, SIGHUP reloads, SIGPIPE is nothing."""

import os
import signal
from types import FrameType


class Signals:
    """Installed in the main thread; `fd` is readable after any signal."""

    def __init__(self) -> None:
        self.stop = False
        self.reload = False
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def clear(self) -> None:
        """Makes `fd` unreadable again; the flags stay for whoever acts on them."""
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            return

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload = True
