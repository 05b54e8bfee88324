"""nearserve topology diff: what moved between two days, and whether the plan in force still holds."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from placement.cli.audit import named_in
from placement.cli.common import Exit, Failure, emit_json, format_option, load_scenario, status_line, writing_to

if TYPE_CHECKING:
    from placement.cli.topology_diff_view import Answer
    from placement.scenario import Scenario
    from placement.topology.drift.stored import Stored
    from placement.topology.summaries import Window

Say: TypeAlias = Callable[[str], None]
DAY = click.DateTime(["%Y-%m-%d"])
HEADROOM = 0.05
EXAMPLES = (
    "Example: nearserve topology diff my-scenario --from 2026-11-20 --to 2026-11-21 --plan my-plan   "
    "Of two folders that `topology -o` wrote: nearserve topology diff monday tuesday"
)


@dataclass(frozen=True)
class Asked:
    """What is compared: one scenario at two days, or two folders."""

    places: tuple[str, ...]
    from_day: datetime | None
    to_day: datetime | None
    window_days: int | None
    plan: Path | None
    scenario: str | None
    headroom: float

    @property
    def of_days(self) -> bool:
        return len(self.places) == 1


@click.command("diff", epilog=EXAMPLES)
@click.argument("places", metavar="SCENARIO | OLD_DIR NEW_DIR", nargs=-1, required=True)
@click.option("--from", "from_day", type=DAY, metavar="DAY", help="Of a SCENARIO: the day before, as 2026-11-20, UTC.")
@click.option("--to", "to_day", type=DAY, metavar="DAY", help="The day after.")
@click.option(
    "--window-days",
    type=click.IntRange(min=1),
    help="How many days count, ending with each of the two; 1: each day alone.  [default: limits.max_age_days of the "
    "scenario, without it everything up to that day]",
)
@click.option(
    "--plan",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The plan in force: is it as good as its word after the move? Exit code 6 when it is not.",
)
@click.option("--scenario", help="Of two folders, with --plan: the plan's scenario.")
@click.option(
    "--headroom", type=click.FloatRange(0, 1), default=HEADROOM, show_default=True, help="Of a budget: less is tight."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Every pair that moved, as Parquet."
)
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Rows of a table.")
@format_option
def command(
    places: tuple[str, ...],
    from_day: datetime | None,
    to_day: datetime | None,
    window_days: int | None,
    plan: Path | None,
    scenario: str | None,
    headroom: float,
    output: Path | None,
    top: int,
    output_format: str,
) -> None:
    """What moved between two days, and whether the plan in force still holds.

    Of one SCENARIO, both days are built from its measurements, as a plan made at the end of each day would have seen
    them. Of OLD_DIR and NEW_DIR, each holds what `nearserve topology SCENARIO -o DIR` wrote.
    """
    asked = Asked(places, from_day, to_day, window_days, plan, scenario, headroom)
    _refuse(asked)
    with _failures(), status_line() as say:
        answer = _of_days(asked, say) if asked.of_days else _of_folders(asked, say)
        if output is not None:
            say("writing")
            with writing_to(output):
                _write(answer, output)
    from placement.cli.topology_diff_view import as_json, show  # noqa: PLC0415

    if output_format == "json":
        emit_json({**as_json(answer), "output": str(output) if output else None})
    else:
        show(answer, top)
        if output is not None:
            click.echo(f"\nwritten to {output}")
    if answer.holding is not None and not answer.holding.holds:
        raise click.exceptions.Exit(Exit.STALE)


def _refuse(asked: Asked) -> None:
    """Options that do not go with what is compared."""
    days = {"--from": asked.from_day, "--to": asked.to_day}
    if len(asked.places) > 2:
        raise click.UsageError(f"one scenario or two folders, not {len(asked.places)} names")
    if asked.of_days:
        missing = [name for name, value in days.items() if value is None]
        if missing:
            raise click.UsageError(
                f"of one scenario, say which days: {' and '.join(missing)} DAY (or give two folders)"
            )
        if asked.from_day is not None and asked.to_day is not None and asked.from_day > asked.to_day:
            raise click.UsageError("--from is after --to; the day before comes first")
        if asked.scenario is not None:
            raise click.UsageError("--scenario goes with two folders; the scenario is given already")
        return
    given = [name for name, value in {**days, "--window-days": asked.window_days}.items() if value is not None]
    if given:
        raise click.UsageError(
            f"{' and '.join(given)} {'go' if given[1:] else 'goes'} with one scenario; two folders are two days already"
        )
    if asked.scenario is not None and asked.plan is None:
        raise click.UsageError("--scenario goes with --plan")


def _of_days(asked: Asked, say: Say) -> "Answer":
    from placement.topology.summaries import window_ending  # noqa: PLC0415

    assert asked.from_day is not None and asked.to_day is not None
    scenario = load_scenario(asked.places[0])
    length = asked.window_days or scenario.document.limits.max_age_days
    windows = window_ending(asked.from_day.date(), length), window_ending(asked.to_day.date(), length)
    days = [_kept(scenario, one, other, say) for one, other in (windows, windows[::-1])]
    return _answer(asked, say, (str(windows[0]), str(windows[1])), days, scenario)


def _kept(scenario: "Scenario", window: "Window", other: "Window", say: Say) -> "Stored":
    """Of a window's topology only what is compared: it is large, and two need not stand at once."""
    from placement.topology.drift.days import topology_of  # noqa: PLC0415
    from placement.topology.drift.stored import stored_of  # noqa: PLC0415

    say(f"building the topology of {window}")
    return stored_of(topology_of(scenario, window, other), scenario.table("endpoints"))


