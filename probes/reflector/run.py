"""A reflector from start to end: opens the ports, gives up root, and keeps one process for each service running.

STAMP, trains and NDT7 are processes of their own, so that a bandwidth test never delays the answer to a probe. The
sockets belong to this process: a worker that ends unexpectedly is started again and finds what came meanwhile.
"""

import ctypes
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from probes.privileges import can_become_another, drop, find_user, shed
from probes.reflector import workers
from probes.reflector.config import ReflectorConfig
from probes.reflector.counts import Counts, write_textfile
from probes.reflector.stamp_server import open_socket
from probes.wire.address import written
from probes.wire.keys import read_token

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_PATIENCE_S: Final = 5.0
_AGAIN_S: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger()


class StartError(RuntimeError):
    """The reflector cannot start; the message says why and the mend."""


@dataclass(slots=True)
class Sockets:
    """What is listened on, by service."""

    stamp: list[socket.socket] = field(default_factory=list)
    train_tcp: list[socket.socket] = field(default_factory=list)
    train_udp: list[socket.socket] = field(default_factory=list)
    ndt7: list[socket.socket] = field(default_factory=list)

    def addresses(self) -> dict[str, list[str]]:
        """Address and port of each service, as a person writes them."""
        named = {"stamp": self.stamp, "train": self.train_tcp, "ndt7": self.ndt7}
        return {name: [written(*sock.getsockname()[:2]) for sock in found] for name, found in named.items() if found}

    def close(self) -> None:
        """Close them all."""
        for sock in (*self.stamp, *self.train_tcp, *self.train_udp, *self.ndt7):
            sock.close()


def open_sockets(config: ReflectorConfig) -> Sockets:
    """The configured sockets; raises StartError that names each that cannot be had."""
    found = Sockets()
    wrong: list[str] = []
    for address in _possible(config.listen):
        if config.stamp.enabled:
            with _noting(wrong, address, config.stamp.port, "UDP"):
                found.stamp.append(open_socket(address, config.stamp.port))
        if config.train.enabled:
            with _noting(wrong, address, config.train.port, "TCP and UDP"):
                tcp, udp = _pair(address, config.train.port)
                found.train_tcp.append(tcp)
                found.train_udp.append(udp)
        if config.ndt7.enabled:
            with _noting(wrong, address, config.ndt7.port, "TCP"):
                found.ndt7.append(_listener(address, config.ndt7.port, backlog=128))
    if wrong:
        found.close()
        raise StartError("\n".join(wrong))
    return found


def _possible(listen: Sequence[str]) -> list[str]:
    """The addresses, without the one that means all of IPv6 where this machine has none and others are given."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        left = [address for address in listen if address != "::"]
        if left and len(left) < len(listen):
            log.warning("reflector.no_ipv6", listening_on=left)
            return left
    return list(listen)


@contextmanager
def _noting(wrong: list[str], address: str, port: int, kind: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        mend = "is a reflector running?" if port >= 1024 else "is one running, and may this user open ports below 1024?"
        wrong.append(f"{address} port {port} ({kind}): {error.strerror}; {mend}")


def _listener(address: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=backlog)


def _pair(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """TCP and UDP on the same number; of any free one (0) a few are tried."""
    for left in range(8 if port == 0 else 1, 0, -1):
        tcp = _listener(address, port, backlog=64)
        try:
            return tcp, open_socket(address, tcp.getsockname()[1])
        except OSError:
            tcp.close()
            if left == 1:
                raise
    raise AssertionError


def run(config: ReflectorConfig, sockets: Sockets, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once all is up. SIGHUP reads the key file again.

    Raises KeyFileError, StartError, and PrivilegeError where root cannot be given up.
    """
    counts = Counts()
    keys = workers.Keys(config.key_file, counts)
    token = read_token(Path(config.ndt7.token_file)) if config.ndt7.token_file else None
    tls = _tls(config) if config.ndt7.enabled else None
    if can_become_another():
        user = find_user(config.user)
        drop(user, keep_net_raw=False)
        log.info("reflector.privileges_dropped", user=user.name)
    else:
        shed(keep_net_raw=False)
        if os.geteuid() == 0:
            log.info("reflector.stays_root", capabilities=0)
    jobs: dict[str, Callable[[], None]] = {}
    if sockets.stamp:
        jobs["stamp"] = lambda: workers.stamp(sockets.stamp, config, counts, keys)
    if sockets.train_tcp:
        jobs["train"] = lambda: workers.trains(sockets.train_tcp, sockets.train_udp, config, counts, keys)
    if sockets.ndt7:
        jobs["ndt7"] = lambda: workers.ndt7(sockets.ndt7, counts, token, tls)
    port = config.metrics.port
    if port is not None:
        jobs["metrics"] = lambda: workers.metrics(port, counts)
    _Supervisor(jobs, config, counts, keys).run(ready)


