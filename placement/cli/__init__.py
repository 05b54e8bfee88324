"""The command line. Commands are loaded when they are called, so that `--help` answers at once."""

from typing import Any

import click

from placement.cli.lazy import LazyGroup

COMMANDS = {
    "init": ("placement.cli.init", "Make a scenario folder that is ready to edit."),
    "datasets": ("placement.cli.datasets", "List the bundled datasets, or derive one again."),
    "check": ("placement.cli.check", "Validate a scenario and say what is missing or assumed."),
    "import": ("placement.cli.imports", "Read other tools' measurement files into native records."),
    "probe": ("placement.cli.probe", "Measure the network: once, or with agents for months."),
    "topology": ("placement.cli.topology", "Show what is known of every region-site pair."),
    "plan": ("placement.cli.plan", "Decide which models and GPUs go where, with a proof."),
    "diff": ("placement.cli.diff", "Say what changes between two plans, what it costs, and in which safe steps."),
    "audit": ("placement.cli.audit", "Re-check a plan without the solver, and verify its bound."),
    "explain": ("placement.cli.explain", "Say what blocks, what would help, and why things stand where they stand."),
    "demand": ("placement.cli.demand", "Demand from request rates of the past: forecast, back-tested."),
    "nightly": ("placement.cli.nightly", "From measurements to what is published, every night, unattended."),
    "feed": ("placement.cli.feed", "Render a plan for orchestrators, read back and compared to it."),
    "publish": ("placement.cli.publish", "Publish plans and feeds: whole or not at all, signed, with a way back."),
    "doctor": ("placement.cli.doctor", "Check this installation."),
}


PARAMETER = {"format": "output_format", "from": "name", "as": "kind"}  # options whose parameter has another name


def _config(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    """Defaults of options from a TOML file: one table per command; environment and flags come before it."""
    if value is None:
        return
    import tomllib  # noqa: PLC0415

    try:
        with open(value, "rb") as file:  # noqa: PTH123
            ctx.default_map = _underscored(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{value}: {error}") from error


def _underscored(table: dict[str, Any]) -> dict[str, Any]:
    """Options as people write them (time-limit) under the names that click knows (time_limit)."""
    return {
        PARAMETER.get(key, key.replace("-", "_")): _underscored(value) if isinstance(value, dict) else value
        for key, value in table.items()
    }


@click.group(
    cls=LazyGroup,
    modules=COMMANDS,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "NEARSERVE",
        "max_content_width": 100,
    },
    epilog="Exit codes: 0 ok, 1 crash, 2 usage, 3 infeasible, 4 bad data, 5 audit failed, 6 stale or locked, "
    "7 limit hit, no plan, 8 nobody answered. Example: nearserve plan atlas-2025 -o my-plan",
)
@click.version_option(package_name="nearserve")
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_config,
    help="TOML with defaults, a table per command; NEARSERVE_<COMMAND>_<OPTION> and flags override it.",
)
def main() -> None:
    """Measure the network between user regions and PoPs, and decide what goes where, with a proof."""
