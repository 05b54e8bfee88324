"""nearserve init: a scenario folder to edit."""

from pathlib import Path

import click

from placement.cli.common import Exit, Failure, emit_json, format_option
from placement.datasets import UnknownDatasetError


@click.command(
    "init", epilog="Example: nearserve init my-edge --from edge --sites 4400 --regions 1000 --models 20 --seed 7"
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "name",
    help="A bundled dataset (see `nearserve datasets`), or edge / edge-full / atlas-rollout to generate one.",
)
@click.option("--sites", type=click.IntRange(1), default=300, show_default=True, help="edge: candidate sites.")
@click.option("--regions", type=click.IntRange(1), default=250, show_default=True, help="edge: user regions.")
@click.option("--models", type=click.IntRange(1, 20), default=8, show_default=True, help="edge: models served.")
@click.option("--seed", type=int, default=0, show_default=True, help="edge: the same seed gives the same bytes.")
@format_option
def command(
    folder: Path, name: str | None, sites: int, regions: int, models: int, seed: int, output_format: str
) -> None:
    """Make FOLDER a scenario that is ready to plan and to edit: small and commented, or from a dataset."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(Exit.USAGE, f"{folder} exists and is not empty; give a new folder")
    if name in ("edge", "edge-full"):
        from placement.worlds.edge import generate  # noqa: PLC0415

        generate(folder, sites=sites, regions=regions, models=models, seed=seed, full=name == "edge-full")
    elif name == "atlas-rollout":
        from placement.worlds import atlas_rollout  # noqa: PLC0415

        atlas_rollout.generate(folder)
    elif name is None:
        from placement.scenario import write_template  # noqa: PLC0415

        write_template(folder)
    else:
        from placement.scenario import copy_dataset  # noqa: PLC0415

        try:
            copy_dataset(name, folder)
        except UnknownDatasetError as error:
            raise Failure(Exit.USAGE, f"{error}, edge, edge-full, atlas-rollout") from error
    if output_format == "json":
        emit_json({"folder": str(folder), "files": sorted(path.name for path in folder.iterdir())})
        return
    click.echo(f"{folder} is ready: edit its tables, then `nearserve check {folder}`")
