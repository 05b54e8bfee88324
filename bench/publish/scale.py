"""What a generation of many small files costs: python -m bench.publish.scale [--files 40000] [--bytes N] [--sign KEY]

Seconds of each part, of the wall and of this process: writing the files, everything else that publishing does, and
verifying all of it again. Then the same content once more, which publishes nothing.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from placement.publish.durable import remove
from placement.publish.signature import Signer
from placement.publish.store import Store

FOLDERS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=40_000)
    parser.add_argument("--bytes", type=int, default=2_000)
    parser.add_argument("--sign", type=Path)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nearserve-scale-"))
    spent: dict[str, dict[str, float]] = {}

    def fill(stage: Path) -> None:
        with _timed(spent, "files written"):
            for number in range(asked.files):
                path = stage / "feeds" / f"{number % FOLDERS:03d}" / f"{number}.json"
                if number < FOLDERS:
                    path.parent.mkdir(parents=True)
                path.write_bytes(f"{number:08d}".encode() * (asked.bytes // 8))

    try:
        store = Store(folder / "store", signer=Signer(asked.sign) if asked.sign else None)
        with store.writing() as writer:
            with _timed(spent, "published, writing included"):
                writer.publish(fill, {}, "a")
            with _timed(spent, "the same again"):
                writer.publish(fill, {}, "a")
        with _timed(spent, "verified"):
            wrong = store.verify()
    finally:
        remove(folder)
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"files": asked.files, "bytes each": asked.bytes, **spent, "load": os.getloadavg()[0]}, indent=2))
    if wrong:
        sys.exit("\n".join(wrong))


@contextmanager
def _timed(spent: dict[str, dict[str, float]], what: str) -> Iterator[None]:
    wall, own = time.monotonic(), time.process_time()
    yield
    spent[what] = {"s": round(time.monotonic() - wall, 2), "CPU s": round(time.process_time() - own, 2)}


if __name__ == "__main__":
    main()
