"""Every threat to agent, collector and reflector, played against real processes on loopback and in the lab.

    python -m bench.probing.security [targets] [uplink] [collector] [reflector]

A row for each: what the attacker got and what reached a victim, the process's own counter before and after, what its
log says, and whether it still does its work. Exit code 1 unless all of it is as it must be. What a million malformed
inputs do, `fuzz_reflector`, `fuzz_collector` and `fuzz_ndt7` show.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.probing import security_collector, security_reflector, security_targets, security_uplink
from bench.probing.security_row import Row, table
from bench.tools.machine import machine

PARTS: Final[dict[str, Callable[[Path], Iterator[Row]]]] = {
    "targets": security_targets.rows,
    "uplink": security_uplink.rows,
    "collector": security_collector.rows,
    "reflector": security_reflector.rows,
}


def main(arguments: Sequence[str]) -> int:
    """Run the parts, print the rows, 0 where everything held."""
    parser = argparse.ArgumentParser(prog="bench.probing.security", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them where none is named")
    asked = parser.parse_args(arguments)
    print(machine())
    began = time.monotonic()
    rows = [row for name in asked.parts or PARTS for row in played(name)]
    print(table(rows))
    wrong = sum(not row.right for row in rows)
    print(f"\n{len(rows)} threats, {wrong} of them not met as they must be, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def played(part: str) -> list[Row]:
    """The rows of one part, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="nearserve-security-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # agents and reflectors become another user
        return list(PARTS[part](folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
