"""nearserve doctor: is this installation whole?"""

import importlib
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import click

from placement.cli.common import Exit, emit_json, format_option, print_table
from placement.datasets import dataset, scenario_names

LIBRARIES = (
    "numpy", "scipy", "pandas", "pyarrow", "duckdb", "networkx", "pydantic", "numba", "ortools", "rich",
    "aiohttp", "cryptography", "prometheus_client", "scapy", "structlog",
)  # fmt: skip
WORDS = {"ok": "ok", "absent": "-", "broken": "BROKEN"}


@click.command("doctor", epilog="Example: nearserve doctor --compile")
@click.option("--compile", "compiling", is_flag=True, help="First compile the solvers; once, two minutes.")
@format_option
@click.pass_context
def command(context: click.Context, compiling: bool, output_format: str) -> None:
    """Check Python, the libraries, the bundled data and the solvers, each by using it; and what of probing works here.

    What probing lacks on this machine is marked "-" and told with its mend; it does not make the installation broken.
    """
    from placement.cli import doctor_probing  # noqa: PLC0415

    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        **{name: lambda name=name: _library(name) for name in LIBRARIES},  # type: ignore[misc]
        "datasets": _datasets,
        "solver": _solver,
        "kernels": lambda: _kernels(compiling),
    }
    rows = [(name, *_outcome(check)) for name, check in (checks | doctor_probing.checks()).items()]
    if output_format == "json":
        emit_json([{"check": name, "ok": state == "ok", "state": state, "detail": said} for name, state, said in rows])
    else:
        print_table(("check", "", "detail"), [(name, WORDS[state], detail) for name, state, detail in rows])
    if any(state == "broken" for _, state, _ in rows):
        context.exit(Exit.CRASH)


def _outcome(check: Callable[[], str]) -> tuple[str, str]:
    """ok, absent or broken, and with what: a check that raises is broken."""
    from placement.cli.doctor_probing import AbsentError  # noqa: PLC0415

    try:
        return "ok", check()
    except AbsentError as error:
        return "absent", str(error)
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}"


def _python() -> str:
    return sys.version.split()[0]


def _library(name: str) -> str:
    importlib.import_module(name)
    try:
        return version(name)
    except PackageNotFoundError:
        return "imported, without metadata"


def _datasets() -> str:
    from placement.scenario import load  # noqa: PLC0415

    names = scenario_names()
    if not names:
        raise RuntimeError("no bundled scenario was found")
    for name in names:
        load(dataset(name))
    return ", ".join(names)


def _solver() -> str:
    """One GPU for one class: the optimum is known by hand."""
    from solvers.exact import solve_exact  # noqa: PLC0415
    from solvers.instances.tiny import random_tiny  # noqa: PLC0415

    solution = solve_exact(random_tiny(0))
    if solution.placement is None:
        raise RuntimeError(f"the solver ended with {solution.status}")
    return f"{solution.status}, {solution.objective_usd:.2f} on a tiny problem"


def _kernels(compiling: bool) -> str:
    """Whether the first plan has to wait for the compiler."""
    from placement.cli.doctor_probing import AbsentError  # noqa: PLC0415
    from placement.compiling import are_compiled, compile_kernels  # noqa: PLC0415

    if compiling:
        try:
            compile_kernels()
        except subprocess.CalledProcessError as error:
            raise RuntimeError(error.stderr.strip().splitlines()[-1]) from error
    if not are_compiled():
        raise AbsentError("not compiled: the first plan takes two minutes more; once: nearserve doctor --compile")
    return "compiled"
