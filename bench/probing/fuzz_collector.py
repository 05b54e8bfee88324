"""A million malformed inputs to the collector: broken bodies in process, and a real one over HTTPS on loopback.

    python -m bench.probing.fuzz_collector [--inputs 1000000] [--requests 100000] [--seed 1]

What must hold afterwards: the process is up, its memory bounded, its counters add up to what was sent, the store holds
nothing invalid and nothing twice, and a sound batch is still taken exactly once.
"""

import argparse
import gzip
import http.client
import json
import logging
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from bench.probing.collector_process import CollectorProcess, records_of
from bench.tools.machine import machine
from probes.collector.config import Limits
from probes.collector.counters import Counters
from probes.collector.ingest import Ingest
from probes.collector.ledger import Ledger
from probes.collector.writer import finish
from probes.store import read_folder
from probes.table import faults
from probes.transport import COLUMNS, MEDIA_TYPE, PATH, encode

AGENT: Final = "fra1"
SENDERS: Final = 8
MEMORY_BYTES: Final = 700 << 20
_ROWS: Final = 4
_BOOT: Final = 8000  # rows; more of one boot would have too many gaps to be taken at all
_ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**4000, 1e308, 5e-324, -0.0, "", "\0",
    "x" * 2000, "\ud800", "é", "NaN", [], {}, [None], [[1.0]], [1.0] * 300, {"a": []}, "imported:", "icmp", "../x",
)  # fmt: skip
_RAW: Final = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "0x10",
    "01",
    "+1",
    "1_000",
    "'x'",
    "nul",
    "\\u0000",
    "[",
    "]",
    "{",
)


class Inputs:
    """Malformed bodies, the same for the same seed. Some turn out sound, as mutations do: their rows may be taken."""

    def __init__(self, seed: int) -> None:
        self._seed, self._random = seed, random.Random(seed)
        self._at_ns = time.time_ns() - 10**9
        self._sequence = 0
        (record,) = records_of(AGENT, 0, 1, f"fuzz-{seed}", self._at_ns)
        self._template = [getattr(record, name) for name in COLUMNS]
        self._replays = [encode(records_of(AGENT, 0, 20, f"replayed-{seed}", self._at_ns), AGENT)]
        self._kinds: Sequence[Callable[[], bytes]] = (
            self._noise, self._zipped_noise, self._odd_values, self._odd_values, self._odd_head, self._torn_json,
            self._flipped, self._cut, self._replay, self._deep, self._raw_words, self._odd_lines,
        )  # fmt: skip

    def body(self) -> bytes:
        """The next one."""
        return self._random.choice(self._kinds)()

    def _rows(self) -> list[list[Any]]:
        self._sequence += _ROWS
        rows = [list(self._template) for _ in range(_ROWS)]
        for number, row in enumerate(rows):
            row[COLUMNS.index("seq")] = self._sequence + number
            row[COLUMNS.index("boot_id")] = f"fuzz-{self._seed}-{self._sequence // _BOOT}"
        return rows

    def _head(self, rows: int) -> dict[str, Any]:
        return {"format": "nearserve-records", "version": 1, "agent": AGENT, "rows": rows, "columns": list(COLUMNS)}

    def _pack(self, lines: Sequence[bytes]) -> bytes:
        return gzip.compress(b"\n".join(lines) + b"\n", 1)

    def _lines(self, head: Any = None, rows: Sequence[Any] | None = None) -> list[bytes]:
        rows = self._rows() if rows is None else rows
        return [json.dumps(value).encode() for value in (self._head(len(rows)) if head is None else head, *rows)]

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.randrange(200))

    def _zipped_noise(self) -> bytes:
        return gzip.compress(self._random.randbytes(self._random.randrange(300)), 1)

    def _odd_values(self) -> bytes:
        rows = self._rows()
        for _ in range(self._random.randrange(1, 4)):
            self._random.choice(rows)[self._random.randrange(len(COLUMNS))] = self._random.choice(_ODD)
        return self._pack(self._lines(rows=rows))

    def _odd_head(self) -> bytes:
        head = self._head(_ROWS)
        key = self._random.choice([*head, "next_in_s"])
        if self._random.random() < 0.3:
            head.pop(key, None)
        else:
            head[key] = self._random.choice([*_ODD, [*COLUMNS, "seq"], COLUMNS[:3], "ams1", 2, 10**9])
        return self._pack(self._lines(head))

    def _torn_json(self) -> bytes:
        lines = self._lines()
        place = self._random.randrange(len(lines))
        line = bytearray(lines[place])
        for _ in range(self._random.randrange(1, 4)):
            at = self._random.randrange(len(line))
            line[at : at + self._random.randrange(3)] = self._random.randbytes(self._random.randrange(3))
        lines[place] = bytes(line)
        return self._pack(lines)

    def _flipped(self) -> bytes:
        body = bytearray(self._pack(self._lines()))
        body[self._random.randrange(len(body))] ^= 1 << self._random.randrange(8)
        return bytes(body)

    def _cut(self) -> bytes:
        body = self._pack(self._lines())
        cut = body[: self._random.randrange(len(body))]
        return cut if self._random.random() < 0.7 else body + cut

    def _replay(self) -> bytes:
        if len(self._replays) < 50:
            self._replays.append(self._pack(self._lines()))
        return self._random.choice(self._replays)

    def _deep(self) -> bytes:
        deep = b"[" * self._random.choice((100, 900, 1000, 5000)) + b"]" * self._random.choice((0, 100, 1000))
        lines = self._lines()
        lines[self._random.randrange(len(lines))] = deep
        return self._pack(lines)

    def _raw_words(self) -> bytes:
        lines = self._lines()
        place = self._random.randrange(len(lines))
        words = lines[place].split(b",")
        words[self._random.randrange(len(words))] = self._random.choice(_RAW).encode()
        lines[place] = b",".join(words)
        return self._pack(lines)

    def _odd_lines(self) -> bytes:
        lines = self._lines()
        place = self._random.randrange(len(lines))
        lines[place : place + self._random.randrange(2)] = self._random.choice(
            ([b""], [b"", b""], [b"null"], [b"{}"], [b"\xff\xfe"], [b" " * 10_000], [], [lines[-1]] * 3)
        )
        return self._pack(lines)


