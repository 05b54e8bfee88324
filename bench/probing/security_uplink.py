"""Threats to what an agent delivers: an impostor in the collector's place, with a certificate that is not good."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bench.probing.collector_process import CollectorProcess, free_port
from bench.probing.security_collector import expired
from bench.probing.security_row import Cell, Row, counted, until
from probes.collector.certificates import make

AGENT: Final = "fra1"
_USER: Final = "nobody"
_FAILURES: Final = "uplink_failures_total"
_COMMAND: Final = [sys.executable, "-c", "from placement.cli import main; main()", "probe", "agent"]
_CONFIG: Final = """
agent = "fra1"
source = "here"
user = "nobody"
[spool]
path = "state/spool.sqlite"
[allow]
networks = ["127.0.0.0/8"]
ports = [9]
[rates]
target_packets_per_s = 100
[collector]
url = "https://127.0.0.1:{port}"
certificate = "fra1.pem"
key = "fra1.key"
authority = "ca.pem"
[metrics]
port = {metrics}
[methods.tcp]
interval_s = 0.5
timeout_s = 0.2
probes = 1
[[target]]
name = "itself"
host = "127.0.0.1"
methods = ["tcp:9"]
"""


def rows(folder: Path) -> Iterator[Row]:
    """Every threat of this file, to one agent; then the true collector comes, and gets every record."""
    home, own = folder / "collector", folder / "agent"
    own.mkdir()
    collector = CollectorProcess(home, (AGENT,))
    expired(home, "server", "expired")
    make(folder / "foreign", ["127.0.0.1"], [])
    (folder / "renamed").mkdir()
    for name in ("ca.pem", "ca.key"):
        shutil.copy(home / name, folder / "renamed" / name)
    make(folder / "renamed", ["collector.example"], [])
    for file in (home / "ca.pem", home / f"agents/{AGENT}.pem", home / f"agents/{AGENT}.key"):
        shutil.copy(file, own / file.name)
        with suppress(PermissionError):  # without root the agent stays who we are
            shutil.chown(own / file.name, _USER)
    agent = _Agent(own, collector.port)
    with ExitStack() as stack:
        stack.push(collector.__exit__)
        stack.callback(agent.close)
        found = []
        with _Impostor(collector.port) as impostor:
            agent.start()
            for threat, stem in (
                ("collector's certificate expired", home / "expired"),
                ("collector's certificate of a foreign CA", folder / "foreign/server"),
                ("certificate for another host", folder / "renamed/server"),
            ):
                found.append((threat, *_attack(agent, impostor, stem)))
        collector.start()
        delivered = until(lambda: agent.metrics().get("uplink_accepted_total", 0) > 0, 20)
        taken = agent.metrics().get("uplink_accepted_total", 0)
        up = Cell(delivered and agent.process.poll() is None, f"delivers to the true one afterwards: {taken:.0f}")
        for threat, refused, count, logged in found:
            yield Row("agent", threat, refused, count, logged, up)


def _attack(agent: "_Agent", impostor: "_Impostor", stem: Path) -> tuple[Cell, Cell, Cell]:
    before = agent.metrics().get(_FAILURES, 0.0)
    told_before = len(agent.events("collector_fails"))
    met = impostor.become(stem)
    until(lambda: impostor.met > met and agent.metrics().get(_FAILURES, 0.0) > before, 15)
    until(lambda: len(agent.events("collector_fails")) > told_before, 2)
    met = impostor.met - met
    refused = Cell(met > 0 and not impostor.got, f"{impostor.got} bytes in {met} connections")
    told = [str(event["why"]) for event in agent.events("collector_fails")[told_before:]]
    why = next((text for text in told if "certificate verify failed" in text), "")
    reason = why.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
    logged = Cell(bool(why), f"collector_fails: {reason}" if why else f"{told}")
    return refused, counted(_FAILURES, before, agent.metrics().get(_FAILURES, 0.0)), logged


class _Impostor:
    """Takes every connection with the certificate of the moment, and every batch that is sent to it."""

    def __init__(self, port: int) -> None:
        self.got = self.met = 0
        self._context: ssl.SSLContext | None = None
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.1)
        self._ending = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def become(self, stem: Path) -> int:
        """From now on shows this certificate; how many it met before."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(stem.with_name(stem.name + ".pem"), stem.with_name(stem.name + ".key"))
        self._context = context
        return self.met

    def __enter__(self) -> "_Impostor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        self._thread.join()
        self._listener.close()

    def _work(self) -> None:
        while not self._ending:
            context = self._context
            if context is None:  # whoever comes waits
                time.sleep(0.02)
                continue
            with suppress(OSError):
                raw, _ = self._listener.accept()
                raw.settimeout(2)
                self.met += 1
                with context.wrap_socket(raw, server_side=True) as connection:
                    while data := connection.recv(65536):
                        self.got += len(data)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


class _Agent:
    """A real agent that measures loopback and delivers to a port of it."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._metrics_port = folder, free_port()
        (folder / "agent.toml").write_text(_CONFIG.format(port=port, metrics=self._metrics_port))
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Starts it, and waits until it tells its metrics."""
        with (self._folder / "log").open("wb") as log:
            self.process = subprocess.Popen([*_COMMAND, str(self._folder / "agent.toml")], stderr=log)
        if not until(lambda: bool(self.metrics()), 30):
            raise RuntimeError(f"the agent did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def close(self) -> None:
        """Ends it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it told under this name."""
        lines = (self._folder / "log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def metrics(self) -> dict[str, float]:
        """Its counters; empty while it does not answer."""
        with suppress(OSError):
            text = urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=5).read().decode()
            lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
            return {name.removeprefix("nearserve_agent_"): float(value) for name, value in lines}
        return {}
