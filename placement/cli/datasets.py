"""nearserve datasets: what is bundled, and how it is derived again."""

from pathlib import Path

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, print_table
from placement.datasets import dataset, datasets_folder, scenario_names

BUILDERS = ("catalog", "world", "atlas-2025", "intercloud-2022")


@click.group(
    "datasets", invoke_without_command=True, epilog="Example: nearserve datasets build catalog --source ../shared/data"
)
@format_option
@click.pass_context
def command(context: click.Context, output_format: str) -> None:
    """List the bundled scenarios; `build` derives a dataset again from its sources."""
    if context.invoked_subcommand is not None:
        return
    rows = [_entry(dataset(name)) for name in scenario_names()]
    if output_format == "json":
        emit_json(rows)
    else:
        heads = ("name", "sites", "regions", "description")
        print_table(heads, [[row[head] for head in heads] for row in rows])
        click.echo("\n`nearserve init DIR --from NAME` copies one; --from edge or edge-full generates one of any size,")
        click.echo("--from atlas-rollout the atlas with slices, periods, metros that fail, and jobs.")


def _entry(folder: Path) -> dict[str, object]:
    """What the list says of a dataset; the description is the first sentence of its SOURCE.md."""
    paragraphs = (folder / "SOURCE.md").read_text("utf-8").split("\n\n")
    return {
        "name": folder.name,
        "sites": _rows(folder / "sites.csv"),
        "regions": _rows(folder / "regions.csv"),
        "description": " ".join(paragraphs[1].replace("**", "").split()).split(". ")[0].rstrip("."),
    }


def _rows(path: Path) -> int:
    """Rows of a table without its header."""
    with path.open("rb") as file:
        return sum(1 for _ in file) - 1


@command.command("build", epilog="Example: nearserve datasets build atlas-2025 --source ../shared/data")
@click.argument("name", type=click.Choice(BUILDERS))
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the reference data that the dataset is derived from.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write; the bundled folder by default.")
@format_option
def build(name: str, source: Path, output: Path | None, output_format: str) -> None:
    """Derive dataset NAME again from its sources; the same sources give the same bytes."""
    out = output or datasets_folder() / name
    try:
        lines = _build(name, source, out)
    except FileNotFoundError as error:
        raise Failure(Exit.BAD_DATA, f"{source} lacks {error.filename}") from error
    if output_format == "json":
        emit_json({"dataset": name, "folder": str(out), "notes": lines})
    else:
        for line in lines:
            click.echo(line)
        click.echo(f"written to {out}")


def _build(name: str, source: Path, out: Path) -> list[str]:
    """Run the builder; the lines that it has to say."""
    if name == "catalog":
        from placement.catalog import derive  # noqa: PLC0415

        return str(derive(source, out)).splitlines()
    from placement.worlds import atlas, intercloud, world  # noqa: PLC0415

    {"world": world.build, "atlas-2025": atlas.build, "intercloud-2022": intercloud.build}[name](source, out)
    return []