@dataclass
class Tally:
    """What was sent and what came back."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    seconds: float = 0.0

    def add(self, status: int, accepted: int) -> None:
        """One answer."""
        self.sent += 1
        self.statuses[status] += 1
        self.accepted += accepted


def in_process(inputs: Inputs, count: int, folder: Path) -> Tally:
    """Bodies through decoding, checking and the ledger, without HTTP; every so often into Parquet."""
    ledger = Ledger(folder / "_collector" / "ledger.sqlite")
    ingest = Ingest(ledger, Limits(), Counters(), folder, lambda: None)
    tally = Tally()
    began = time.perf_counter()
    while tally.sent < count:
        waiting = [ingest.submit(inputs.body(), frozenset((AGENT,))) for _ in range(min(64, count - tally.sent))]
        for future in waiting:
            answer = future.result(60)
            tally.add(answer.status, answer.body.get("accepted", 0))
        if ledger.waiting()[0] > 100_000:
            _write(ledger, folder)
    tally.seconds = time.perf_counter() - began
    ingest.close()
    _write(ledger, folder)
    ledger.close()
    _sound(folder, tally.accepted)
    return tally


def over_https(count: int, collector: CollectorProcess, seed: int) -> Tally:
    """Requests to a real collector by several senders at once, each with inputs of its own."""
    began = time.perf_counter()
    shares = [count // SENDERS + (number < count % SENDERS) for number in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        tallies = list(pool.map(lambda n: _storm(shares[n], collector, seed * 1000 + n), range(SENDERS)))
    return Tally(
        sum(tally.sent for tally in tallies), sum((tally.statuses for tally in tallies), Counter()),
        sum(tally.accepted for tally in tallies), time.perf_counter() - began,
    )  # fmt: skip


def _storm(count: int, collector: CollectorProcess, seed: int) -> Tally:
    """Bodies over kept connections, wrong names, wrong tokens, and raw garbage."""
    inputs, chance, tally = Inputs(seed), random.Random(seed), Tally()
    token = {"Authorization": f"Bearer {(collector.folder / 'agents/fra1.token').read_text().strip()}"}
    connections = {
        name: collector.connect(agent) for name, agent in (("certificate", AGENT), ("token", None), ("none", None))
    }
    while tally.sent < count:
        kind = chance.random()
        if kind < 0.01:
            tally.add(_garbage(collector, chance), 0)
            continue
        name = "certificate" if kind < 0.6 else "token" if kind < 0.97 else "none"
        headers = token if name == "token" else {"Authorization": f"Bearer {chance.random()}"} if name == "none" else {}
        if kind > 0.965:
            headers = headers | chance.choice(
                ({"Content-Encoding": "gzip"}, {"Content-Type": "x/y"}, {"Expect": "100-continue"}, {"X": "x" * 9000})
            )
        body = bytes(300_000) if kind > 0.9995 else inputs.body()
        tally.add(*_request(connections[name], body, headers))
    for connection in connections.values():
        connection.close()
    return tally


def _request(connection: http.client.HTTPSConnection, body: bytes, headers: dict[str, str]) -> tuple[int, int]:
    for _ in range(3):
        try:
            connection.request("POST", PATH, body, {"Content-Type": MEDIA_TYPE} | headers)
            response = connection.getresponse()
            text = response.read()
        except (http.client.HTTPException, OSError):  # closed after the refusal before
            connection.close()
            continue
        accepted = json.loads(text)["accepted"] if response.status == 200 else 0
        return response.status, accepted
    return 0, 0


def _garbage(collector: CollectorProcess, chance: random.Random) -> int:
    """Bytes that are no HTTP, or no TLS; the status of the answer, 0 without one."""
    noise = chance.choice(
        (
            chance.randbytes(300), b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"\r\n" * 1000,
            b"GET " + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        )
    )  # fmt: skip
    with suppress(OSError):
        raw = socket.create_connection(("127.0.0.1", collector.port), timeout=2)
        if chance.random() < 0.5:
            with raw:
                raw.sendall(noise)
            return 0
        with collector.context(AGENT).wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall(noise + b"\r\n\r\n")
            said = re.match(rb"HTTP/1.1 (\d{3}) ", connection.recv(100))
            return int(said[1]) if said else 0
    return 0


def verify(collector: CollectorProcess, tally: Tally) -> dict[str, float]:
    """Raises AssertionError unless the collector is as it must be after the storm; gives what it counted."""
    assert collector.process is not None and collector.process.poll() is None, "the collector is gone"
    resident = collector.resident_bytes()
    assert resident < MEMORY_BYTES, f"{resident >> 20} MiB resident"
    counted = collector.metrics()
    by_status = {int(name[24:27]): value for name, value in counted.items() if name.startswith("responses_total")}
    for status, count in by_status.items():
        assert count >= tally.statuses[status], (status, count, tally.statuses)
    assert by_status.get(200) == tally.statuses[200] and by_status.get(500, 0) == 0, (by_status, tally.statuses)
    assert counted['rows_total{result="accepted"}'] == tally.accepted
    assert not any(value for name, value in counted.items() if name.startswith("failures_total")), counted
    refused = sum(value for name, value in counted.items() if name.startswith("refused_total"))
    assert refused >= sum(count for status, count in by_status.items() if status != 200)
    sound = records_of(AGENT, 0, 100, "afterwards")
    with_again = [collector.send(sound) for _ in range(2)]
    assert [(answer["accepted"], answer["replayed"]) for answer in with_again] == [(100, 0), (0, 100)]
    assert collector.stop() == 0
    _sound(collector.store, tally.accepted + 100)
    return counted | {"resident": resident}


def _write(ledger: Ledger, folder: Path) -> None:
    while ledger.mark(200_000) is not None:
        pass
    finish(ledger, folder)


def _sound(folder: Path, rows: int) -> None:
    """The store has so many rows, all sound, none twice."""
    table = read_folder(folder) if any(folder.glob("day=*")) else None
    assert (table.num_rows if table is not None else 0) == rows, (table and table.num_rows, rows)
    if table is not None:
        assert faults(table) == []
        keys = set(zip(table["boot_id"].to_pylist(), table["seq"].to_pylist(), strict=True))
        assert len(keys) == rows and set(table["agent"].to_pylist()) == {AGENT}


def collector_for(folder: Path) -> CollectorProcess:
    """A collector with small limits, so that they are met."""
    tables = {
        "limits": "body_bytes = 200000",
        "store": "write_every_s = 5.0\ncompact_every_s = 10.0\ncompact_files = 4",
    }
    return CollectorProcess(folder, [AGENT], tokens=True, tables=tables)


def main(arguments: Sequence[str]) -> int:
    """Both storms, and what must hold after them; 0 when it does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="malformed inputs in all")
    parser.add_argument("--requests", type=int, default=100_000, help="how many of them over HTTPS")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inside = in_process(Inputs(asked.seed), asked.inputs - asked.requests, folder / "inside")
        _report("in process", inside)
        (folder / "outside").mkdir()
        with collector_for(folder / "outside") as collector:
            first = collector.resident_bytes()
            outside = over_https(asked.requests, collector, asked.seed)
            _report("over HTTPS", outside)
            found = verify(collector, outside)
    print(
        f"the collector was up after all of it, {first >> 20} → {int(found['resident']) >> 20} MiB resident; refused:"
    )
    for reason, value in sorted(found.items()):
        if reason.startswith("refused_total"):
            print(f"  {reason[22:-2]:24}{value:12,.0f}")
    return 0


def _report(name: str, tally: Tally) -> None:
    shown = ", ".join(f"{status or 'closed'}: {count:,}" for status, count in sorted(tally.statuses.items()))
    print(
        f"{name}: {tally.sent:,} inputs in {tally.seconds:.0f} s; {shown}; {tally.accepted:,} sound rows taken",
        flush=True,
    )


if __name__ == "__main__":
    print(machine())
    raise SystemExit(main(sys.argv[1:]))
