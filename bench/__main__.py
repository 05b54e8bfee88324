"""`python -m bench [NAME ...]`: run benchmarks by module name, all of them by default."""

import importlib
import pkgutil
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Run the named benchmark modules; each has a `main(argv)` that prints its own table."""
    names = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_"))
    wanted = arguments or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(names)}")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("nearserve", "numpy", "ortools", "numba"))
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, {libraries}")
    for name in wanted:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main([])


if __name__ == "__main__":
    main(sys.argv[1:])
