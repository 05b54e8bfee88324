"""What the commands share: exit codes, the output format, scenarios by folder or name, and tables."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from placement.datasets import UnknownDatasetError, dataset

if TYPE_CHECKING:
    from placement.scenario import Finding, Scenario

Command = TypeVar("Command", bound=Callable[..., Any])


class Exit(IntEnum):
    """The contract's exit codes."""

    OK = 0
    CRASH = 1
    USAGE = 2
    INFEASIBLE = 3
    BAD_DATA = 4
    AUDIT_FAILED = 5
    STALE = 6
    NO_PLAN = 7
    NO_ANSWER = 8


class Failure(click.ClickException):
    """An end that the user can act on: a message on stderr and the contract's exit code."""

    def __init__(self, code: Exit, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads it from the instance
        self.details = details or {}
        self._json = wants_json()  # now: click has no command at hand any more when it shows the error

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it on stderr; scripts that asked for JSON find it on stdout too."""
        if self._json:
            emit_json({"error": self.message, "exit_code": int(self.exit_code), **self.details})
        click.echo(f"nearserve: {self.message}", err=True)


def format_option(command: Command) -> Command:
    """`--format table|json` for a command."""
    option = click.option(
        "--format",
        "output_format",
        envvar="NEARSERVE_FORMAT",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="A table for people or JSON for scripts, on stdout.",
    )
    return option(command)


@contextmanager
def writing_to(place: Path) -> Iterator[None]:
    """A place of the person's choice that cannot be written is theirs to mend."""
    try:
        yield
    except OSError as error:
        told = f"{place}: cannot be written ({error.strerror or error}); name another place with -o"
        raise Failure(Exit.USAGE, told) from error


def wants_json() -> bool:
    """Whether the running command was asked for JSON."""
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get("output_format") == "json"


def emit_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False))


def scenario_folder(text: str) -> Path:
    """The folder of a scenario given as a path or as a bundled name; a folder of that name comes first."""
    if Path(text).is_dir():
        return Path(text)
    try:
        return dataset(text)
    except UnknownDatasetError as error:
        raise Failure(Exit.BAD_DATA, f"{text} is no folder, and {error}") from error


def load_scenario(text: str) -> "Scenario":
    """The scenario at a path or of a bundled name; all findings at once when it is bad."""
    from placement.scenario import ScenarioError, load  # noqa: PLC0415

    folder = scenario_folder(text)
    try:
        return load(folder)
    except ScenarioError as error:
        raise bad_data(folder, error.findings) from error


def bad_data(folder: Path, findings: Sequence["Finding"]) -> Failure:
    """The failure that lists every finding."""
    errors = [f for f in findings if f.severity == "error"]
    print_findings(findings)
    return Failure(
        Exit.BAD_DATA,
        f"{folder}: {len(errors)} error{'s' * (len(errors) != 1)}; nothing was written",
        {"findings": [finding_json(f) for f in findings]},
    )


def finding_json(finding: "Finding") -> dict[str, Any]:
    """A finding as a JSON object."""
    names = ("rule", "severity", "file", "row", "column", "value", "message", "mend")
    return {name: getattr(finding, name) for name in names}


def print_findings(findings: Sequence["Finding"], most: int = 200) -> None:
    """Findings on stderr, one a line."""
    for finding in findings[:most]:
        click.echo(f"{finding.severity}: {finding}", err=True)
    if len(findings) > most:
        click.echo(f"... and {len(findings) - most} more; --format json lists them all", err=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """A table that fits the terminal, on stdout; figures stand to the right."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    if title:
        click.secho(title, bold=True)  # above, and not within the width of the columns
    table = Table(header_style="bold", box=None, pad_edge=False, show_header=any(columns))
    numeric = [all(isinstance(row[j], int | float) or row[j] == "" for row in rows) for j in range(len(columns))]
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    # a pipe has no width: nothing is folded that a script would have to put together again
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 240)
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """A line on stderr that changes as the work goes on; silent unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status("") as status:
        yield status.update
