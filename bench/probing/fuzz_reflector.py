"""A million hostile datagrams at a real reflector on loopback, and what it is like afterwards.

python -m bench.probing.fuzz_reflector [--datagrams 1000000] [--seed 1]

Half of them go to one that answers all, half to one that wants a key. They are random, valid, valid with bits changed,
cut, lengthened, with TLVs that lie about their length, oversized, replayed, replies sent back as requests; to the train
port hellos and cars of sessions that do not exist, and broken lines over TCP. They come from 32 networks of 127/8.
Exit code 1 unless: the same processes still run; right requests are still answered right; memory has not grown by more
than 32 MB; no source got more bytes than it had sent, nor more datagrams; what was sent is what was received, answered
or dropped with a reason.
"""

import argparse
import random
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.probing.reflector_process import ReflectorProcess
from bench.tools.machine import machine
from probes.methods import stamp
from probes.methods.endpoint import Endpoint
from probes.wire import stamp_packet, train_packet
from probes.wire.batch import Inbox, Outbox

SOURCES: Final = 32
BATCH: Final = 128
LONGEST: Final = 2200
KEY: Final = b"the fuzzed reflector's key"
MEMORY_BYTES: Final = 32 << 20
_QUEUE_BYTES: Final = 2 << 20
_FAST: Final = "per_source_per_s = 1000000\nin_all_per_s = 10000000"


@dataclass
class Source:
    """One socket of the attacker, and what it sent to and got from the reflector."""

    sock: socket.socket
    outbox: Outbox
    inbox: Inbox
    sent: int = 0
    sent_bytes: int = 0
    got: int = 0
    got_bytes: int = 0
    replies: list[bytes] = field(default_factory=list)

    def drain(self) -> None:
        """Count what came, and keep some of it to send it back."""
        while self.inbox.receive(self.sock.fileno()):
            rows = self.inbox.filled
            self.got += rows
            self.got_bytes += int(self.inbox.lengths[:rows].sum())
            self.replies = [self.inbox.data[row, : self.inbox.lengths[row]].tobytes() for row in range(min(rows, 8))]
            self.inbox.clear()


