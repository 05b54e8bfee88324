"""Rows a second that a collector acknowledges, each on the disk first, while it writes Parquet beside it.

    python -m bench.probing.collector_rate [--rows 400000] [--agents 4] [--batch 1000]

Senders and collector share this machine; bodies are made beforehand. Beside it what the disk allows: commits a second
of one SQLite connection that writes a batch's worth of bytes.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.probing.collector_process import CollectorProcess, post, records_of
from bench.tools.machine import machine
from probes.store import read_folder
from probes.transport import encode


def main(arguments: Sequence[str]) -> int:
    """The rate, and what it cost; 1 when a row is missing afterwards."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1000)
    asked = parser.parse_args(arguments)
    names = [f"agent{number}" for number in range(asked.agents)]
    batches = asked.rows // asked.agents // asked.batch
    bodies = {
        name: [encode(records_of(name, place * asked.batch, asked.batch), name) for place in range(batches)]
        for name in names
    }
    rows = batches * asked.batch * asked.agents
    with tempfile.TemporaryDirectory() as folder:
        commits = _commits_per_s(Path(folder), len(bodies[names[0]][0]))
        with CollectorProcess(Path(folder), names, tables={"store": "write_rows = 50000"}) as collector:
            began, began_cpu_s = time.perf_counter(), _cpu_s(collector.pid)
            with ThreadPoolExecutor(asked.agents) as pool:
                list(pool.map(lambda name: _send(collector, name, bodies[name]), names))
            seconds = time.perf_counter() - began
            cpu_s, resident = _cpu_s(collector.pid) - began_cpu_s, collector.resident_bytes()
            assert collector.stop() == 0
            drained_s = time.perf_counter() - began - seconds
            stored = read_folder(collector.store).num_rows
    print(f"{rows:,} rows of {asked.agents} agents in batches of {asked.batch:,}: {rows / seconds:,.0f} rows/s")
    print(f"collector: {1e6 * cpu_s / rows:.1f} µs CPU a row, {resident >> 20} MiB; {drained_s:.1f} s to drain")
    print(f"one commit after the other on this disk: {commits:,.0f}/s")
    return 0 if stored == rows else 1


def _send(collector: CollectorProcess, name: str, bodies: Sequence[bytes]) -> None:
    connection = collector.connect(name)
    for body in bodies:
        while (answer := post(connection, body))["status"] != 200:
            time.sleep(float(answer["retry_after"] or 1))
    connection.close()


def _commits_per_s(folder: Path, size: int) -> float:
    database = sqlite3.connect(folder / "commits.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE t (content BLOB)")
    began = time.perf_counter()
    count = 0
    while time.perf_counter() - began < 1:
        database.execute("INSERT INTO t VALUES (?)", (os.urandom(size),))
        count += 1
    database.close()
    return count / (time.perf_counter() - began)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, all threads."""
    values = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(machine())
    raise SystemExit(main(sys.argv[1:]))
