"""nearserve publish log: what the ledger says."""

from pathlib import Path

import click

from placement.cli.common import emit_json, format_option, print_table
from placement.cli.publish_options import failures


@click.command("log", epilog="Example: nearserve publish log --store /srv/nearserve --last 5")
@click.option(
    "--store",
    "root",
    envvar="NEARSERVE_STORE",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the generations, by NEARSERVE_STORE too.",
)
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="Only so many switches.")
@format_option
def command(root: Path, last: int, output_format: str) -> None:
    """Show what was published, rolled back and taken away, newest last; the ledger's chain of hashes is checked."""
    from placement.publish.store import Store  # noqa: PLC0415

    with failures():
        entries = Store(root).entries()
    if output_format == "json":
        emit_json([entry.model_dump() for entry in entries])
        return
    rows = []
    intent = None
    for entry in entries:
        if entry.event == "intent":
            intent = entry.intent
            continue
        told = None if entry.event == "pruned" else intent
        does = entry.event if told is None else told.kind if entry.event == "committed" else f"{told.kind}, cut off"
        by, reason = (told.by, told.reason) if told else ("", "")
        rows.append((entry.at[:19].replace("T", " "), does, entry.number, by, reason))
    print_table(("at (UTC)", "what", "generation", "by", "reason"), rows[-last:])
