"""nearserve publish prune: old generations go."""

from pathlib import Path
from typing import Any

import click

from placement.cli.common import emit_json, format_option
from placement.cli.publish_options import failures, retention_options, settings_of, store_options


@click.command("prune", epilog="Example: nearserve publish prune --store /srv/nearserve --keep 7 --keep-days 30")
@store_options
@retention_options
@click.option("--dry-run", is_flag=True, help="Only say which.")
@format_option
def command(root: Path, dry_run: bool, output_format: str, **given: Any) -> None:
    """Take away generations that are neither among the newest nor recent, and that nobody reads.

    The current one stays, and the one that a rollback would take, and what was current within the last hour
    (`grace_minutes` of the settings).
    """
    from placement.publish.retention import expired  # noqa: PLC0415
    from placement.publish.writer import utc_now  # noqa: PLC0415

    settings = settings_of(**given)
    with failures():
        store = settings.store(root)
        if dry_run:
            gone = expired(store.state(), settings.retention, utc_now())
        else:
            store.state()
            with store.writing() as writer:
                gone = writer.prune(settings.retention)
    numbers = [each.number for each in gone]
    if output_format == "json":
        emit_json({"pruned": numbers, "dry_run": dry_run})
    else:
        told = ", ".join(map(str, numbers)) or "none"
        click.echo(f"{'would be taken away' if dry_run else 'taken away'}: {told}")
