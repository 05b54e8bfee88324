"""The spool on a disk that takes no more, by a limit on the size of files; in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CODE = """
import json, resource, sys
from pathlib import Path
from probes.agent.spool import HELD_BYTES, Spool
from probes.record import Record

def limit(most):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

def records(first, count, padding=0):
    return [Record(observed_at=10**18 + n, source="s", target=f"t{n}", method="icmp", error="x" * padding or None)
            for n in range(first, first + count)]

told = []
spool = Spool(Path(sys.argv[1]) / "spool.sqlite", 1 << 26, "a", "b", lambda event, **_: told.append(event))
spool.append(records(0, 500))
limit(100_000)
spool.append(records(500, 1000))
full = spool.counts()
seen = [r.seq for r in spool.pending(5000)]
spool.acknowledge([r for r in spool.pending(5000) if r.seq % 2])
after = [r.seq for r in spool.pending(5000)]
total = 1500
while spool.counts().lost == 0:
    spool.append(records(total, 100, 1000))
    total += 100
overflow = spool.counts()
limit(resource.RLIM_INFINITY)
spool.append(records(total, 1))
end = spool.counts()
left = [r.seq for r in spool.pending(100_000)]
spool.close()
again = Spool(Path(sys.argv[1]) / "spool.sqlite", 1 << 26, "a", "c").counts()
print(json.dumps({
    "told": told, "full": [full.writing, full.held, full.lost], "seen": seen, "after": after, "total": total + 1,
    "overflow": [overflow.lost, overflow.held], "end": [end.writing, end.held, end.lost, end.depth], "left": left,
    "again": [again.lost, again.depth],
}))
"""


def test_a_full_disk_loses_nothing_while_memory_lasts_counts_what_it_loses_and_recovers(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    said: dict[str, Any] = json.loads(found.stdout)
    writing, held, lost = said["full"]
    assert not writing and held > 0 and lost == 0
    # What waits in memory is delivered from there, in order, and what is acknowledged does not come again.
    assert said["seen"] == list(range(1500))
    assert said["after"] == list(range(0, 1500, 2))
    # Memory is bounded: the oldest of it went, each of them counted, over the restart too.
    lost_at_last, _ = said["overflow"]
    writing, held, lost, depth = said["end"]
    assert writing and held == 0 and lost == lost_at_last > 0
    assert depth == len(said["left"]) == said["total"] - 750 - lost
    assert said["left"] == sorted(said["left"]) and said["left"][-1] == said["total"] - 1
    assert said["again"] == [lost, depth]
    assert said["told"][0] == "spool_cannot_write" and said["told"][-1] == "spool_writes_again"
    assert set(said["told"]) == {"spool_cannot_write", "records_lost", "spool_writes_again"}
