"""nearserve demand: request rates of the past, and the demand that they let expect."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import (
    Exit,
    Failure,
    emit_json,
    format_option,
    print_table,
    scenario_folder,
    status_line,
    writing_to,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from placement.telemetry.config import TelemetryConfig

TOP = 10
CONFIG = click.argument("config", type=click.Path(dir_okay=False, exists=True, path_type=Path))
SCENARIO = click.option("--scenario", required=True, metavar="SCENARIO", help="Folder whose classes and slices count.")
AS_OF = click.option(
    "--as-of",
    metavar="TIME",
    help="Plan as if it were then: ISO 8601 with a zone, as 2026-11-20T02:00Z.  [default: now]",
)


@click.group(
    "demand",
    epilog="Example: nearserve demand forecast telemetry.toml --scenario my-scenario",
)
def command() -> None:
    """Demand from telemetry: rates from Prometheus or files, a forecast with its back-test, the table demand.

    CONFIG is a TOML file with a table [demand]; docs/telemetry.md shows one.
    """


@command.command(
    "import",
    short_help="Bring the history up to date, and show what was seen.",
    epilog="Example: nearserve demand import telemetry.toml",
)
@CONFIG
@AS_OF
@format_option
def import_(config: Path, as_of: str | None, output_format: str) -> None:
    """Bring the history of CONFIG up to date, and show what was seen of which class."""
    with _failures(), status_line() as say:
        from placement.telemetry.demanding import fresh  # noqa: PLC0415
        from placement.telemetry.source import bring_up_to_date  # noqa: PLC0415

        settings, now = _config(config), _time(as_of)
        say("asking for rates")
        imported = bring_up_to_date(settings, now)
        fresh(settings, imported.history, now)
    history = imported.history
    facts = _history_facts(history) | {"history": str(settings.history), "seen_hours": imported.seen_hours}
    classes = _by_class(history)
    if output_format == "json":
        emit_json(facts | {"classes": classes.to_dict("records")})
        return
    print_table(
        ("region", "model", "service", "hours", "requests/s", "busiest 5 min"),
        list(classes.head(TOP).itertuples(index=False, name=None)),
        f"{facts['classes']:,} classes, {facts['first_hour']} to {facts['last_hour']}",
    )
    click.echo(
        f"\n{len(history):,} hours of classes in {settings.history}; {imported.seen_hours:,} hours were read now"
    )
    if lacking := [name for name in ("region", "model", "service") if (classes[name] == "").any()]:
        click.echo(f"nearserve: series have no label that names their {', '.join(lacking)}: see classes", err=True)


@command.command(
    "forecast",
    short_help="Replace a scenario's demand by a quantile of what to expect.",
    epilog="Example: nearserve demand forecast telemetry.toml --scenario my-scenario",
)
@CONFIG
@SCENARIO
@AS_OF
@click.option("--dry-run", is_flag=True, help="Show it; the scenario's table stays as it is.")
@click.option("--keep-old", is_flag=True, help="Keep the table that stands there as demand.csv.old.")
@format_option
def forecast(config: Path, scenario: str, as_of: str | None, dry_run: bool, keep_old: bool, output_format: str) -> None:
    """Replace the table demand of SCENARIO by the quantile that CONFIG chooses of what telemetry lets expect.

    What it is made of is written beside it, as demand.provenance.json.
    """
    folder = scenario_folder(scenario)
    with _failures(), status_line() as say:
        from placement.telemetry.demanding import demand_from_telemetry  # noqa: PLC0415
        from placement.telemetry.table import write_demand  # noqa: PLC0415

        settings, now = _config(config), _time(as_of)
        say("asking for rates, forecasting")
        expected = demand_from_telemetry(settings, folder, now)
    place = None
    if not dry_run:
        with writing_to(folder):
            place = write_demand(expected, folder, keep_old=keep_old)
    if output_format == "json":
        written = {"rows": len(expected.frame), "written": None if place is None else str(place)}
        emit_json({**expected.provenance, **written, "told": list(expected.told)})
        return
    columns = ["region", "model", "service", "slice", "requests_per_s", "mean_requests_per_s"]
    largest = expected.frame.sort_values("requests_per_s", ascending=False, kind="stable")[columns].head(TOP)
    print_table(columns, list(largest.itertuples(index=False, name=None)), f"largest of {len(expected.frame):,} rows")
    click.echo()
    _show_provenance(expected.provenance)
    for line in expected.told:
        click.echo(f"nearserve: {line}", err=True)
    click.echo(f"\nwritten to {place}" if place else "\nnothing was written (--dry-run)")


@command.command(
    "backtest",
    short_help="Show how the forecast would have done in the past.",
    epilog="Example: nearserve demand backtest telemetry.toml --scenario my-scenario",
)
@CONFIG
@SCENARIO
@AS_OF
@click.option(
    "--quantile", "quantiles", type=click.FloatRange(0.5, 1, min_open=True, max_open=True), multiple=True,
    help="Quantiles to try; can be given again.  [default: the configuration's]",
)  # fmt: skip
@format_option
def backtest(config: Path, scenario: str, as_of: str | None, quantiles: tuple[float, ...], output_format: str) -> None:
    """Show how the forecast would have done on days of the past, by the history that is there; nothing is asked for."""
    folder = scenario_folder(scenario)
    with _failures(), status_line() as say:
        from placement.telemetry.backtest import back_test  # noqa: PLC0415
        from placement.telemetry.demanding import known  # noqa: PLC0415
        from placement.telemetry.forecasting import Past  # noqa: PLC0415
        from placement.telemetry.history import read_history  # noqa: PLC0415

        settings, now = _config(config), _time(as_of)
        days = known(settings, folder, read_history(settings.history), now).days
        say("forecasting days of the past")
        wanted = quantiles or (settings.quantile,)
        tried = [back_test(Past(days.peak, days.mean, quantile, settings.horizon_days)) for quantile in wanted]
    found = [one.document() for one in tried if one is not None]
    if len(found) < len(tried):
        raise Failure(Exit.BAD_DATA, f"{days.days} days are too few to try a forecast on even once")
    if output_format == "json":
        emit_json({"days": days.days, "backtests": found})
        return
    for one in found:
        _show_backtest(one)


@command.command(
    "show",
    short_help="Say of which history a demand is which quantile.",
    epilog="Example: nearserve demand show my-scenario --plan my-plan",
)
@click.argument("scenario")
@click.option("--plan", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A plan made of it.")
@format_option
def show(scenario: str, plan: Path | None, output_format: str) -> None:
    """Say of which history the demand of SCENARIO, or of a plan of it, is which quantile."""
    folder = scenario_folder(scenario)
    with _failures():
        from placement.telemetry.table import demand_sha256, plan_demand_sha256, provenance_of  # noqa: PLC0415

        wanted = plan_demand_sha256(plan) if plan else demand_sha256(folder)
        found = provenance_of(folder, wanted)
    what = f"the demand of {plan}" if plan else f"the table demand of {folder}"
    if found is None:
        raise Failure(Exit.BAD_DATA, f"{what} is not the one that demand.provenance.json in {folder} tells of, if any")
    if output_format == "json":
        emit_json(found)
        return
    _show_provenance(found)


def _show_provenance(facts: "Mapping[str, Any]") -> None:
    history, settings, classes, ahead = (facts[name] for name in ("history", "settings", "classes", "forecast"))
    rows = [
        ("design rate", f"the {settings['quantile']:g} quantile of the {settings['design']} rate of a slice"),
        ("over", f"{settings['horizon_days']} day(s) from {facts['as_of']}"),
        ("by", f"{ahead['way']}, widened by {ahead['widened']:.1%} of each class' level"),
        ("history", f"{history['days']} days, {history['first_hour']} to {history['last_hour']}"),
        ("absent hours", f"{history['absent_share']:.2%}"),
        ("history sha256", history["sha256"][:16]),
        ("demand sha256", facts["demand_sha256"][:16]),
        ("classes", f"{classes['forecast']:,} forecast, {classes['kept']:,} kept, {classes['dropped']:,} dropped"),
        ("in no class", f"{classes['unmapped']:,} that were seen, {classes['unmapped_share']:.2%} of requests"),
    ]
    print_table(("", ""), rows, "what this demand is")
    click.echo()
    _show_backtest(facts["backtest"])


def _show_backtest(tested: "Mapping[str, Any]") -> None:
    def share(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.1%}"

    sizes = ", ".join(share(value) for value in tested["coverage_by_size"])
    rows = [
        ("days tried", f"{tested['origins']}, {tested['figures']:,} design rates"),
        ("not exceeded", f"{share(tested['coverage'])} of {share(tested['quantile'])} that were to be"),
        ("  on the worst day", share(tested["coverage_worst_day"])),
        ("  small, middle, large classes", sizes),
        ("quantile loss", f"{share(tested['pinball'])} of the level, by the way that was best until then"),
        *(
            (f"  always the {way}", f"{share(loss)}; best until then on {tested['chosen'].get(way, 0)} of the days")
            for way, loss in tested["pinball_by_way"].items()
        ),
        ("error of the mean", f"{share(tested['wape'])} of requests; last week's days {share(tested['wape_naive'])}"),
    ]
    print_table(("", ""), rows, "back-test: the same forecast on days of the past")


def _history_facts(history: "pd.DataFrame") -> dict[str, Any]:
    return {
        "classes": len(history[["region", "model", "service"]].drop_duplicates()),
        "rows": len(history),
        "first_hour": history["observed_at"].min().strftime("%Y-%m-%dT%H:%MZ"),
        "last_hour": history["observed_at"].max().strftime("%Y-%m-%dT%H:%MZ"),
    }


def _by_class(history: "pd.DataFrame") -> "pd.DataFrame":
    """Classes by their mean rate, the busiest first."""
    parts = history.groupby(["region", "model", "service"], observed=True)
    frame = parts.agg(
        hours=("windows", "size"),
        requests_per_s=("requests_per_s", "mean"),
        peak_requests_per_s=("peak_requests_per_s", "max"),
    )
    return frame.sort_values("requests_per_s", ascending=False, kind="stable").reset_index()


def _config(path: Path) -> "TelemetryConfig":
    from placement.telemetry.config import read_telemetry_config  # noqa: PLC0415

    return read_telemetry_config(path)


def _time(text: str | None) -> datetime:
    """Now, or the time that is given."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time; write 2026-11-20T02:00Z", param_hint="--as-of") from error
    if found.tzinfo is None:
        raise click.BadParameter(f"{text!r} names no zone; write {text}Z for UTC", param_hint="--as-of")
    return found.astimezone(UTC)


@contextmanager
def _failures() -> Iterator[None]:
    """What can go wrong, as the contract's exit codes."""
    from placement.telemetry.errors import StaleTelemetryError, TelemetryError  # noqa: PLC0415

    try:
        yield
    except StaleTelemetryError as error:
        raise Failure(Exit.STALE, str(error), {"reasons": list(error.reasons)}) from error
    except TelemetryError as error:
        raise Failure(Exit.BAD_DATA, str(error), {"reasons": list(error.reasons)}) from error
