"""nearserve import: other tools' results into native records."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, print_table

if TYPE_CHECKING:
    from probes.reading import BadRecord

KINDS = (  # of probes.importers.FORMATS, which --help need not load
    "blackbox",
    "fping",
    "iperf3",
    "native",
    "ndt7",
    "perfsonar",
    "ping",
    "ripe-atlas",
    "scamper",
    "smokeping",
)


@click.command(
    "import", epilog="Example: nearserve import ping-*.txt --as ping --source fra1 -o my-scenario/measurements"
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "kind", required=True, type=click.Choice(KINDS), help="Format of the files.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder of native records.")
@click.option("--on-error", type=click.Choice(["fail", "warn", "skip"]), default="warn", show_default=True)
@click.option("--source", help="Who measured, where the file does not say.")
@click.option("--target", help="What was measured, where the file does not say.")
@click.option("--observed-at", type=click.DateTime(), help="When (UTC), where the file does not say.")
@format_option
def command(
    files: tuple[Path, ...],
    kind: str,
    output: Path | None,
    on_error: str,
    source: str | None,
    target: str | None,
    observed_at: datetime | None,
    output_format: str,
) -> None:
    """Read FILES and add their records to a measurements folder.

    A bad record is counted and shown, never a crash and never a zero. Reading the same file twice adds nothing.
    """
    from probes.importers import import_file  # noqa: PLC0415
    from probes.reading import BadRecordsError, OnError  # noqa: PLC0415
    from probes.store import write_records  # noqa: PLC0415

    if output is None:
        raise Failure(Exit.USAGE, "say where the records go: -o SCENARIO/measurements")
    when = observed_at.replace(tzinfo=UTC) if observed_at else None
    # what is bad is shown below, once, and not as a warning of the library too
    policy: OnError = "fail" if on_error == "fail" else "skip"
    results = []
    bad: list[BadRecord] = []
    for path in files:
        try:
            result = import_file(path, kind, on_error=policy, source=source, target=target, observed_at=when)
            results.append((path, result))
        except BadRecordsError as error:
            bad += error.bad
    if bad:
        _show_bad(bad)
        raise Failure(Exit.BAD_DATA, f"{len(bad)} bad records; nothing was written", {"bad": [asdict(b) for b in bad]})
    for _, result in results:
        write_records(output, result.table)
    rows = [(str(path), r.table.num_rows, r.lost, len(r.bad)) for path, r in results]
    if output_format == "json":
        names = ("file", "records", "lost", "bad")
        emit_json(
            {
                "files": [dict(zip(names, row, strict=True)) for row in rows],
                "bad": [asdict(b) for _, r in results for b in r.bad],
            }
        )
        return
    if on_error == "warn":
        _show_bad([b for _, r in results for b in r.bad])
    _show_notes([(path, note) for path, result in results for note in result.notes])
    print_table(("file", "records", "lost probes", "bad records"), rows)


def _show_notes(notes: Sequence[tuple[Path, str]]) -> None:
    """What was assumed, each once, with the files it was assumed in."""
    files: dict[str, list[str]] = {}
    for path, note in notes:
        files.setdefault(note, []).append(path.name)
    for note, names in files.items():
        more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        click.echo(f"note: {names[0]}{more}: {note}", err=True)


def _show_bad(bad: Sequence["BadRecord"], most: int = 20) -> None:
    """Bad records on stderr, the first of them."""
    for record in bad[:most]:
        click.echo(f"bad record: {record}", err=True)
    if len(bad) > most:
        click.echo(f"... and {len(bad) - most} more", err=True)
