"""A real collector on loopback, in a process of its own, with a CA and agents' certificates made for it."""

import http.client
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from probes.collector.certificates import make
from probes.record import Record
from probes.transport import MEDIA_TYPE, PATH, encode

_COMMAND: Final = "from placement.cli import main; main()"
_START_S: Final = 60.0


class CollectorProcess:
    """`folder` holds everything. `tables` are TOML lines by table, over the defaults of a quick test."""

    def __init__(
        self,
        folder: Path,
        agents: Sequence[str] = ("fra1", "ams1"),
        *,
        tokens: bool = False,
        tables: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.store = folder, folder / "measurements"
        self.port = free_port()
        self.metrics_port = free_port()
        self.config = folder / "collector.toml"
        self.process: subprocess.Popen[bytes] | None = None
        make(folder, ["127.0.0.1"], agents, tokens=tokens)
        proof = 'require = "either"\ntokens = "tokens.toml"' if tokens else 'require = "certificate"'
        self.tables = {
            "server": f'address = "127.0.0.1"\nport = {self.port}\ncertificate = "server.pem"\nkey = "server.key"',
            "authentication": f'client_ca = "ca.pem"\n{proof}',
            "store": 'folder = "measurements"',
            "limits": "",
            "agents": "",
            "metrics": f"port = {self.metrics_port}",
        }
        for name, lines in (tables or {}).items():
            self.tables[name] += "\n" + lines
        self.write_config()

    def write_config(self) -> None:
        """Writes `tables` into the TOML file."""
        text = "\n".join(f"[{name}]\n{lines}\n" for name, lines in self.tables.items())
        self.config.write_text(text, encoding="utf-8")

    def __enter__(self) -> "CollectorProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def start(self, prepare: Callable[[], None] | None = None) -> None:
        """Starts it and waits until it listens; `prepare` runs in the new process. RuntimeError when it ends."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, "probe", "collector", str(self.config)],
                stdout=subprocess.PIPE, stderr=log, preexec_fn=prepare,  # noqa: PLW1509  nothing here runs threads yet
            )  # fmt: skip
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], _START_S)
        if not (readable and self.process.stdout.readline().startswith(b"listening")):
            raise RuntimeError(f"the collector did not start: {self.log.read_text()[-2000:]}")

    @property
    def log(self) -> Path:
        """What it wrote on stderr."""
        return self.folder / "collector.log"

    def logged(self) -> list[dict[str, Any]]:
        """The events so far; the last line may be half written."""
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1] if line.startswith("{")]

    @property
    def pid(self) -> int:
        """Its process."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def context(self, agent: str | None = None) -> ssl.SSLContext:
        """What a client of this collector trusts and, with an agent, shows."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if agent is not None:
            context.load_cert_chain(self.folder / f"agents/{agent}.pem", self.folder / f"agents/{agent}.key")
        return context

    def connect(self, agent: str | None = None, timeout_s: float = 30.0) -> http.client.HTTPSConnection:
        """A connection that is opened with the first request."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context(agent), timeout=timeout_s)

    def send(self, records: Sequence[Record], agent: str = "fra1") -> dict[str, Any]:
        """Sends one batch over a connection of its own; the answer with its `status`."""
        return self.deliver(encode(records, agent), agent)

    def deliver(self, body: bytes, agent: str | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The answer to a body over a connection of its own."""
        with closing(self.connect(agent)) as connection:
            return post(connection, body, headers)

    def metrics(self) -> dict[str, float]:
        """Its counters: name with labels → value."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name.removeprefix("nearserve_collector_"): float(value) for name, value in lines}

    def resident_bytes(self) -> int:
        """The memory it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def post(connection: http.client.HTTPSConnection, body: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON answer to a body, with `status` and, where told, `retry_after`."""
    connection.request("POST", PATH, body, {"Content-Type": MEDIA_TYPE} | (headers or {}))
    response = connection.getresponse()
    answer: dict[str, Any] = json.loads(response.read())
    return answer | {"status": response.status, "retry_after": response.getheader("Retry-After")}


def records_of(agent: str, first: int, count: int, boot_id: str = "boot-1", at_ns: int | None = None) -> list[Record]:
    """Records with a time, a target and round trips that follow from their number."""
    at_ns = time.time_ns() - 10**9 if at_ns is None else at_ns
    return [
        Record(
            observed_at=at_ns + seq, source=agent, target=f"pop{seq % 50}", target_alias="10.78.0.1", method="icmp",
            agent=agent, boot_id=boot_id, seq=seq, family=4, sent=3, received=2,
            rtt_ms=(1 + seq % 300 + 0.125, 1 + seq % 300 + 0.25), clock_ok=True,
        )
        for seq in range(first, first + count)
    ]  # fmt: skip


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
