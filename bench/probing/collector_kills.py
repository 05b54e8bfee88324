"""A real collector killed (SIGKILL) at random moments while agents send: every acknowledged record is stored once.

    python -m bench.probing.collector_kills [--kills 100] [--seed 1]

It writes and compacts all the time, so that a kill meets every step; some meet the start itself.
"""

import argparse
import http.client
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from bench.probing.collector_process import CollectorProcess, post, records_of
from bench.tools.machine import machine
from probes.store import read_folder
from probes.transport import encode

AGENTS: Final = ("fra1", "ams1")
ROWS: Final = 200
TABLES: Final = {"store": "write_every_s = 0.05\nwrite_rows = 2000\ncompact_every_s = 0.2\ncompact_files = 2"}
LONGEST_LIFE_S: Final = 1.5


class Sender:
    """One agent: sends batch after batch, each until it is acknowledged, and some of them twice."""

    def __init__(self, collector: CollectorProcess, agent: str, seed: int) -> None:
        self._collector, self.agent, self._random = collector, agent, random.Random(seed)
        self._at_ns = time.time_ns() - 3600 * 10**9
        self.acknowledged = 0  # rows 0 … are with the collector
        self.replayed = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def close(self) -> None:
        """Ends after the batch under way."""
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._end.is_set():
            connection = self._collector.connect(self.agent, 10.0)
            with suppress(OSError, http.client.HTTPException):
                while not self._end.is_set():
                    self._batch(connection)
            connection.close()
            self._end.wait(0.05)

    def _batch(self, connection: http.client.HTTPSConnection) -> None:
        again = self._random.random() < 0.1 and self.acknowledged >= ROWS
        first = self.acknowledged - ROWS if again else self.acknowledged
        body = encode(records_of(self.agent, first, ROWS, at_ns=self._at_ns), self.agent)
        answer = post(connection, body)
        if answer["status"] != 200:
            return
        assert answer["refused"] == [] and answer["accepted"] + answer["replayed"] == ROWS, answer
        self.replayed += answer["replayed"]
        self.acknowledged = max(self.acknowledged, first + ROWS)


def main(arguments: Sequence[str]) -> int:
    """The kills, and what is in the store after them; 0 when it is what was acknowledged, once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        collector = CollectorProcess(Path(name), AGENTS, tables=TABLES)
        senders = [Sender(collector, agent, asked.seed + number) for number, agent in enumerate(AGENTS)]
        began = time.perf_counter()
        for _ in range(asked.kills):
            collector.start()
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))
            collector.kill()
        seconds = time.perf_counter() - began
        collector.start()
        time.sleep(0.5)
        for sender in senders:
            sender.close()
        assert collector.stop() == 0
        table = read_folder(collector.store)
        files = sum(1 for _ in collector.store.glob("day=*/*.parquet"))
    acknowledged = {(sender.agent, seq) for sender in senders for seq in range(sender.acknowledged)}
    stored = list(zip(table["agent"].to_pylist(), table["seq"].to_pylist(), strict=True))
    missing, twice = len(acknowledged - set(stored)), len(stored) - len(set(stored))
    replayed = sum(sender.replayed for sender in senders)
    print(f"{asked.kills} kills in {seconds:.0f} s: {len(acknowledged):,} rows acknowledged, {replayed:,} replayed")
    print(f"in {files} files: {len(stored):,} rows, {missing} missing, {twice} twice")
    return 1 if missing or twice else 0


if __name__ == "__main__":
    print(machine())
    raise SystemExit(main(sys.argv[1:]))
