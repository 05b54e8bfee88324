"""A real reflector on loopback, in processes of its own, for tests and benches."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bench.probing.collector_process import free_port

_COMMAND: Final = "from placement.cli import main; main()"
_START_S: Final = 60.0


class ReflectorProcess:
    """Listens on 127.0.0.1 and ::1 at free ports. `tables` are TOML lines by table, "" for the top one."""

    def __init__(self, folder: Path, tables: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.metrics_port = free_port()
        lines = {
            "": 'listen = ["127.0.0.1", "::1"]',
            "stamp": "port = 0",
            "train": "port = 0",
            "ndt7": "",
            "metrics": f"port = {self.metrics_port}",
        }
        for name, more in (tables or {}).items():
            lines[name] += "\n" + more
        text = "\n".join(f"[{name}]\n{some}\n" if name else f"{some}\n" for name, some in lines.items())
        self.config = folder / "reflector.toml"
        self.config.write_text(text, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.ports: dict[tuple[str, int], int] = {}
        """By service ("stamp", "train") and family (4, 6)."""

    def __enter__(self) -> "ReflectorProcess":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, "probe", "reflector", "--config", str(self.config), "--format=json"],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], _START_S)
        line = self.process.stdout.readline() if readable else b""
        if not line.startswith(b"{"):
            self.process.kill()
            raise RuntimeError(f"the reflector did not start: {self.log.read_text()[-2000:]}")
        for service, places in json.loads(line).items():
            for place in places:
                address, _, port = place.rpartition(":")
                if port.isdigit():
                    self.ports[service, 6 if "[" in address else 4] = int(port)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    @property
    def log(self) -> Path:
        """What it wrote on stderr."""
        return self.folder / "reflector.log"

    def logged(self) -> list[dict[str, Any]]:
        """The events so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def signal(self, number: int) -> None:
        """Send the supervisor a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        assert self.process is not None and self.process.stdout is not None
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def workers(self) -> list[int]:
        """The processes of its services."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def resident_bytes(self) -> int:
        """The memory that its services hold now, shared pages counted in each."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers())
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def metrics(self) -> dict[str, float]:
        """Its counts: name with labels → value."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name.removeprefix("nearserve_reflector_"): float(value) for name, value in lines}

    def queue(self, service: str, family: int) -> tuple[int, int]:
        """Bytes that wait in a UDP socket, and datagrams that the kernel dropped there for want of room."""
        port = f":{self.ports[service, family]:04X}"
        for line in Path("/proc/net/udp" if family == 4 else "/proc/net/udp6").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(port) and fields[2].endswith(":0000"):
                return int(fields[4].partition(":")[2], 16), int(fields[-1])
        raise RuntimeError(f"no socket on {port}")
