"""nearserve publish list: the generations that stand."""

from pathlib import Path
from typing import Any

import click

from placement.cli.common import emit_json, format_option, print_table
from placement.cli.publish_options import as_json, failures, opened, store_options


@click.command("list", epilog="Example: nearserve publish list --store /srv/nearserve")
@store_options
@format_option
def command(root: Path, output_format: str, **given: Any) -> None:
    """Show the generations of a store, oldest first, and which of them is current."""
    with failures():
        store = opened(root, **given)
        state, generations = store.state(), store.generations()
        current = store.current()
    number = None if current is None else current.number
    if output_format == "json":
        emit_json({"current": number, "generations": [as_json(each) for each in generations]})
        return
    rows = [
        (
            each.number,
            each.created_at.strftime("%Y-%m-%d %H:%M:%S"),
            str(each.facts.get("scenario", "")),
            each.name.partition("-")[2],
            "current" if each.number == number else "rolled back" if each.content_key in state.withdrawn else "",
        )
        for each in generations
    ]
    print_table(("generation", "made (UTC)", "scenario", "hash", ""), rows)
    if state.back is not None:
        click.echo(f"\n`nearserve publish rollback` leads back to generation {state.back.number}")
