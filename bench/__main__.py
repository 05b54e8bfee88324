"""`python -m bench [NAME ...]`: run benchmarks by name, by default those that stand here; `--list` tells all.

Those in folders want a quiet machine, the lab or files that are not ours, so that they run only when named. Each runs
as `python -m bench.NAME` does, in a process of its own: with its own memory, and whatever arguments it takes.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.tools.machine import machine

FOLDER = Path(__file__).parent
PARTS = ("arrays.", "peers.", "tools.", "probing.ours", "probing.meddler")
"""Programs that a benchmark starts, and that measure nothing alone."""


def main(arguments: list[str]) -> int:
    """Run the named benchmarks; each prints its own table. The worst exit code."""
    files = dict(benchmarks())
    if arguments == ["--list"]:
        width = max(map(len, files)) + 2
        for name, path in files.items():
            said = path.read_text(encoding="utf-8").partition("\n")[0]
            print(f"{name:{width}}{said.strip(chr(34))}")
        return 0
    unknown = sorted(set(arguments) - set(files))
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(files)}")
    print(machine())
    worst = 0
    for name in arguments or [name for name, path in files.items() if path.parent == FOLDER]:
        print(f"\n== {name}", flush=True)
        ended = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
        worst = max(worst, abs(ended.returncode))
    return worst


def benchmarks() -> Iterator[tuple[str, Path]]:
    """Every program by its name after `bench.`, and where it stands: those that stand here first."""
    found = (path for path in FOLDER.rglob("*.py") if '\nif __name__ == "__main__":' in path.read_text("utf-8"))
    for path in sorted(found, key=lambda path: (path.parent, path.stem)):
        name = ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix(".__main__")
        if name != "__main__" and not name.startswith(PARTS):
            yield name, path


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
