"""What each process of a reflector does from its start to SIGTERM: STAMP, trains, NDT7, metrics.

All is imported at the top: once root is given up, not even Python's own modules may still be readable.
"""

import select
import signal
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import start_http_server

from probes.reflector.config import ReflectorConfig
from probes.reflector.counts import STAMP_DROPS, Counts, registry
from probes.reflector.limits import Limiter
from probes.reflector.ndt7 import Ndt7Server
from probes.reflector.stamp_server import StampServer
from probes.reflector.train_server import TrainServer
from probes.wire.keys import KeyFileError, read_keys

LOG_EVERY_S: Final = 30.0

log = structlog.get_logger()


class Signals:
    """SIGTERM, SIGINT and SIGHUP as flags, and a descriptor that becomes readable with them."""

    def __init__(self) -> None:
        self.stop = self.reload = False
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._reload)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def fileno(self) -> int:
        """For select, poll and epoll."""
        return self._read.fileno()

    def take(self) -> None:
        """Empty the descriptor."""
        try:
            self._read.recv(4096)
        except BlockingIOError:
            return

    def _stop(self, *_: object) -> None:
        self.stop = True

    def _reload(self, *_: object) -> None:
        self.reload = True


def stamp(sockets: Sequence[socket.socket], config: ReflectorConfig, counts: Counts, keys: "Keys") -> None:
    """Answers STAMP until SIGTERM."""
    signals, settings = Signals(), config.stamp_settings()
    limiter = Limiter(settings.rates, time.monotonic_ns())
    servers = {sock.fileno(): StampServer(sock, settings, limiter, counts, keys.now) for sock in sockets}
    poll = select.epoll()
    for fd in (*servers, signals.fileno()):
        poll.register(fd, select.EPOLLIN)
    told = _Told(counts, "stamp.dropped", {reason: f"stamp_dropped_{reason}" for reason in STAMP_DROPS})
    while not signals.stop:
        for fd, _ in poll.poll(LOG_EVERY_S):
            if fd in servers:
                servers[fd].serve()
            else:
                signals.take()
        if signals.reload:
            signals.reload = False
            new = keys.reload("stamp")
            for server in servers.values():
                server.keys = new
        told.tell()
    told.tell(last=True)


def trains(
    listeners: Sequence[socket.socket],
    udp: Sequence[socket.socket],
    config: ReflectorConfig,
    counts: Counts,
    keys: "Keys",
) -> None:
    """Times and sends packet trains until SIGTERM."""
    signals = Signals()
    server = TrainServer(listeners, udp, config.train_limits(), counts, keys.now)
    server.selector.register(signals, select.EPOLLIN, signals)
    told = _Told(counts, "train.dropped", {"stray": "train_stray_packets", "busy": "train_refused_busy"})
    while not signals.stop:
        if server.step(1.0):
            signals.take()
        if signals.reload:
            signals.reload = False
            server.keys = keys.reload("train")
        told.tell()
    told.tell(last=True)
    server.close()


def ndt7(listeners: Sequence[socket.socket], counts: Counts, token: str | None, tls: ssl.SSLContext | None) -> None:
    """Serves NDT7 until SIGTERM."""
    signals = Signals()
    told = _Told(counts, "ndt7.refused", {"refused": "ndt7_refused", "broken": "ndt7_broken"})
    servers = [Ndt7Server(listener, tls=tls, token=token) for listener in listeners]
    while not signals.stop:
        select.select([signals], [], [], 1.0)
        signals.take()
        found = [server.counts() for server in servers]
        for name in ("down", "up", "bytes_down", "bytes_up"):
            counts.set(f"ndt7_{name}", sum(one.get(name, 0) for one in found))
        for kind in ("refused", "broken"):
            counts.set(f"ndt7_{kind}", sum(n for one in found for what, n in one.items() if what.startswith(kind)))
        told.tell()
    told.tell(last=True)
    for server in servers:
        server.close()


def metrics(port: int, counts: Counts) -> None:
    """Shows the counts on 127.0.0.1 until SIGTERM."""
    signals = Signals()
    server, _ = start_http_server(port, "127.0.0.1", registry(counts))
    while not signals.stop:
        select.select([signals], [], [])
        signals.take()
    server.shutdown()


class Keys:
    """The key file's keys; what cannot be read at a reload leaves the old ones in force, and is told and counted."""

    def __init__(self, path: str | None, counts: Counts) -> None:
        self._path, self._counts = path, counts
        self.now = read_keys(Path(path)) if path else ()

    def reload(self, service: str | None = None) -> tuple[bytes, ...]:
        """The keys as the file has them now; without a service nothing is told, since its workers tell it."""
        if self._path is None:
            return self.now
        try:
            self.now = read_keys(Path(self._path))
        except KeyFileError as error:
            if service:
                self._counts.add(f"key_reload_failures_{service}")
                log.warning("reflector.key_not_reloaded", service=service, error=str(error))
        else:
            if service:
                self._counts.add(f"key_reloads_{service}")
                log.info("reflector.key_reloaded", service=service, keys=len(self.now))
        return self.now


class _Told:
    """Says what was refused since it last said so: at once, then now and then, and what is left at the end."""

    def __init__(self, counts: Counts, event: str, names: Mapping[str, str]) -> None:
        self._counts, self._event, self._names = counts, event, names
        self._last, self._at = counts.read(), -LOG_EVERY_S

    def tell(self, last: bool = False) -> None:
        now = time.monotonic()
        if now - self._at < LOG_EVERY_S and not last:
            return
        read = self._counts.read()
        since = {word: read[name] - self._last[name] for word, name in self._names.items()}
        if any(since.values()):
            log.warning(self._event, **{word: count for word, count in since.items() if count})
            self._at = now
        self._last = read
