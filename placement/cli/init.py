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
@click.option(
    "--graph",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A network of the Topology Zoo (GraphML, GML), SNDlib (XML, native) or topohub (JSON): a site at every node.",
)
@click.option(
    "--mbps-per-unit",
    type=click.FloatRange(0, min_open=True),
    help="graph: Mbit/s of one unit of capacity, where the file names no unit (SNDlib never does).",
)
@click.option("--sites", type=click.IntRange(1), default=300, show_default=True, help="edge: candidate sites.")
@click.option("--regions", type=click.IntRange(1), default=250, show_default=True, help="edge: user regions.")
@click.option("--models", type=click.IntRange(1, 20), default=8, show_default=True, help="edge: models served.")
@click.option("--seed", type=int, default=0, show_default=True, help="edge: the same seed gives the same bytes.")
@format_option
def command(
    folder: Path,
    name: str | None,
    graph: Path | None,
    mbps_per_unit: float | None,
    sites: int,
    regions: int,
    models: int,
    seed: int,
    output_format: str,
) -> None:
    """Make FOLDER a scenario that is ready to plan and to edit: small and commented, from a dataset, or on a graph."""
    if graph is not None and name is not None:
        raise Failure(Exit.USAGE, "--from and --graph are two ways to begin: give one")
    if mbps_per_unit is not None and graph is None:
        raise Failure(Exit.USAGE, "--mbps-per-unit says what a unit of a --graph file is: give both")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(Exit.USAGE, f"{folder} exists and is not empty; give a new folder")
    notes: tuple[str, ...] = ()
    if graph is not None:
        notes = _from_graph(folder, graph, mbps_per_unit)
    elif name in ("edge", "edge-full"):
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
        files = sorted(path.name for path in folder.iterdir())
        emit_json({"folder": str(folder), "files": files, "notes": list(notes)})
        return
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if graph is not None:
        click.echo("most figures are assumed, as the graph does not have them: see SOURCE.md and the notes of the rows")
    click.echo(f"{folder} is ready: edit its tables, then `nearserve check {folder}`")


def _from_graph(folder: Path, graph: Path, mbps_per_unit: float | None) -> tuple[str, ...]:
    """Write the scenario of a graph file; notes of what was left out of it."""
    from placement.topology.foreign import UnreadableGraphError, read_network  # noqa: PLC0415
    from placement.worlds.backbone import generate  # noqa: PLC0415

    try:
        network = read_network(graph)
    except UnreadableGraphError as error:
        details = {"file": error.file, "problems": list(error.problems)}
        raise Failure(Exit.BAD_DATA, f"{error}\nnothing was written", details) from error
    return generate(graph, network, folder, mbps_per_unit)
