"""`python -m bench [NAME ...]`: run benchmarks by name, by default those that stand here; `--list` tells all.

Those of probing (`probing.capacity`) want a quiet machine and the lab, so that they run only when named.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.tools.machine import machine

FOLDER = Path(__file__).parent
PARTS = ("ours", "meddler")
"""Programs that a benchmark of probing starts, and that measure nothing alone."""


def main(arguments: list[str]) -> int:
    """Run the named benchmark modules; each has a `main(argv)` that prints its own table. The worst exit code."""
    files = dict(_benchmarks())
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
    for name in arguments or [name for name in files if "." not in name]:
        print(f"\n== {name}", flush=True)
        worst = max(worst, importlib.import_module(f"bench.{name}").main([]) or 0)
    return worst


def _benchmarks() -> Iterator[tuple[str, Path]]:
    """Every module with a `main` by its name after `bench.`, and where it stands."""
    parts = [(FOLDER, ""), *((FOLDER / name, f"{name}.") for name in ("inference", "probing", "topology"))]
    for folder, prefix in parts:
        for path in sorted(folder.glob("[!_]*.py")):
            if path.stem not in PARTS and "\ndef main(" in path.read_text(encoding="utf-8"):
                yield prefix + path.stem, path


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
