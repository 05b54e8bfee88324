"""nearserve probe targets: what a topology needs as the list of targets that an agent reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, load_scenario, print_table, status_line

if TYPE_CHECKING:
    from placement.needs import Need, Needs
    from placement.needs.targets import Errand, Errands
    from placement.scenario import Scenario
    from placement.topology import Pairs

SHOWN = 20
COLUMNS = ("region", "site", "why", "requests/s", "RTT, ms", "bearable", "days old", "wants")
PRICED = ("region", "site", "why", "USD/month", "RTT, ms", "bearable", "days old", "wants", "what may change")
CHANGE = {
    "serve": "{} could be served at last",
    "save": "{} could be served for less",
    "hold": "{} is served there, maybe too late",
}
DAYS = 30.0
DAY_S = 86_400


@click.command(
    "targets",
    epilog="Example: nearserve probe targets my-scenario --source fra -o targets.jsonl",
)
@click.argument("scenario")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the agent's list there (JSON Lines); a folder gets one list for each source.",
)
@click.option("--source", metavar="REGION|SITE", help="Only what the agent at this place measures.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many pairs, the first.")
@click.option(
    "--max-age-days",
    type=click.FloatRange(min=0, min_open=True),
    help=f"A pair measured longer ago is stale.  [default: limits.max_age_days of the scenario, else {DAYS:g}]",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day, to its end, that ages count from, UTC; the same day gives the same bytes.  [default: today]",
)
@click.option("--plan", type=click.Path(file_okay=False, path_type=Path), help="A plan: what it costs decides.")
@click.option(
    "--method",
    multiple=True,
    default=("icmp", "tcp:443"),
    show_default=True,
    help="How to measure round trips, METHOD or METHOD:PORT; again for more.",
)
@click.option("--bandwidth", metavar="METHOD", help="How to measure bandwidth where it is wanted: train or ndt7.")
@format_option
def command(
    scenario: str,
    output: Path | None,
    source: str | None,
    limit: int | None,
    max_age_days: float | None,
    as_of: datetime | None,
    plan: Path | None,
    method: tuple[str, ...],
    bandwidth: str | None,
    output_format: str,
) -> None:
    """Say which pairs of SCENARIO to measure next: missing or stale ones, those that could change the plan first."""
    _check_methods([*method, *([bandwidth] if bandwidth else [])])
    loaded = load_scenario(scenario)
    from placement.needs.targets import AddressError, errands, places  # noqa: PLC0415

    day = as_of.date() if as_of else datetime.now(UTC).date()
    days = max_age_days or loaded.document.limits.max_age_days or DAYS
    now_s = datetime.combine(day, time(), UTC).timestamp() + DAY_S
    with status_line() as say:
        wanted, known = _needs(loaded, now_s - days * DAY_S, plan, say)
        if source is not None and source not in (*known.regions, *known.sites):
            raise Failure(Exit.BAD_DATA, f"{source} is no region and no site of {loaded.document.name}")
        found = errands(wanted, places(loaded.table("endpoints"), known), source=source, limit=limit, now_s=now_s)
        try:
            written = _write(found, output, method, bandwidth)
        except AddressError as error:
            raise Failure(Exit.BAD_DATA, f"{loaded.folder}: {error}; correct them in the table endpoints") from error
    head = {
        "scenario": loaded.document.name,
        "as_of": day.isoformat(),
        "max_age_days": days,
        "score_unit": wanted.unit,
        "needed": wanted.count,
        "left_out": found.left,
        "fresh": wanted.fresh,
        "useless": wanted.useless,
        "without_address": found.nowhere,
        "written": written,
    }
    if output_format == "json":
        missed = [asdict(need) for need in found.missed]
        emit_json(head | {"pairs": [_plain(errand) for errand in found.found], "first_without_address": missed})
    else:
        _show(head, found)


def _check_methods(methods: Sequence[str]) -> None:
    """Refuses what no agent could be told, before anything is read."""
    from pydantic import ValidationError  # noqa: PLC0415

    from probes.agent.targets import Target  # noqa: PLC0415

    try:
        Target(name="x", host="x", methods=tuple(methods))
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise click.UsageError(f"--method, --bandwidth: {said}") from error


def _needs(
    scenario: "Scenario", oldest_s: float, plan: Path | None, say: Callable[[str], None]
) -> tuple["Needs", "Pairs"]:
    """The needs and the pairs that they are of; no record is left out for its age."""
    from placement.needs import needs  # noqa: PLC0415
    from placement.needs.planned import NoPlanError, read_planned  # noqa: PLC0415
    from placement.topology import build_pairs  # noqa: PLC0415

    try:
        planned = read_planned(plan) if plan else None
    except NoPlanError as error:
        raise Failure(Exit.BAD_DATA, f"no plan that can be read: {error}") from error
    say("building the topology")
    limits = scenario.document.limits.model_copy(update={"max_age_days": None})
    topology = build_pairs(replace(scenario, document=scenario.document.model_copy(update={"limits": limits})))
    say("weighing the pairs")
    return needs(scenario, topology.pairs, oldest_s, planned), topology.pairs


def _write(found: "Errands", output: Path | None, methods: Sequence[str], bandwidth: str | None) -> dict[str, int]:
    """Writes one list, or into a folder one for each source; how many targets each file got."""
    from placement.needs.targets import targets  # noqa: PLC0415
    from probes.agent.targets import write_targets  # noqa: PLC0415

    files: dict[Path | None, list[Errand]] = {} if output is not None and output.is_dir() else {output: []}
    for errand in found.found:
        files.setdefault(
            output / f"{errand.source.replace('/', '_')}.jsonl" if output and output.is_dir() else output, []
        ).append(errand)
    lists = {path: targets(errands, methods, bandwidth) for path, errands in sorted(files.items(), key=str)}
    for path, listed in lists.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_targets(path, listed)
    return {str(path): len(listed) for path, listed in lists.items() if path is not None}


def _plain(errand: "Errand") -> dict[str, Any]:
    return {"source": errand.source, "addresses": list(errand.addresses), **asdict(errand.need)}


def _show(head: Mapping[str, Any], found: "Errands") -> None:
    """The first rows for people, and what is not among them."""
    errands = found.found[:SHOWN]
    if errands:
        rows = [(*_cells(errand.need), ", ".join(errand.addresses)) for errand in errands]
        title = f"To measure for {head['scenario']}, as of {head['as_of']}"
        print_table((*_columns([errand.need for errand in errands]), "target"), rows, title=title)
        click.echo()
    more = len(found.found) - len(errands)
    if more:
        click.echo(f"... and {more:,} more; --format json lists them all")
    if found.left:
        click.echo(f"{found.left:,} more pairs are beyond --limit")
    unit = {"USD a month": "USD/month"}.get(head["score_unit"], head["score_unit"])
    click.echo(f"{unit}: what the answer may change, times how likely it does; * it could change the plan")
    click.echo(
        f"not listed: {head['fresh']:,} pairs measured within {head['max_age_days']:g} days, "
        f"{head['useless']:,} that no class could use"
    )
    _show_nowhere(found)
    for path, count in head["written"].items():
        click.echo(f"{count:,} target{'s' * (count != 1)} written to {path}")


def _show_nowhere(found: "Errands") -> None:
    """Pairs of which neither end has an address, by name, and what to do."""
    if not found.nowhere:
        return
    pairs = sum(found.nowhere.values())
    names = ", ".join(list(found.nowhere)[:8]) + (" ..." if len(found.nowhere) > 8 else "")
    count = len(found.nowhere)
    click.echo(
        f"\n{pairs:,} pair{'s' * (pairs != 1)} cannot be measured: "
        f"no address is known of {count} site{'s' * (count != 1)}: {names}"
    )
    click.echo("add them to the table endpoints: endpoint,kind,region,site as in 192.0.2.1,address,,fra")
    if not found.found:
        print_table(_columns(found.missed), [_cells(need) for need in found.missed], title="\nThe first of them")


def _columns(told: "Sequence[Need]") -> tuple[str, ...]:
    return COLUMNS if told and told[0].change is None else PRICED


def _cells(need: "Need") -> tuple[object, ...]:
    age = "" if need.age_days is None else f"{need.age_days:,.0f}"
    return (
        need.region,
        need.site,
        f"{need.reason}{'*' * need.decisive}",
        f"{need.score:,.0f}" if need.score >= 100 else f"{need.score:.3g}",
        _interval(need),
        f"{need.bearable_ms:,.0f}",
        age,
        "+".join(need.wants),
        *_change(need),
    )


def _change(need: "Need") -> tuple[str, ...]:
    """What the answer may bring, in a column of its own where a plan tells."""
    if need.change is None:
        return ()
    return (CHANGE[need.change].format(f"{need.service} on {need.model}") if need.score else "nothing at these prices",)


def _interval(need: "Need") -> str:
    """What is known of the RTT, ms."""
    low, high = need.rtt_lower_ms, need.rtt_upper_ms
    if low is None or high is None:
        return ""
    return f"{low:,.3g}" if low == high else f"{low:,.3g}–{high:,.3g}"
