"""A reflector under attack, looked at before and after each threat: its counters, its log, its work."""

import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from bench.probing.reflector_process import ReflectorProcess
from bench.probing.security_row import Cell, Row, counted, until
from probes.methods import stamp
from probes.methods.endpoint import Endpoint
from probes.wire.ndt7 import PATHS, SUBPROTOCOL
from probes.wire.train_packet import proof

TOKEN: Final = "a-token-for-ndt7-of-32-characters"
Events = list[dict[str, Any]]


@dataclass
class _Attacked:
    """A row whose log is read at the end: what is dropped is told now and then, and when the reflector ends."""

    threat: str
    refused: Cell
    count: Cell
    up: Cell
    told: Callable[[Events], str | None]


class Attack:
    """Looks at a reflector before and after each threat."""

    def __init__(self, served: ReflectorProcess, title: str, key: bytes | None, ndt7_port: int | None = None) -> None:
        self.served, self.title, self.key, self.ndt7_port = served, title, key, ndt7_port
        self.workers = served.workers()
        self.rows: list[_Attacked] = []
        self.final: dict[str, float] = {}
        self._sources = 0
        until(self._counts, 10)  # a process of its own, which says nothing when it is ready

    def stamp(self, threat: str, reason: str, do: Callable[[], Cell], least: int = 1) -> None:
        """A threat to STAMP; `reason` is that of its drops, `least` how many there must be."""
        self._row(threat, do, f'stamp_dropped_packets_total{{reason="{reason}"}}', "stamp.dropped", reason, least)

    def train(self, threat: str, reason: str, do: Callable[[], Cell]) -> None:
        """A threat to the train port over TCP."""
        self._row(threat, do, f'train_refused_total{{reason="{reason}"}}', "train.refused", reason, 1)

    def dropped(self, threat: str, metric: str, word: str, do: Callable[[], Cell], least: int = 1) -> None:
        """A threat to the train port that is only told summed up."""
        self._row(threat, do, metric, "train.dropped", word, least)

    def ndt7(self, threat: str, word: str, do: Callable[[], Cell], least: int = 1, before: float | None = None) -> None:
        """A threat to the NDT7 port; `word`: refused or broken. `before`: the counter, where it began long ago."""
        self._row(threat, do, f"ndt7_{word}_total", "ndt7.refused", word, least, before)

    def _row(
        self, threat: str, do: Callable[[], Cell], metric: str, event: str, word: str, least: int,
        before: float | None = None,
    ) -> None:  # fmt: skip
        before = self.served.metrics()[metric] if before is None else before
        refused = do()
        until(lambda: self.served.metrics()[metric] - before >= least, 8)
        count = counted(metric, before, self.served.metrics()[metric], least)

        def told(events: Events) -> str | None:
            mine = [line for line in events if line["event"] == event]
            if event == "train.refused":
                return event if any(line["reason"] == word for line in mine) else None
            return event if sum(line.get(word, 0) for line in mine) >= self.final[metric] else None

        self.rows.append(_Attacked(threat, refused, count, self.up(), told))

    def _counts(self) -> bool:
        with suppress(OSError):
            return bool(self.served.metrics())
        return False

    def finish(self) -> Iterator[Row]:
        """Ends the reflector, and reads what it told."""
        self.final = self.served.metrics()
        code = self.served.stop()
        events = self.served.logged()
        wrong = [line for line in events if line["level"] in ("error", "critical")]
        for row in self.rows:
            told = row.told(events)
            logged = Cell(told is not None and not wrong, told or f"nothing; {wrong[:1]}")
            up = Cell(row.up.right and code == 0, row.up.seen)
            yield Row(f"reflector, {self.title}", row.threat, row.refused, row.count, logged, up)

    def up(self) -> Cell:
        """The same processes answer STAMP, greet senders of trains, and open NDT7."""
        endpoint = Endpoint("reflector", "127.0.0.1", self.served.ports["stamp", 4])
        found = stamp.sweep([endpoint], rate_per_s=1000, probes=3, interval_s=0.005, timeout_s=2, key=self.key)
        works = ["STAMP"] if int(found.answered.sum()) == 3 else []
        with suppress(OSError, KeyError, ValueError), Control(self, "127.0.0.1") as control:
            works += ["train"] if control.introduce(self.key) else []
        if self.ndt7_port is not None:
            self._sources += 1
            with suppress(OSError), closing(self.ask(f"127.30.{self._sources}.1")) as sock:
                works += ["NDT7"] if sock.recv(4096).startswith(b"HTTP/1.1 101") else []
        same = self.served.workers() == self.workers
        right = same and len(works) == 2 + (self.ndt7_port is not None)
        return Cell(right, f"{', '.join(works)} of {len(self.workers)} processes" + ("" if same else ", RESTARTED"))

    def ask(self, source: str, token: str = TOKEN, path: str = PATHS["down"]) -> socket.socket:
        """A connection that asks for an NDT7 test."""
        assert self.ndt7_port is not None
        sock = socket.create_connection(("127.0.0.1", self.ndt7_port), 5, source_address=(source, 0))
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        return sock


class Control:
    """A control connection of trains, from a source of 127/8."""

    def __init__(self, attack: Attack, source: str) -> None:
        port = attack.served.ports["train", 4]
        self.sock = socket.create_connection(("127.0.0.1", port), 5, source_address=(source, 0))
        self._lines = self.sock.makefile("rb")
        line = self._lines.readline()
        self.greeting = json.loads(line) if line else {}
        self.session = b""

    def __enter__(self) -> "Control":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self.sock.close()

    def say(self, message: dict[str, Any] | bytes) -> dict[str, Any]:
        """The answer to a line."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.sock.sendall(line + b"\n")
        answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer

    def introduce(self, key: bytes | None) -> bool:
        """Whether the reflector gives a session."""
        nonce = secrets.token_bytes(16)
        mac = proof(key, bytes.fromhex(self.greeting["nonce"]), nonce) if key else ""
        self.session = bytes.fromhex(self.say({"nonce": nonce.hex(), "mac": mac}).get("session", ""))
        return len(self.session) == 16
