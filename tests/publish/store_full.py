"""As a script in a mount namespace of its own, `store_full.py FOLDER`: a disk that is full, sooner or later.

A small file system holds a store; what is left of it is so many pages, or so many inodes, and then nothing can be
written at all. For each amount one JSON line: how a publish ended, what readers found, and what they found after there
was room again and the next writer came.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from placement.publish.errors import CannotWriteError
from placement.publish.store import Store
from tests.publish.store_world import Clock, at_rest, current_label, filling

ROOM = ("size=16m", "nr_inodes=4000")


def mounted(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)], check=True)


def trial(folder: Path, what: str, left: int) -> dict[str, Any]:
    mounted(folder, *ROOM)
    clock, root = Clock(), folder / "store"
    with Store(root).writing(clock) as writer:
        writer.publish(filling("a"), {}, "a")
    stat = os.statvfs(folder)
    if what == "pages":
        used = stat.f_blocks - stat.f_bfree + left
        mounted(folder, "remount", f"size={used * stat.f_frsize}")
    elif what == "inodes":
        mounted(folder, "remount", f"nr_inodes={stat.f_files - stat.f_ffree + left}")
    else:
        mounted(folder, "remount", "ro")
    try:
        with Store(root).writing(clock) as writer:
            writer.publish(filling("b"), {}, "b")
        end = "published"
    except CannotWriteError as error:
        end = str(error)
    found = current_label(root)
    mounted(folder, "remount", "rw", *ROOM)
    with Store(root).writing(clock) as writer:
        mended = writer.mended
    after = at_rest(root)
    with Store(root).writing(clock) as writer:
        writer.publish(filling("c"), {}, "c")
    last = at_rest(root)
    subprocess.run(["umount", str(folder)], check=True)
    return {"what": what, "left": left, "end": end, "found": found, "mended": mended, "after": after, "last": last}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    amounts = [("pages", left) for left in range(14)] + [("inodes", left) for left in range(0, 22)]
    for what, left in [*amounts, ("nothing", 0)]:
        print(json.dumps(trial(place, what, left)), flush=True)