def main(argv: list[str] | None = None) -> int:
    """Fuzz both kinds; print what was sent and every finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datagrams", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(argv)
    print(machine())
    findings = []
    for key in (None, KEY):
        with tempfile.TemporaryDirectory() as folder:
            findings += fuzz(Path(folder), -(-told.datagrams // 2), told.seed, key, say=print)
    for finding in findings:
        print("WRONG:", finding)
    return int(bool(findings))


def fuzz(folder: Path, datagrams: int, seed: int, key: bytes | None, say: object = None) -> list[str]:
    """Send so many, and give everything that is wrong afterwards; [] is what is wanted. The folder takes its files."""
    folder.chmod(0o755)
    tables = {"stamp": _FAST, "": ""}
    if key is not None:
        (folder / "keys").write_bytes(key + b"\n")
        (folder / "keys").chmod(0o644)
        tables[""] = f'key_file = "{folder / "keys"}"'
    with ReflectorProcess(folder, tables) as served, ExitStack() as stack:
        sources = [stack.enter_context(_source(number)) for number in range(SOURCES)]
        _warm_up(served, key)
        pids, memory = served.workers(), served.resident_bytes()
        before = served.metrics()
        began = time.monotonic()
        attack = _Attack(served, [_armed(sock) for sock in sources], seed, key)
        attack.run(datagrams)
        attack.lines(max(datagrams // 1000, 20))
        findings = attack.judge(before)
        grown = served.resident_bytes() - memory
        if served.workers() != pids:
            findings.append(f"processes were {pids}, are {served.workers()}")
        if grown > MEMORY_BYTES:
            findings.append(f"memory grew by {grown:,} bytes")
        findings += _still_right(served, key)
        if callable(say):
            sent = sum(source.sent for source in attack.sources)
            got = sum(source.got for source in attack.sources)
            ratio = max(source.got_bytes / max(source.sent_bytes, 1) for source in attack.sources)
            say(
                f"{'authenticated' if key else 'open':14}{attack.to_stamp + attack.to_train:10,} datagrams in "
                f"{time.monotonic() - began:.0f} s, {sent:,} to STAMP, {got:,} answered, largest bytes out/in "
                f"{ratio:.3f}, memory {grown / 1e6:+.1f} MB"
            )
        findings += [f"logged: {event}" for event in served.logged() if event["level"] == "error"]
        code = served.stop()
        if code:
            findings.append(f"exit code {code} at SIGTERM")
    return findings


def _source(number: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((f"127.{number}.1.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    return sock


def _armed(sock: socket.socket) -> Source:
    return Source(sock, Outbox(BATCH, LONGEST, socket.AF_INET), Inbox(1024, LONGEST))


def _warm_up(served: ReflectorProcess, key: bytes | None) -> None:
    """The first requests make arrays and caches that are no growth."""
    for family, address in ((4, "127.0.0.1"), (6, "::1")):
        endpoint = Endpoint("reflector", address, served.ports["stamp", family])
        stamp.sweep([endpoint] * 200, rate_per_s=2000, probes=3, timeout_s=1, key=key)


def _still_right(served: ReflectorProcess, key: bytes | None) -> list[str]:
    endpoint = Endpoint("reflector", "127.0.0.1", served.ports["stamp", 4])
    found = stamp.sweep([endpoint], rate_per_s=100, probes=20, interval_s=0.01, timeout_s=2, key=key)
    answered, timed = int(found.answered.sum()), int(np.isfinite(found.rtt_ms).sum())
    return [] if answered == timed == 20 else [f"of 20 right requests {answered} were answered, {timed} with a time"]


class _Attack:
    def __init__(self, served: ReflectorProcess, sources: list[Source], seed: int, key: bytes | None) -> None:
        self.sources = sources
        self.to_stamp = self.to_train = 0
        self._served, self._key = served, key
        self._rng = np.random.default_rng(seed)
        self._random = random.Random(seed)
        self._kinds = (
            self._noise, self._valid, self._flipped, self._resized, self._tlvs, self._oversized, self._replayed,
            self._sent_back,
        )  # fmt: skip
        self._old: NDArray[np.uint8] = np.zeros((0, LONGEST), np.uint8)

    def run(self, datagrams: int) -> None:
        """Send so many in all, a twentieth of them to the train port; no faster than the reflector takes them."""
        sent = 0
        while sent < datagrams:
            source = self._random.choice(self.sources)
            count = min(BATCH, datagrams - sent)
            if self._random.random() < 0.05:
                self._to_train(source, count)
                self.to_train += count
            else:
                data, lengths = self._random.choice(self._kinds)(source, count)
                self._send(source, data, lengths, self._served.ports["stamp", 4])
                source.sent += count
                source.sent_bytes += int(lengths.sum())
                self.to_stamp += count
            sent += count
            source.drain()
            while self._served.queue("stamp", 4)[0] > _QUEUE_BYTES:
                time.sleep(0.001)

    def lines(self, connections: int) -> None:
        """Broken lines over TCP; whether and how it answers is its matter."""
        for _ in range(connections):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._served.ports["train", 4]), 2) as sock:
                sock.settimeout(0.2)
                sock.recv(1000)
                sock.sendall(self._line())
                if self._random.random() < 0.5:
                    sock.recv(1000)

    def judge(self, before: dict[str, float]) -> list[str]:
        """What does not add up."""
        until = time.monotonic() + 20
        while self._served.queue("stamp", 4)[0] and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)
        for source in self.sources:
            source.drain()
        now = self._served.metrics()
        change = {name: int(value - before.get(name, 0)) for name, value in now.items()}
        received = change["stamp_received_packets_total"]
        dropped = sum(count for name, count in change.items() if name.startswith("stamp_dropped"))
        overflow = self._served.queue("stamp", 4)[1]
        found = []
        if received + overflow != self.to_stamp:
            found.append(f"{self.to_stamp} sent, {received} received and {overflow} dropped by the kernel")
        if received != change["stamp_sent_packets_total"] + dropped:
            found.append(f"{received} received, {change['stamp_sent_packets_total']} answered, {dropped} dropped")
        got = sum(source.got for source in self.sources)
        if got > change["stamp_sent_packets_total"]:
            found.append(f"{got} answers came, {change['stamp_sent_packets_total']} were counted")
        if not got:
            found.append("nothing at all was answered")
        never = ('stamp_dropped_packets_total{reason="failed"}', "train_failed_total", "restarts_total")
        found += [f"{name} is {change[name]}" for name in never if change[name]]
        found += [
            f"{source.sock.getsockname()}: {source.sent_bytes} bytes sent, {source.got_bytes} got"
            for source in self.sources
            if source.got_bytes > source.sent_bytes or source.got > source.sent
        ]
        return found

    def _send(self, source: Source, data: NDArray[np.uint8], lengths: NDArray[np.int64], port: int) -> None:
        box, count = source.outbox, len(data)
        box.data[:count, : data.shape[1]] = data
        box.lengths[:count] = lengths
        box.names[:count, :8] = np.frombuffer(
            socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + bytes((127, 0, 0, 1)), np.uint8
        )
        done = 0
        while done < count:
            done += box.send(source.sock.fileno(), done, count)

    # each kind: (rows, columns) octets, and how many of each row leave

    def _noise(self, _: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data = self._rng.integers(0, 256, (count, LONGEST), np.uint8)
        return data, self._rng.integers(0, self._random.choice((50, 200, LONGEST)), count)

    def _valid(self, _: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        seq = self._rng.integers(0, 2**32, count, np.uint32)
        times = self._rng.integers(0, 2**64, count, np.uint64)
        data = stamp_packet.requests(seq, times, ssid=self._random.randrange(2**16), error=0x101, key=self._key)
        padded = np.zeros((count, LONGEST), np.uint8)
        padded[:, : data.shape[1]] = data
        self._old = padded[:32]
        return padded, np.full(count, data.shape[1])

    def _flipped(self, source: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data, lengths = self._valid(source, count)
        for _ in range(self._random.randrange(1, 5)):
            place = self._rng.integers(0, lengths[0], count)
            data[np.arange(count), place] ^= (1 << self._rng.integers(0, 8, count)).astype(np.uint8)
        return data, lengths

    def _resized(self, source: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data, lengths = self._valid(source, count)
        return data, np.maximum(lengths + self._rng.integers(-lengths[0], 300, count), 0)

    def _tlvs(self, source: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data, lengths = self._valid(source, count)
        start = int(lengths[0])
        for row in range(count):
            at = start
            while at < 1400 and self._random.random() < 0.9:
                size = self._random.choice((0, 1, 4, 16, 16, 40))
                claimed = size if self._random.random() < 0.9 else self._random.randrange(2**16)
                kind = self._random.choice((0, 1, 1, 4, 8, 8, 200, self._random.randrange(256)))
                head = bytes((self._random.randrange(256), kind)) + claimed.to_bytes(2, "big")
                data[row, at : at + 4 + size] = np.frombuffer(head + self._random.randbytes(size), np.uint8)
                at += 4 + size
            lengths[row] = at
        return data, lengths

    def _oversized(self, source: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        data, _ = self._valid(source, count)
        return data, self._rng.integers(1473, LONGEST, count)

    def _replayed(self, source: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if not len(self._old):
            return self._valid(source, count)
        size = stamp_packet.base_bytes(self._key)
        return self._old[self._rng.integers(0, len(self._old), count)], np.full(count, size)

    def _sent_back(self, source: Source, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if not source.replies:
            return self._noise(source, count)
        data = np.zeros((count, LONGEST), np.uint8)
        lengths = np.zeros(count, np.int64)
        for row in range(count):
            reply = self._random.choice(source.replies)
            data[row, : len(reply)] = np.frombuffer(reply, np.uint8)
            lengths[row] = len(reply)
        return data, lengths

    def _to_train(self, source: Source, count: int) -> None:
        data, lengths = self._noise(source, count)
        head = data[:, : train_packet.HEADER.itemsize].view(train_packet.HEADER)[:, 0]
        some = self._rng.random(count) < 0.8
        head["magic"][some] = train_packet.MAGIC
        head["kind"][some] = self._rng.integers(0, 5, count)[some]
        self._send(source, data, lengths, self._served.ports["train", 4])

    def _line(self) -> bytes:
        valid = (
            b'{"nonce":"00","mac":"00"}\n{"do":"up","train":1,"packets":1000,"size":1472}\n{"do":"down","cookie":""}\n'
        )
        match self._random.randrange(5):
            case 0:
                return self._random.randbytes(self._random.randrange(1, 3000)) + b"\n"
            case 1:
                return b"[" * self._random.randrange(1, 1000) + b"\n"
            case 2:
                return b'{"do":"up","train":-1,"packets":1e99,"size":"x"}\n' * 3
            case 3:
                at = self._random.randrange(len(valid))
                return valid[:at] + self._random.randbytes(2) + valid[at:]
            case _:
                return valid


if __name__ == "__main__":
    raise SystemExit(main())
