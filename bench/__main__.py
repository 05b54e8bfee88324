"""`python -m bench [NAME ...]`: run benchmarks by module name, all of them by default; `--list` tells them."""

import importlib
import pkgutil
import sys
from pathlib import Path

from bench.tools.machine import machine


def main(arguments: list[str]) -> int:
    """Run the named benchmark modules; each has a `main(argv)` that prints its own table. The worst exit code."""
    folder = Path(__file__).parent
    names = sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.ispkg and not m.name.startswith("_"))
    if arguments == ["--list"]:
        for name in names:
            said = (folder / f"{name}.py").read_text(encoding="utf-8").partition("\n")[0]
            print(f"{name:16}{said.strip(chr(34))}")
        return 0
    unknown = sorted(set(arguments) - set(names))
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(names)}")
    print(machine())
    worst = 0
    for name in arguments or names:
        print(f"\n== {name}", flush=True)
        worst = max(worst, importlib.import_module(f"bench.{name}").main([]) or 0)
    return worst


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