def _of_folders(asked: Asked, say: Say) -> "Answer":
    from placement.topology.drift.stored import read_stored  # noqa: PLC0415

    say("reading")
    scenario = None if asked.plan is None else load_scenario(asked.scenario or named_in(asked.plan))
    days = read_stored(*(Path(place) for place in asked.places))
    return _answer(asked, say, (asked.places[0], asked.places[1]), days, scenario)


def _answer(
    asked: Asked, say: Say, names: tuple[str, str], days: "Sequence[Stored]", scenario: "Scenario | None"
) -> "Answer":
    from placement.cli.topology_diff_view import Answer  # noqa: PLC0415
    from placement.topology.drift.findings import newly  # noqa: PLC0415
    from placement.topology.drift.moves import drift  # noqa: PLC0415

    say("comparing")
    old, new = days
    percentile = None if scenario is None else scenario.document.uncertainty.percentile
    moved, held = drift(old.pairs, new.pairs, percentile), None
    if asked.plan is not None and scenario is not None:
        from placement.topology.drift.holding import holding  # noqa: PLC0415

        say("auditing the plan")
        held = holding(asked.plan, scenario, old.pairs, new.pairs, asked.headroom)
    of = asked.places[0] if asked.of_days else asked.scenario or (scenario.document.name if scenario else "")
    mend = f"nearserve plan {of} -o NEW_PLAN --start {asked.plan}"
    begun, gone = newly(old.findings, new.findings), newly(new.findings, old.findings)
    return Answer(names, moved, new.places, begun, gone, held, asked.headroom, mend)


def _write(answer: "Answer", output: Path) -> None:
    """Every pair that moved, the weightiest first."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from placement.topology.drift.findings import reasons  # noqa: PLC0415
    from placement.topology.drift.tally import movers, movers_table  # noqa: PLC0415
    from placement.topology.export import atomically  # noqa: PLC0415

    frame = movers_table(answer.drift, answer.places, movers(answer.drift, answer.places), reasons(answer.begun))
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    atomically(output, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


@contextmanager
def _failures() -> Iterator[None]:
    """What can be wrong with the data, as the contract's exit code."""
    from placement.topology.drift.days import NoRecordsError  # noqa: PLC0415
    from placement.topology.drift.holding import UnreadablePlanError  # noqa: PLC0415
    from placement.topology.drift.stored import StoredError  # noqa: PLC0415
    from probes.reading import BadRecordsError  # noqa: PLC0415

    try:
        yield
    except (NoRecordsError, StoredError, UnreadablePlanError, BadRecordsError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