class _Supervisor:
    def __init__(
        self, jobs: dict[str, Callable[[], None]], config: ReflectorConfig, counts: Counts, keys: workers.Keys
    ) -> None:
        self._jobs, self._counts, self._keys = jobs, counts, keys
        self._textfile = Path(config.metrics.textfile) if config.metrics.textfile else None
        self._every_s = config.metrics.every_s
        self._running: dict[int, str] = {}
        self._due: dict[str, float] = {}

    def run(self, ready: Callable[[], None]) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for name in self._jobs:
                self._start(name)
            ready()
            _notify("READY=1")
            self._watch()
        finally:
            _notify("STOPPING=1")
            self._end()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self) -> None:
        write_at = time.monotonic()
        while True:
            now = time.monotonic()
            if self._textfile and now >= write_at:
                self._write()
                write_at = now + self._every_s
            for name in [name for name, due in self._due.items() if due <= now]:
                del self._due[name]
                self._start(name)
            wait = min([self._every_s if self._textfile else 3600.0, *(due - now for due in self._due.values())])
            came = signal.sigtimedwait(_SIGNALS, max(wait, 0.01))
            number = came.si_signo if came else 0
            if number in {signal.SIGTERM, signal.SIGINT}:
                return
            if number == signal.SIGHUP:
                self._keys.reload()  # for workers that are started later
                for pid in self._running:
                    os.kill(pid, signal.SIGHUP)
            self._reap()

    def _start(self, name: str) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = name
            return
        code = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() == parent:
                self._jobs[name]()
                code = 0
        except BaseException:  # a worker must not run on in the supervisor's code
            log.exception("reflector.worker_failed", worker=name)
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name = self._running.pop(pid)
            log.error("reflector.worker_ended", worker=name, status=os.waitstatus_to_exitcode(status))
            self._counts.add("restarts")
            self._due[name] = time.monotonic() + _AGAIN_S

    def _end(self) -> None:
        """SIGTERM to every worker, SIGKILL to those that do not heed it."""
        for number, patience_s in ((signal.SIGTERM, _PATIENCE_S), (signal.SIGKILL, _PATIENCE_S)):
            for pid in self._running:
                os.kill(pid, number)
            until = time.monotonic() + patience_s
            while self._running and time.monotonic() < until:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if pid:
                    del self._running[pid]
                else:
                    time.sleep(0.01)
        if self._textfile:
            self._write()

    def _write(self) -> None:
        assert self._textfile is not None
        try:
            write_textfile(self._counts, self._textfile)
        except OSError as error:
            log.warning("reflector.metrics_not_written", file=str(self._textfile), error=str(error))


def _tls(config: ReflectorConfig) -> ssl.SSLContext | None:
    if config.ndt7.certificate is None or config.ndt7.key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.ndt7.certificate, config.ndt7.key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"ndt7.certificate {config.ndt7.certificate}, key {config.ndt7.key}: {error}") from error
    return context


def _notify(state: str) -> None:
    """Tell systemd, where it started us (sd_notify)."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
